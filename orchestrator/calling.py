"""A call as a description says it: its request with holes to fill in, and how hard the service may be called."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from orchestrator.reading import Json
from orchestrator.units import Duration, Rates
from orchestrator.validation import Form, Strict

UrlPath = Annotated[str, Form(r"^/.*", "should begin with /")]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Limits(Strict):
    """How hard the service may be called; the config can override each."""

    rate: Rates | None = None
    burst: int | None = Field(None, ge=1, le=10_000, description="calls that may go at once, beside the rate")
    concurrency: int | None = Field(None, ge=1, le=1000)
    timeout: Duration | None = None
    attempts: int | None = Field(None, ge=1, le=100)
    backoff: Duration | None = Field(None, description="the first pause between attempts, before jitter; it doubles")
    backoff_cap: Duration | None = None

    def over(self, below: Self) -> Self:
        """Return these limits, with what is not said here taken from `below`; a burst belongs to its rate."""
        said = {name: value for name, value in self if value is not None}
        return below.model_copy(update=said if self.rate is None else {**said, "burst": self.burst})

    @model_validator(mode="after")
    def _burst(self) -> Self:
        if self.burst is not None and self.rate is None:
            raise ValueError("has a burst and no rate; a burst belongs to a rate, so that both stand in the same place")
        return self


class BatchSpec(Strict):
    """How many targets fit into one call, and which fields they must share."""

    size: int = Field(ge=1, le=100_000)
    group_by: tuple[str, ...] = ()


class Operation(Strict):
    """The request, with `{field}` holes; `{*field}` stands for the list of a whole batch."""

    method: Method
    path: UrlPath
    query: dict[str, Json] = {}
    headers: dict[str, str] = {}
    cookies: dict[str, str] = {}
    body: Json = Field(None, alias="json")
    idempotent: bool = Field(description="whether the call may be repeated when its answer was lost")
    batch: BatchSpec | None = None
    on_405: Method | None = Field(None, description="the method to go on with when `method` is not allowed")
