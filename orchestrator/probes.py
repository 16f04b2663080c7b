"""What can be asked of a connection and changes nothing: its addresses, who calls, the first item of a listing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from orchestrator.calling import Operation
from orchestrator.catalogue import Catalogue
from orchestrator.classify import Classify, compile_reading
from orchestrator.endpoints import base_url, lacks_project
from orchestrator.listing import Listing
from orchestrator.model import Target, Verdict
from orchestrator.pages import page_fields
from orchestrator.reading import Check, Include, Reading, Success
from orchestrator.service import Service
from orchestrator.settings import Connection
from orchestrator.templates import OF_THE_CONNECTION, holes

STS_REGIONS = (
    "af-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "cn-east-3",
    "cn-north-4", "cn-south-1", "cn-southwest-2", "la-south-2", "sa-brazil-1", "tr-west-1",
)  # fmt: skip
CALLER = Operation.model_construct(method="GET", path="/v5/caller-identity", idempotent=True)
KEY = Operation.model_construct(  # whose it is
    method="GET", path="/v3.0/OS-CREDENTIAL/credentials/{access_key}", idempotent=True
)
OWN_TOKEN = Operation.model_construct(
    method="GET", path="/v3/auth/tokens", query={"nocatalog": "true"}, headers={"X-Subject-Token": "{token}"},
    idempotent=True,
)  # fmt: skip


def url_of(service: Service, connection: Connection) -> str:
    """Return where a service is on a connection; the empty string where it is not offered."""
    try:
        url = base_url(service, connection)
    except ValueError:
        return ""
    endpoint = service.endpoint
    known = endpoint.regions.get(connection.cloud, ()) if connection.cloud else ()
    given = connection.endpoint is not None or endpoint.cloud_host in connection.endpoints
    return url if given or not known or connection.region in known else ""


def usable(connection: Connection, services: Iterable[Service]) -> dict[str, Service]:
    """Return the services that a connection can be used for: its kind of auth, its project, offered where it is."""
    fitting = (one for one in services if connection.auth.type in one.auth and url_of(one, connection))
    return {one.service: one for one in fitting if not lacks_project(one, connection)}


def sts_url(connection: Connection) -> str:
    """Return where an access key can ask who it is; the empty string where that is not offered."""
    if given := connection.endpoints.get("sts") or connection.endpoint:
        return given
    offered = connection.cloud == "huaweicloud" and connection.region in STS_REGIONS
    return f"https://sts.{connection.region}.myhuaweicloud.com" if offered else ""


def addresses(connection: Connection, services: Iterable[Service]) -> list[str]:
    """Return every address that a connection is used with, each once, that of its login first."""
    own = {"iam-token": connection.iam_url, "aksk": sts_url(connection)}.get(connection.auth.type, "")
    urls = [own, *(url_of(service, connection) for service in services)]
    found = [url for url in dict.fromkeys(urls) if url]
    return found or [url for url in (connection.endpoint, *connection.endpoints.values()) if url]


def listing_of(service: Service) -> tuple[str, Listing] | None:
    """Return the cheapest listing that changes nothing and needs to know nothing."""
    names = dict.fromkeys([*service.discover, *service.listings])
    return next(((name, service.listings[name]) for name in names if _is_harmless(service.listings[name])), None)


def _is_harmless(listing: Listing) -> bool:
    return listing.method == "GET" and {name for _, name in holes(listing.path)} <= set(OF_THE_CONNECTION)


def listing_call(listing: Listing) -> Operation:
    """Return the call of a listing."""
    return Operation(method=listing.method, path=listing.path, query=listing.query, idempotent=True)


def first_item(service: str, connection: str, listing: Listing, now: float) -> Target:
    """Return what a listing is filled in with to give one item, or as few as it can."""
    return Target(service, connection, "first item", page_fields(listing, limit=1, offset=0, now=now))


def reading_of(known: Catalogue, field: str, name: str) -> Classify:
    """Return what reads an answer that tells who calls, which has this field; the gateway's rules come first."""
    success = Success(status=("200",), body={field: Check(absent=False)}, then=Verdict.ENDED)
    reading = Reading(success=success, otherwise=(Include(include="gateway"),))
    return compile_reading(reading, known.rules(reading), name)


def caller(body: bytes) -> str:
    """Return what STS says of the caller."""
    said = _object(body)
    urn, account = said.get("principal_urn"), said.get("account_id")
    return ", ".join([*([str(urn)] if urn else []), *([f"account {account}"] if account else [])])


def bearer_of(body: bytes) -> str:
    """Return what IAM says of the holder of a token."""
    token = _mapping(_object(body).get("token"))
    user, project = _mapping(token.get("user")), _mapping(token.get("project"))
    domain = _mapping(user.get("domain")).get("name")
    parts = {"user": user.get("name"), "domain": domain, "project": project.get("name")}
    return ", ".join(f"{name} {value}" for name, value in parts.items() if isinstance(value, str) and value)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(orjson.loads(body))
    except orjson.JSONDecodeError:
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
