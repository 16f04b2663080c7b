"""The description language: one YAML file says all there is to say about one API that can end sessions.

A description is data: strict keys, no expressions, patterns compiled at load. What a response means is said by rules;
the first rule whose conditions all hold decides, then `success`, then the usual meaning of the status, else it failed.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from orchestrator import yamltext
from orchestrator.model import Verdict
from orchestrator.templates import holes, inside_texts
from orchestrator.units import Duration, Rates
from orchestrator.validation import Strict

CLOUDS = {"huaweicloud": "myhuaweicloud.com", "huaweicloud-eu": "myhuaweicloud.eu", "otc": "otc.t-systems.com"}
NAME = r"^[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*$"

Cloud = Literal["huaweicloud", "huaweicloud-eu", "otc"]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
AuthKind = Literal["aksk", "iam-token", "bearer", "basic", "cookie", "none"]
Shape = Literal["empty", "null", "blank", "text", "object", "list", "other"]
Json = Annotated[Any, BeforeValidator(yamltext.typed)]


def _pattern(value: object) -> str:
    try:
        re.compile(str(value))
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return str(value)


def _listed(value: object) -> object:
    return list(value) if isinstance(value, list | tuple) else [value]


def _status(value: object) -> str:
    text = str(value)
    if not re.fullmatch(r"[1-5](?:\d\d|xx)", text):
        raise ValueError("should be a status such as 404, or a class such as 5xx")
    return text


Pattern = Annotated[str, BeforeValidator(_pattern)]
_ONE_STATUS = {
    "anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": "^[1-5]xx$"}]
}
_ONE_SHAPE = {"enum": list(get_args(Shape))}


def _one_or_more(one: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})


Statuses = Annotated[
    tuple[Annotated[str, BeforeValidator(_status)], ...], BeforeValidator(_listed), _one_or_more(_ONE_STATUS)
]
Shapes = Annotated[tuple[Shape, ...], BeforeValidator(_listed), _one_or_more(_ONE_SHAPE)]


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
    path: str = Field(pattern=r"^/")
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


class Decisive(Condition):
    """Conditions that decide something, so that there has to be one."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set & set(Condition.model_fields):
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
    path: str = Field(pattern=r"^/")
    query: dict[str, Json] = {}
    items: str
    page_size: int = Field(ge=1, le=100_000)
    fields: dict[str, str]


class ReadBack(Strict):
    """A question asked afterwards whose answer says whether the session is gone."""

    method: Method = "GET"
    path: str = Field(pattern=r"^/")
    query: dict[str, Json] = {}
    gone: Condition
    lag: Duration | None = None
    deadline: Duration | None = None


class Service(Reading):
    """The description of one API."""

    service: str = Field(pattern=NAME, max_length=64)
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
        problems = [*self._unknown_names(), *self._missing_reading()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _unknown_names(self) -> list[str]:
        problems = [
            f"key names {name!r}, which is not among the fields" for name in self.key if name not in self.fields
        ]
        known = {*self.fields, "project_id", "region"}
        asked = [self.end.model_dump(exclude={"batch"})]
        others = [part for part in (self.discover, self.verify) if part]
        asked += [part.model_dump(include={"path", "query"}) for part in others]
        used = {name for _, name in holes(asked)}
        choice = ", ".join(sorted(known))
        problems += [
            f"a template uses {{{name}}}, which is not a field; there are {choice}" for name in sorted(used - known)
        ]
        problems += [
            f"end puts {{{name}}} into a text, and it may be missing: give it a default, or a value of its own"
            for name in sorted(inside_texts(self.end.model_dump(exclude={"batch"})))
            if name in self.fields and self.fields[name].optional and self.fields[name].default is None
        ]
        grouped = self.end.batch.group_by if self.end.batch else ()
        problems += [f"group_by names {name!r}, which is not a field" for name in grouped if name not in self.fields]
        return problems

    def _missing_reading(self) -> list[str]:
        if not self.expect and self.success is None:
            return ["has no success: say which response means that the session is over"]
        if self.expect and self.success is not None:
            return ["has both success and expect"]
        return [f"expect.{name} has no success" for name, reading in self.expect.items() if reading.success is None]


class SharedRules(Strict):
    """A list of rules that services include by its name."""

    rules: str = Field(pattern=NAME)
    about: str = ""
    source: str = ""
    otherwise: tuple[Rule, ...]
