"""What is asked of a connection: where, and that nothing of it changes anything."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from orchestrator import catalogue, probes
from orchestrator.listing import Listing
from orchestrator.settings import Connection

SERVICES = catalogue.load().services
AKSK = {"type": "aksk", "access_key": "env:A", "secret_key": "env:B"}
TOKEN = {"type": "iam-token", "user": "u", "domain": "d", "password": "env:P"}


def connection(auth: dict[str, str] = AKSK, **more: Any) -> Connection:
    return TypeAdapter(Connection).validate_python({"auth": auth, **more})


def test_the_addresses_of_a_cloud_are_those_of_its_services_and_of_the_login() -> None:
    prod = connection(cloud="huaweicloud", region="cn-north-4", project_id="p")
    known = probes.usable(prod, SERVICES.values())
    assert "mrs.cas" not in known
    urls = probes.addresses(prod, known.values())
    assert urls[0] == "https://sts.cn-north-4.myhuaweicloud.com"
    assert "https://dcs.cn-north-4.myhuaweicloud.com" in urls
    assert len(urls) == len(set(urls))


def test_a_service_that_a_region_does_not_offer_is_not_asked() -> None:
    otc = connection(TOKEN, cloud="otc", region="eu-de")
    assert set(probes.usable(otc, SERVICES.values())) == {"dcs.webcli", "iam.access-key", "iam.token", "iam.user"}
    assert probes.addresses(otc, [])[0] == "https://iam.eu-de.otc.t-systems.com"
    assert probes.sts_url(otc) == ""
    assert probes.url_of(SERVICES["dcs.webcli"], connection(cloud="otc", region="eu-nowhere")) == ""


def test_a_service_in_a_project_is_not_asked_without_one() -> None:
    account = connection(cloud="huaweicloud", region="cn-north-4")
    assert set(probes.usable(account, SERVICES.values())) == {"iam.access-key", "iam.token", "iam.user"}


def test_an_endpoint_is_the_one_address() -> None:
    own = connection({"type": "bearer", "token": "env:T"}, endpoint="https://acme.example.com")
    assert probes.usable(own, SERVICES.values()) == {}
    assert probes.addresses(own, []) == ["https://acme.example.com"]


def test_every_listing_that_is_asked_changes_nothing() -> None:
    found = {name: probes.listing_of(service) for name, service in SERVICES.items()}
    assert {listing.method for one in found.values() if one for listing in one[1:]} <= {"GET"}
    assert {name for name, one in found.items() if one} >= {"dcs.webcli", "workspace.desktops", "cbh.console"}


@pytest.mark.parametrize("odd", [{"method": "POST"}, {"path": "/v1/{instance_id}/sessions"}])
def test_a_listing_that_could_change_something_or_needs_to_know_something_is_not_asked(odd: dict[str, str]) -> None:
    listing = Listing.model_validate({"path": "/v1/sessions", "items": "items", "fields": {"id": "id"}, **odd})
    service = SERVICES["das.builtin-account"].model_copy(update={"listings": {"odd": listing}})
    assert probes.listing_of(service) is None


def test_one_item_is_asked_for() -> None:
    listing = SERVICES["workspaceapp.sessions"].listings["sessions"]
    fields = probes.first_item("s", "c", listing, 1e9).fields
    assert fields == {"limit": 1, "offset": 0, "since": "2000-01-01T00:00:00Z", "until": "2001-09-10T01:46:40Z"}


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"<html>", b'{"token": []}', b'{"token": {"user": "x"}}'])
def test_an_answer_that_tells_nobody_is_no_harm(body: bytes) -> None:
    assert (probes.caller(body), probes.bearer_of(body)) == ("", "")
