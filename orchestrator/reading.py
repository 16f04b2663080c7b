"""What tells one response from another, and what it then means: the conditions and rules of a description."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from orchestrator import yamltext
from orchestrator.model import Verdict
from orchestrator.units import Pattern, Statuses, listed, one_or_more
from orchestrator.validation import Strict

Shape = Literal["empty", "null", "blank", "text", "bare", "object", "list", "other"]
Json = Annotated[Any, BeforeValidator(yamltext.typed)]


_ONE_SHAPE = {"enum": list(get_args(Shape))}

Patterns = Annotated[tuple[Pattern, ...], BeforeValidator(listed), WithJsonSchema(one_or_more({"type": "string"}))]
Shapes = Annotated[tuple[Shape, ...], BeforeValidator(listed), WithJsonSchema(one_or_more(_ONE_SHAPE))]


class Check(Strict):
    """A condition on one value of a JSON body or one header; `absent` also holds for null and the empty text."""

    absent: bool | None = None
    equals: Json = None
    matches: Pattern | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("needs exactly one of absent, equals, matches")
        return self


class Condition(Strict):
    """What has to hold for a response; everything that is said has to hold together."""

    status: Statuses | None = None
    code: Pattern | None = Field(None, description="matches the whole error code")
    message: Pattern | None = Field(None, description="is found in the error message, whatever its case")
    shape: Shapes | None = None
    text: Patterns | None = Field(None, description="all are found in the body as it stands, JSON or not")
    body: dict[str, Check] = {}
    header: dict[str, Check] = {}
    cookie_cleared: str | None = None


_SAYS_NOTHING: tuple[object, ...] = (None, "", (), {})


def _decisive(condition: Condition) -> None:
    if not any(getattr(condition, name) not in _SAYS_NOTHING for name in Condition.model_fields):
        raise ValueError("has no condition, and would decide every response")


def _telling(condition: Condition) -> Condition:
    _decisive(condition)
    checks = [*condition.body.values(), *condition.header.values()]
    said = any(check.absent is not True and check.absent is not False for check in checks)
    if not (condition.code or condition.message or condition.text or condition.cookie_cleared or said):
        raise ValueError("would take a wrong URL for an ended session; it needs a code, a message, or a value")
    return condition


Telling = Annotated[Condition, AfterValidator(_telling)]
"""Conditions by which a service says something in its own words: a bare status, or what is not there, says nothing.

A wrong URL answers 404 for everybody, and a login page has no error code either.
"""


class Rule(Condition):
    """A response that meets the conditions means `then`; with `batch` only when the call carried several targets."""

    batch: bool | None = None
    then: Verdict
    note: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        _decisive(self)
        return self


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
