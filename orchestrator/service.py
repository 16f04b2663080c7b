"""The description language: one YAML file says all there is to say about one API that can end sessions.

A description is data: strict keys, no expressions, patterns compiled at load. What a response means is said by rules;
the first rule whose conditions all hold decides, then `success`, then the usual meaning of the status, else it failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from orchestrator import yamltext
from orchestrator.model import Verdict
from orchestrator.templates import OF_THE_CONNECTION, Names, not_fields
from orchestrator.units import Duration, Pattern, Rates, Statuses, listed, one_or_more
from orchestrator.validation import Form, MisfitError, Place, Strict

CLOUDS = {"huaweicloud": "myhuaweicloud.com", "huaweicloud-eu": "myhuaweicloud.eu", "otc": "otc.t-systems.com"}
NAME = r"^[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*$"

Name = Annotated[
    str, Form(NAME, "should be words of lower-case letters and digits, joined by '.' or '-', such as dcs.webcli")
]
UrlPath = Annotated[str, Form(r"^/.*", "should begin with /")]

Cloud = Literal["huaweicloud", "huaweicloud-eu", "otc"]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
AuthKind = Literal["aksk", "iam-token", "bearer", "basic", "cookie", "none"]
Shape = Literal["empty", "null", "blank", "text", "bare", "object", "list", "other"]
Json = Annotated[Any, BeforeValidator(yamltext.typed)]


_ONE_SHAPE = {"enum": list(get_args(Shape))}

Shapes = Annotated[tuple[Shape, ...], BeforeValidator(listed), one_or_more(_ONE_SHAPE)]


class Endpoint(Strict):
    """Where the API lives: a host of the cloud (`https://{cloud_host}.{region}.{cloud}`), or the connection's own."""

    cloud_host: str | None = None
    host_by_region: dict[str, str] = {}
    url_by_region: dict[str, str] = {}
    regions: dict[Cloud, tuple[str, ...]] = {}
    own: str | None = Field(None, description="an example of the URL that the connection has to give")

    @model_validator(mode="after")
    def _one_way(self) -> Endpoint:
        if (self.cloud_host is None) == (self.own is None):
            raise ValueError("needs either cloud_host or own")
        return self


_TYPES = {"string": "str", "integer": "int", "boolean": "bool"}


class FieldSpec(Strict):
    """One field of a target: its type, its bounds (of the length, or of the number), whether it is a secret."""

    type: Literal["string", "integer", "boolean"] = "string"
    min: int | None = None
    max: int | None = None
    pattern: Pattern | None = None
    usual: Pattern | None = Field(None, description="what it usually looks like; anything else is only warned of")
    optional: bool = False
    secret: bool = False
    default: Json = None
    about: str = ""

    @property
    def may_be_missing(self) -> bool:
        """Return whether a target may be without the field."""
        return self.optional and self.default is None

    def problems(self, name: str) -> Iterator[tuple[Place, str]]:
        """Return (place, what is wrong) for a field of that name."""
        if name in OF_THE_CONNECTION:
            yield (), "is what the connection gives; a field needs another name"
        elif not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            yield (), "is not a name for a field: lower-case letters, digits and '_', beginning with a letter"
        if self.min is not None and self.max is not None and self.min > self.max:
            yield ("min",), "is more than max"
        if self.default is not None and type(self.default).__name__ != _TYPES[self.type]:
            yield ("default",), f"is not of the field's type, which is {self.type}"


class Limits(Strict):
    """How hard the service may be called; the config can override each."""

    rate: Rates | None = None
    concurrency: int | None = Field(None, ge=1, le=1000)
    timeout: Duration | None = None
    attempts: int | None = Field(None, ge=1, le=100)
    backoff: Duration | None = Field(None, description="the first pause between attempts, before jitter; it doubles")
    backoff_cap: Duration | None = None

    def over(self, below: Limits) -> Limits:
        """Return these limits, with what is not said here taken from `below`."""
        return below.model_copy(update=self.model_dump(exclude_none=True, exclude={"rate"}) | self._rate())

    def _rate(self) -> dict[str, Any]:
        return {} if self.rate is None else {"rate": self.rate}


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


class Check(Strict):
    """A condition on one value of a JSON body or one header; `absent` also holds for null and the empty text."""

    absent: bool | None = None
    equals: Json = None
    matches: Pattern | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Check:
        if len(self.model_fields_set) != 1:
            raise ValueError("needs exactly one of absent, equals, matches")
        return self


class Condition(Strict):
    """What has to hold for a response; everything that is said has to hold together."""

    status: Statuses | None = None
    code: Pattern | None = Field(None, description="matches the whole error code")
    message: Pattern | None = Field(None, description="is found in the error message, whatever its case")
    shape: Shapes | None = None
    body: dict[str, Check] = {}
    header: dict[str, Check] = {}
    cookie_cleared: str | None = None


_SAYS_NOTHING: tuple[object, ...] = (None, "", (), {})


class Decisive(Condition):
    """Conditions that decide something, so that there has to be one."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not any(getattr(self, name) not in _SAYS_NOTHING for name in Condition.model_fields):
            raise ValueError("has no condition, and would decide every response")
        return self


class Rule(Decisive):
    """A response that meets the conditions means `then`; with `batch` only when the call carried several targets."""

    batch: bool | None = None
    then: Verdict
    note: str = ""


class Include(Strict):
    """Rules that several services share stand in one file, and are included where they should be asked."""

    include: str


def _entry(value: object) -> str:
    return "include" if isinstance(value, Include) or (isinstance(value, dict) and "include" in value) else "rule"


Entry = Annotated[Annotated[Rule, Tag("rule")] | Annotated[Include, Tag("include")], Discriminator(_entry)]


class Success(Condition):
    """The response that means that the call did what it is for."""

    status: Statuses
    then: Literal[Verdict.ENDED, Verdict.ACCEPTED, Verdict.ISSUED, Verdict.DENIED, Verdict.ACTIVE]
    lacking: str = Field("", description="what to say when the status is right and the rest is not")
    handover: str | None = Field(None, description="the body's field whose value goes to a file, and nowhere else")


class Reading(Strict):
    """How the responses to a call are read."""

    success: Success | None = None
    otherwise: tuple[Entry, ...] = ()


class Listing(Strict):
    """A listing of what could be a target: the request, its items, the next page."""

    method: Method = "GET"
    path: UrlPath
    query: dict[str, Json] = {}
    items: str
    page_size: int = Field(ge=1, le=100_000)
    fields: dict[str, str]


class ReadBack(Strict):
    """A question asked afterwards whose answer says whether the session is gone."""

    method: Method = "GET"
    path: UrlPath
    query: dict[str, Json] = {}
    gone: Condition
    lag: Duration | None = None
    deadline: Duration | None = None


class Service(Reading):
    """The description of one API."""

    service: Name = Field(max_length=64)
    title: str
    about: str = ""
    source: str = Field("", description="where the facts come from")
    unconfirmed: tuple[str, ...] = Field((), description="what no source confirms")
    endpoint: Endpoint
    auth: tuple[AuthKind, ...] = Field(min_length=1)
    key: tuple[str, ...] = Field(min_length=1)
    fields: dict[str, FieldSpec] = Field(min_length=1)
    limits: Limits = Limits()
    end: Operation
    expect: dict[str, Reading] = Field({}, description="for an access check: the answers that can be expected")
    discover: Listing | None = None
    verify: ReadBack | None = None
    permission: str = ""

    @model_validator(mode="after")
    def _hangs_together(self) -> Service:
        if found := [*self._unfit_fields(), *self._unfit_templates(), *self._unfit_readings()]:
            raise MisfitError(found)
        return self

    def _unfit_fields(self) -> Iterator[tuple[Place, str]]:
        for name, spec in self.fields.items():
            yield from ((("fields", name, *place), said) for place, said in spec.problems(name))
        yield from not_fields(self.key, self.fields, ("key",), "key")
        if all(name in self.fields and self.fields[name].may_be_missing for name in self.key):
            yield ("key",), "has only fields that may be missing; nothing would tell the targets apart"

    def _unfit_templates(self) -> Iterator[tuple[Place, str]]:
        batch = self.end.batch
        optional = [name for name, spec in self.fields.items() if spec.may_be_missing]
        names = Names(self.fields, optional, batch.group_by if batch and batch.size > 1 else self.fields)
        for part in ("path", "query", "headers", "cookies"):
            yield from names.problems(getattr(self.end, part), ("end", part))
        yield from names.problems(self.end.body, ("end", "json"))
        yield from not_fields(batch.group_by if batch else (), self.fields, ("end", "batch", "group_by"), "group_by")

    def _unfit_readings(self) -> Iterator[tuple[Place, str]]:
        if not self.expect and self.success is None:
            yield (), "has no success: say which response means that the session is over"
        elif self.expect and self.success is not None:
            yield ("expect",), "has both success and expect"
        for name, reading in self.expect.items():
            if reading.success is None:
                yield ("expect", name), "has no success: say which response means that it came out as expected"


class SharedRules(Strict):
    """A list of rules that services include by its name."""

    rules: Name
    about: str = ""
    source: str = ""
    otherwise: tuple[Rule, ...]
