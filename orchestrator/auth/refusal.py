"""The words for a refused credential, with the one cause that nobody suspects: the clock."""

from __future__ import annotations

from orchestrator.units import http_date

SIGNATURE_LIFE = 900.0  # seconds; an older or a younger X-Sdk-Date is refused
_ROUNDING = 10.0  # a Date header has whole seconds and was on its way for some


def clock_skew(date_header: str | None, now: float) -> float | None:
    """Return by how many seconds this machine's clock is ahead of the service's; None where it cannot be told."""
    moment = http_date(date_header) if date_header else None
    return None if moment is None else now - moment


def refusal_text(
    status: int | None, code: str | None, message: str | None, skew: float | None = None, who: str = "the service"
) -> str:
    """Say what a person needs to know about a refused credential; the server's message must be scrubbed."""
    status_text = None if status is None else f"HTTP {status}"
    origin = ", ".join(filter(None, (status_text, code)))
    said = f": {message}" if message else ""
    text = f"{who} refused the credential{said}" + (f" ({origin})" if origin else "")
    if skew is None or abs(skew) < SIGNATURE_LIFE - _ROUNDING:
        return text
    return (
        f"{text}; the service's clock differs by {abs(skew):.0f} s from this machine's; "
        f"signatures older than {SIGNATURE_LIFE / 60:.0f} minutes are refused: set the clock"
    )
