"""The description language: one YAML file says all there is to say about one API that can end sessions.

A description is data: strict keys, no expressions, patterns compiled at load. What a response means is said by rules;
the first rule whose conditions all hold decides, then `success`, then the usual meaning of the status, else it failed.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from orchestrator.calling import Limits, Operation
from orchestrator.listing import Listing
from orchestrator.reading import Condition, Json, Reading, Rule
from orchestrator.templates import OF_THE_CONNECTION, Names, holes, not_fields
from orchestrator.units import Duration, Pattern
from orchestrator.validation import Form, MisfitError, Place, Strict

CLOUDS = {"huaweicloud": "myhuaweicloud.com", "huaweicloud-eu": "myhuaweicloud.eu", "otc": "otc.t-systems.com"}
NAME = r"^[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*$"

Name = Annotated[
    str, Form(NAME, "should be words of lower-case letters and digits, joined by '.' or '-', such as dcs.webcli")
]

Cloud = Literal["huaweicloud", "huaweicloud-eu", "otc"]
AuthKind = Literal["aksk", "iam-token", "bearer", "basic", "cookie", "none"]


class Endpoint(Strict):
    """Where the API lives: a host of the cloud (`https://{cloud_host}.{region}.{cloud}`), or the connection's own."""

    cloud_host: str | None = None
    host_by_region: dict[str, str] = {}
    url_by_region: dict[str, str] = {}
    regions: dict[Cloud, tuple[str, ...]] = {}
    own: str | None = Field(None, description="an example of the URL that the connection has to give")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
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
    everything_without: bool = Field(False, description="a call without it could end everything there is")
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


class Question(Reading):
    """A request about one target; success with `ended` means that the session is gone, `active` that it lives."""

    ask: Operation


class ReadBack(Strict):
    """What is looked at after the calls, and says whether a session is gone: a listing, or a question for each."""

    listing: str | None = Field(None, description="the name of one of `listings`")
    state: str | None = Field(None, description="the field of the listing that tells")
    gone: tuple[str, ...] = ()
    alive: tuple[str, ...] = ()
    absent: Literal["gone", "unclear"] = Field("unclear", description="what it means that a target is not listed")
    question: Question | None = None
    lag: Duration | None = Field(None, description="how long an effect takes to show at the least")
    lag_field: str | None = Field(None, description="a field by whose seconds a target's end is put off")
    deadline: Duration = Field(30.0, description="after so long what still lives is taken to live on")
    opt_in: bool = Field(False, description="only where a group says `verify: true`")
    limits: Limits = Limits.model_construct()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.listing is None) == (self.question is None):
            raise ValueError("needs either listing or question")
        if self.listing is not None and not (self.state and self.gone and self.alive):
            raise ValueError("needs state, gone and alive beside listing")
        return self


class Residual(Strict):
    """What may go on working after the session is ended, for how long, and what would end that."""

    what: str
    until: str = Field(description="such as: up to 30 minutes")
    seconds: int | None = Field(None, ge=1, description="the longest that it can be, counted from the end")
    remedy: str = ""


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
    limits: Limits = Limits.model_construct()
    end: Operation
    expect: dict[str, Reading] = Field({}, description="for an access check: the answers that can be expected")
    dead_key: Condition | None = Field(
        None, description="how an access key is refused that the plan itself deactivates: that is a denial too"
    )
    listings: dict[str, Listing] = Field({}, description="what the service can list")
    discover: tuple[str, ...] = Field((), description="the listings that give targets, in the order they are preferred")
    verify: ReadBack | None = None
    residual: tuple[Residual, ...] = ()
    permission: str = ""
    own: dict[str, Literal["access_key", "user", "token"]] = Field(
        {}, description="fields that say which credential, or whose, a target is: a run does not end its own"
    )
    identity_provider: bool = Field(False, description="people log in to other services through it: it goes first")

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        parts = (self._unfit_fields(), self._unfit_templates(), self._unfit_readings(), self._unfit_listings())
        more = (self._unfit_own(), self._unfit_repetitions())
        if found := [*itertools.chain(*parts, *more)] or [*self._unused_keys()]:
            raise MisfitError(found)
        return self

    def _unfit_fields(self) -> Iterator[tuple[Place, str]]:
        for name, spec in self.fields.items():
            yield from ((("fields", name, *place), said) for place, said in spec.problems(name))
        yield from not_fields(self.key, self.fields, ("key",), "key")
        if all(name in self.fields and self.fields[name].may_be_missing for name in self.key):
            yield ("key",), "has only fields that may be missing; nothing would tell the targets apart"

    def _unfit_repetitions(self) -> Iterator[tuple[Place, str]]:
        if self.identity_provider and not self.end.idempotent:
            yield ("identity_provider",), "its calls are made again in a second pass, so that they must be idempotent"

    def _unused_keys(self) -> Iterator[tuple[Place, str]]:
        call = self.end
        used = {name for _, name in holes([call.path, call.query, call.headers, call.cookies, call.body])}
        for i, name in enumerate(self.key):
            if name in self.fields and name not in used:
                yield (
                    ("key", i),
                    f"the call does not say which {name} it is for, and would do the same for every target",
                )

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

    def _unfit_by(self, listing: Listing) -> Iterator[tuple[Place, str]]:
        for name, by in listing.by.items():
            other = self.listings.get(by.listing)
            if other is None or other is listing:
                yield ("by", name, "listing"), f"there is no other listing {by.listing!r}"
            elif by.filter not in other.filters() or by.field not in other.fields:
                said = f"the listing {by.listing!r} has no filter {by.filter!r}, or does not tell {by.field}"
                yield ("by", name), said

    def _unfit_listings(self) -> Iterator[tuple[Place, str]]:
        for name, listing in self.listings.items():
            yield from ((("listings", name, *place), said) for place, said in listing.problems())
            yield from ((("listings", name, *place), said) for place, said in self._unfit_by(listing))
        yield from not_fields(self.discover, self.listings, ("discover",), "discover", "listings")
        for i, name in enumerate(self.discover):
            needed = [key for key in self.key if not self.fields[key].may_be_missing] if name in self.listings else []
            lacking = [key for key in needed if key not in self.listings[name].fields]
            if lacking:
                yield ("discover", i), f"the listing {name!r} does not tell {', '.join(lacking)}"
            told = self.listings[name].fields if name in self.listings else {}
            secret = [field for field in told if field in self.fields and self.fields[field].secret]
            if secret:
                said = f"tells {', '.join(secret)}, and what is listed is kept in the journal, where no secret may be"
                yield ("discover", i), f"the listing {name!r} {said}"
        if self.verify is not None:
            yield from self._unfit_read_back(self.verify)

    def _unfit_own(self) -> Iterator[tuple[Place, str]]:
        for name in self.own:
            if name not in self.fields:
                yield ("own", name), f"own names {name!r}, which is not among the fields"

    def _unfit_read_back(self, verify: ReadBack) -> Iterator[tuple[Place, str]]:
        if verify.lag_field is not None:
            yield from not_fields((verify.lag_field,), self.fields, ("verify", "lag_field"), "lag_field")
            if verify.lag_field in self.fields and self.fields[verify.lag_field].type != "integer":
                yield ("verify", "lag_field"), f"{verify.lag_field} is no integer, and should be a number of seconds"
        if verify.question is not None:
            names = Names(self.fields, [name for name, spec in self.fields.items() if spec.may_be_missing], self.fields)
            for part in ("path", "query", "headers", "cookies"):
                place = ("verify", "question", "ask", part)
                yield from names.problems(getattr(verify.question.ask, part), place)
            yield from names.problems(verify.question.ask.body, ("verify", "question", "ask", "json"))
            if verify.question.success is None:
                yield ("verify", "question"), "has no success: say which response means that the session is gone"
        elif verify.listing not in self.listings:
            yield ("verify", "listing"), f"there is no listing {verify.listing!r}"
        else:
            listing = self.listings[verify.listing]
            for name in listing.needs:
                yield ("verify", "listing"), f"the listing {verify.listing!r} needs {name}, and here all are asked for"
            for name in (*self.key, verify.state or ""):
                if name not in listing.fields:
                    yield ("verify", "listing"), f"the listing {verify.listing!r} does not tell {name}"


class SharedRules(Strict):
    """A list of rules that services include by its name."""

    rules: Name
    about: str = ""
    source: str = ""
    otherwise: tuple[Rule, ...]
