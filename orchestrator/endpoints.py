"""Where a connection meets a service: the URL before its paths, the project in them."""

from __future__ import annotations

from orchestrator.service import CLOUDS, Service
from orchestrator.settings import Connection, IamToken


def base_url(service: Service, connection: Connection) -> str:
    """Return the URL that a service's paths are put behind; raise ValueError when the connection gives none."""
    endpoint = service.endpoint
    host, region, cloud = endpoint.cloud_host, connection.region, connection.cloud
    if host is not None and host in connection.endpoints:
        return connection.endpoints[host]
    if connection.endpoint is not None:
        return connection.endpoint
    if host is None:
        raise ValueError(f"has to give the endpoint of {service.service}, such as {endpoint.own}")
    if cloud is None or region is None:
        raise ValueError(f"has neither an endpoint nor a cloud and a region for {service.service}")
    if not endpoint.regions.get(cloud, ("",)):
        raise ValueError(f"is on {cloud}, where {service.service} is not offered; an endpoint would overrule that")
    if region in endpoint.url_by_region:
        return endpoint.url_by_region[region]
    return f"https://{endpoint.host_by_region.get(region, host)}.{region}.{CLOUDS[cloud]}"


def in_project(service: Service) -> bool:
    """Return whether a service is called in a project."""
    return "{project_id}" in service.end.path


def lacks_project(service: Service, connection: Connection) -> bool:
    """Return whether a service is called in a project, and none is known, nor will be once there is a token for it."""
    auth = connection.auth
    known = connection.project_id is not None or (isinstance(auth, IamToken) and auth.scope == "project")
    return in_project(service) and not known
