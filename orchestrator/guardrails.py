"""`guard:` of a plan: what must hold before, and while, anything is sent."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, field_validator

from orchestrator.units import Amount, Duration, Quantity, one_or_more
from orchestrator.validation import MisfitError, Strict


def _texts(value: object) -> object:
    """Return a list of texts, none of them empty: a filter that says nothing could mean everything."""
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(one, str | int) and str(one) != "" for one in values):
        raise ValueError("should be a text, or a list of texts, and none of them empty")
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]


_TEXT = {"type": ["string", "integer", "boolean"], "minLength": 1}
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts), WithJsonSchema(one_or_more(_TEXT))]


class ProtectedEntry(Strict):
    """Targets that are never touched, by globs for their service, their connection and their ids."""

    target: Texts
    service: str = "*"
    connection: str = "*"


def _words(value: object) -> object:
    """Return what a text with commas lists."""
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def _unfit_wave(one: Amount, before: Amount | None) -> str:
    """Return what is wrong with the size of a wave, after the one before it."""
    if not (one.number or one.share):
        return "lets nothing out"
    if before is not None and before.share == 1:
        return "comes after 100%, which is all"
    if before is None or (one.number is None) is not (before.number is None):
        return ""
    smaller = (one.number or one.share or 0) < (before.number or before.share or 0)
    return "is smaller than the wave before it" if smaller else ""


def _kind(value: object) -> str:
    return "entry" if isinstance(value, ProtectedEntry | dict) else "list"


Protected = Annotated[Annotated[str, Tag("list")] | Annotated[ProtectedEntry, Tag("entry")], Discriminator(_kind)]


class Guard(Strict):
    """What must hold before, and while, anything is sent."""

    max_targets: Quantity | None = Field(None, description="a count, or a share of what discovery listed")
    stop_when_failed: Quantity | None = Field(None, description="a count, or a share, that may fail; one more stops")
    protect: tuple[Protected, ...] | None = Field(None, description="lists of targets, or entries")
    own: Literal["refuse", "last"] = Field("refuse", description="what would end the credential that the run uses")
    min_interval: Duration | None = Field(None, description="between the starts of two runs of the plan")
    ramp: Annotated[tuple[Quantity, ...], BeforeValidator(_words)] | None = Field(
        None, min_length=1, description="the sizes of the first waves of every lane, such as 1, 10, 100%"
    )

    @field_validator("ramp")
    @classmethod
    def _grows(cls, value: tuple[Amount, ...] | None) -> tuple[Amount, ...] | None:
        for i, one in enumerate(value or ()):
            if said := _unfit_wave(one, value[i - 1] if value and i else None):
                raise MisfitError([((i,), said)])
        return value
