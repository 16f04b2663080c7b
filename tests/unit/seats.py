"""A service that lists its seats, and who has been sitting on them since when."""

from __future__ import annotations

from orchestrator.listing import Listing
from orchestrator.model import Item
from orchestrator.service import Service

NOW = 1_700_000_000.0
TEN, NINE = "2023-11-14T12:13:20Z", "2023-11-14T13:13:20Z"  # so many hours before now
HOUR = 3600.0
LISTING = Listing.model_validate(
    {
        "path": "/seats",
        "query": {"who": "{*user}"},
        "items": "seats",
        "fields": {"seat": "id", "user": "user", "state": "state", "since": "since"},
        "began": "since",
    }
)
SERVICE = Service.model_validate(
    {
        "service": "acme.seats",
        "title": "Seats",
        "endpoint": {"own": "https://seats.example.com"},
        "auth": ["none"],
        "key": ["seat"],
        "fields": {"seat": {"max": 4}, "message": {"optional": True}},
        "end": {"method": "POST", "path": "/seats/{seat}", "idempotent": True},
        "success": {"status": 200, "then": "ended"},
    }
)


def item(seat: str, **more: str | tuple[str, ...]) -> Item:
    return {"seat": (seat,), **{name: (value,) if isinstance(value, str) else value for name, value in more.items()}}
