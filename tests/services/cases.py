"""Reads the cases files: what a service answers, and the ruling that it has to mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from orchestrator import validation
from orchestrator.catalogue import Catalogue
from orchestrator.classify import Classify, compile_reading
from orchestrator.listing import Listing
from orchestrator.model import Item, Response, Ruling, Verdict
from orchestrator.pages import compile_listing
from orchestrator.reading import Include, Json, Reading, Rule, Success
from orchestrator.service import Service
from orchestrator.validation import Strict

FOLDER = Path(__file__).parent
NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


class Case(Strict):
    """One answer and its ruling. With `codes` it stands for several: `{code}` in the body is each of them in turn.

    It is about the call that ends something, unless it names a listing or is about the question that looks afterwards.
    """

    name: str
    expect: str = ""
    listing: str = ""
    question: bool = False
    batch: int = 1
    status: int
    headers: dict[str, str] = {}
    cookies: tuple[str, ...] = ()
    body: Json = None
    text: str = ""
    codes: tuple[str, ...] = ()
    then: Verdict
    wait: float | None = None
    pace: float | None = None
    handover: str | None = None
    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    reason: str | None = None
    items: tuple[dict[str, str | tuple[str, ...]], ...] | None = None
    total: int | None = None

    @property
    def part(self) -> str:
        return part_named(self.expect, self.listing, question=self.question)

    @property
    def page(self) -> list[Item] | None:
        """Return the items that a listing's answer has to mean."""
        if self.items is None:
            return None
        return [{k: (v,) if isinstance(v, str) else v for k, v in item.items()} for item in self.items]

    def response(self) -> Response:
        body = orjson.dumps(self.body) if "body" in self.model_fields_set else self.text.encode()
        return Response(self.status, self.headers, body, self.cookies)

    def spelled_out(self) -> Iterator[Case]:
        if not self.codes:
            yield self
        for code in self.codes:
            name = f"{self.name} {code}"
            yield self.model_copy(update={"name": name, "body": _put(self.body, code), "codes": (), "code": code})


class CasesFile(Strict):
    """The cases of one description, or of what several share."""

    about: str = ""
    cases: tuple[Case, ...]


def part_named(expect: str = "", listing: str = "", *, question: bool = False) -> str:
    return "question" if question else f"listing {listing}" if listing else expect


@dataclass(frozen=True)
class Subject:
    """One reading of one service: what cases are about. `part` is empty for the call that ends something."""

    service: str
    part: str
    reading: Reading
    listing: Listing | None = None

    @property
    def name(self) -> str:
        return f"{self.service}[{self.part}]" if self.part else self.service

    def includes(self, shared: str) -> bool:
        return any(isinstance(entry, Include) and entry.include == shared for entry in self.reading.otherwise)

    def compiled(self, rules: list[Rule]) -> Classify:
        if self.listing is not None:
            return compile_listing(self.listing, rules, self.service)
        return compile_reading(self.reading, rules, self.service)


PAGE = Success(status=("200",), then=Verdict.ENDED)


def subjects(catalogue: Catalogue) -> list[Subject]:
    return [subject for name, service in catalogue.services.items() for subject in _subjects_of(name, service)]


def _subjects_of(name: str, service: Service) -> Iterator[Subject]:
    readings: dict[str, Reading] = {**service.expect} or {"": service}
    yield from (Subject(name, expect, reading) for expect, reading in readings.items())
    for title, listing in service.listings.items():
        reading = Reading(success=PAGE, otherwise=listing.otherwise)
        yield Subject(name, part_named(listing=title), reading, listing)
    if service.verify is not None and service.verify.question is not None:
        yield Subject(name, part_named(question=True), service.verify.question)


def read_cases(name: str) -> list[Case]:
    path = FOLDER / f"{name}.yaml"
    file = validation.read(CasesFile, validation.read_text(path), str(path))
    return [one for case in file.cases for one in case.spelled_out()]


def cases_of(subject: Subject) -> list[Case]:
    """Return the cases of a reading: its own, those of what it includes, those that hold for every service."""
    own = [case for case in read_cases(subject.service) if case.part == subject.part]
    shared = read_cases("_gateway") if subject.includes("gateway") else []
    return own + shared + read_cases("_every")


def rule(subject: Subject, catalogue: Catalogue, case: Case) -> Ruling:
    classify = subject.compiled(catalogue.rules(subject.reading))
    return classify(case.response(), case.batch, NOW)


def deciding_rule(subject: Subject, catalogue: Catalogue, case: Case) -> int | str:
    """Return which rule decides a case: its number, `success`, or `none`; each rule is given its number as its note."""
    rules = catalogue.rules(subject.reading)
    numbered: list[Rule] = [one.model_copy(update={"note": f"rule {n}"}) for n, one in enumerate(rules)]
    ruling = subject.compiled(numbered)(case.response(), case.batch, NOW)
    if ruling.reason.startswith("rule "):
        return int(ruling.reason.removeprefix("rule "))
    success = subject.reading.success
    return "success" if success and ruling.verdict is success.then else "none"


def _put(value: Any, code: str) -> Any:
    if isinstance(value, dict):
        return {name: _put(item, code) for name, item in value.items()}
    return code if value == "{code}" else value
