"""The plan: what to end, in which order, under which guards. It has no secrets and no endpoints."""

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from orchestrator import validation, yamltext
from orchestrator.errors import Fault, InvalidInput
from orchestrator.guardrails import Guard, Texts
from orchestrator.units import Duration, ParsedBy
from orchestrator.validation import Form, MisfitError, Place, Strict

SECOND_PASS = "second pass"  # noqa: S105  these are names of stages, which the program makes
OWN = "own credential"
MADE = (SECOND_PASS, OWN)
_VARIABLE = re.compile(r"\$(\$|\{([^{}]*)\}|\{)")
_VARIABLE_NAME = r"^[A-Za-z_][A-Za-z0-9_-]*$"
_PLAN_NAME = Form(
    r"^[a-z0-9][a-z0-9._-]*$", "should be lower-case letters, digits, '.', '_' and '-', and not begin with a sign"
)
_STAGE_NAME = Form(
    r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$", "should be letters, digits, spaces, '.', '_' and '-', and not begin with a sign"
)
_SUBJECT = Form(r"[\s\S]*\S[\s\S]*", "should not be empty: it is the name of a person")

Requirement = Literal["accepted", "ended", "verified"]


def _rows(value: object) -> object:
    """Return the items of a group as they are: every one of them is checked when targets are made of them."""
    if not isinstance(value, list | tuple):
        raise ValueError("should be a list")  # noqa: TRY004  it is the user's value that is wrong
    return tuple(value)


_ROWS_SCHEMA = {"type": "array", "items": {"type": "object", "additionalProperties": True}}
ItemRows = Annotated[Sequence[Mapping[str, Any]], ParsedBy(_rows, _ROWS_SCHEMA)]


class Group(Strict):
    """Targets of one service on one connection, from one source."""

    service: str
    connection: str
    common: dict[str, Any] = Field({}, alias="with", description="fields that every target of the group has")
    expect: str | None = None
    items: ItemRows | None = None
    source: Annotated[str, BeforeValidator(validation.location)] | None = Field(
        None, alias="from", description="a CSV, NDJSON or text file, or - for standard input"
    )
    discover: dict[str, Texts] | None = Field(None, description="ask the service: the filters that it knows")
    where: dict[str, Texts] = Field({}, description="of what was discovered, only what matches one of these globs")
    older_than: Duration | None = Field(None, description="of what was discovered, only what began longer ago")
    partial: bool = Field(False, description="go on with what was listed, also when the listing broke off")
    everything: tuple[str, ...] = Field(
        (), description="fields that may be left out although a call without them could end everything there is"
    )
    verify: bool | None = Field(None, description="look afterwards whether the session is gone, where that is possible")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name, value in self._sources().items() if value is not None]
        if len(given) != 1:
            said = f"has {' and '.join(given)}" if given else "has none"
            raise ValueError(f"needs exactly one of items, from and discover; it {said}")
        return self

    def _sources(self) -> dict[str, Any]:
        return {"items": self.items, "from": self.source, "discover": self.discover}


class Stage(Strict):
    """Groups that may run side by side; a stage begins when all is called of those that it needs."""

    name: Annotated[str, Field(max_length=64), _STAGE_NAME]
    targets: tuple[Group, ...] = Field(min_length=1)
    needs: tuple[str, ...] | None = Field(None, description="stages that are called first; by default the one before")
    continue_on: Literal["ended", "accepted", "any"] = Field("any", description="what has to have come of them")


Placed = tuple[Place, Stage, Group]


def _unfit(stages: Sequence[Stage]) -> Iterator[tuple[Place, str]]:
    """Yield which names of stages are there twice, or taken, and what waits for a stage that is not before it."""
    names = [stage.name for stage in stages]
    for i, stage in enumerate(stages):
        if stage.name in names[:i]:
            yield (i, "name"), "there are two stages of the same name"
        if stage.name in MADE:
            yield (i, "name"), f"{stage.name!r} is a stage that the program makes; give this one another name"
        for j, name in enumerate(stage.needs or ()):
            if name not in names[:i]:
                hint = validation.suggestion(name, names[:i]) or "; a stage can need those that stand before it"
                yield (i, "needs", j), f"there is no stage {name!r} before this one{hint}"


class Plan(Strict):
    """One cleanup."""

    name: Annotated[str, Field(max_length=64), _PLAN_NAME]
    description: str = ""
    require: Requirement = "accepted"
    deadline: Duration | None = None
    allow_empty: bool = False
    guard: Guard = Guard.model_construct()
    vars: dict[str, str] = {}
    stages: tuple[Stage, ...] | None = Field(None, min_length=1)
    targets: tuple[Group, ...] | None = Field(None, min_length=1, description="for a plan with one stage")
    subject: Annotated[str, Field(max_length=256), _SUBJECT] | None = Field(
        None, description="the person whose access is to end; the report then says what may still work"
    )
    older_than: Duration | None = None
    reattempt: int = Field(1, ge=0, le=10, description="so often what lives on is ended again")
    resume_within: Duration = Field(1800.0, description="a resume that comes later asks, where sessions tell no age")
    second_pass: Duration | None = None

    @field_validator("vars")
    @classmethod
    def _names(cls, value: dict[str, str]) -> dict[str, str]:
        wrong = [name for name in value if not re.fullmatch(_VARIABLE_NAME, name)]
        if wrong:
            raise MisfitError([((name,), f"{name!r} is not a name for a variable") for name in wrong])
        return value

    @field_validator("stages")
    @classmethod
    def _in_order(cls, value: tuple[Stage, ...] | None) -> tuple[Stage, ...] | None:
        if wrong := list(_unfit(value or ())):
            raise MisfitError(wrong)
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.stages is None) == (self.targets is None):
            said = "has neither" if self.stages is None else "has both"
            place = () if self.stages is None else ("stages",)
            raise MisfitError([(place, f"needs `targets:` (one stage) or `stages:`; it {said}")])
        return self

    def stage(self, name: str) -> Stage | None:
        """Return the stage of a name; None for those that the program makes."""
        return next((stage for stage in self.ordered() if stage.name == name), None)

    def ordered(self) -> tuple[Stage, ...]:
        """Return the stages in their order; top-level targets are one stage called `targets`."""
        return self.stages or (Stage.model_construct(name="targets", targets=self.targets or ()),)

    def groups(self) -> Iterator[Placed]:
        """Return every group with its path in the document and its stage."""
        for i, stage in enumerate(self.ordered()):
            for j, group in enumerate(stage.targets):
                yield (("stages", i, "targets", j) if self.stages else ("targets", j)), stage, group


class PlanFile:
    """A plan as read from its file: the plan, the values of its variables, and where its lines are."""

    def __init__(self, path: Path, text: str, plan: Plan, variables: Mapping[str, str]) -> None:
        self.path = path
        self.plan = plan
        self.variables = dict(variables)
        self._text = text

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the text and the variables: what a resume has to agree with."""
        return _sha256(f"{self._text}\0{self._known()}")

    @property
    def lock_name(self) -> str:
        """Return what two runs of the same plan share: its name and its variables."""
        return f"{self.plan.name}-{_sha256(self._known())[:8]}"

    def faults(self, found: Iterable[tuple[Place, str]]) -> list[Fault]:
        """Return faults with the lines of the file for (path, message) pairs."""
        return validation.at_lines(found, self._text, str(self.path))

    def _known(self) -> str:
        return "\n".join(f"{name}={value}" for name, value in sorted(self.variables.items()))


class Unsound(InvalidInput):
    """A plan that is not valid by itself; `groups` are those of its groups that are, to be looked over all the same."""

    def __init__(self, faults: Sequence[Fault], path: Path, text: str, document: Mapping[str, Any]) -> None:
        super().__init__(faults)
        self.path = path
        self.text = text
        self.groups = list(_sound(document))


def _sound(document: Mapping[str, Any]) -> Iterator[Placed]:
    """Yield the valid groups of a document in which anything may be wrong."""
    stages: list[tuple[Place, Any]] = [((), document)]
    stages += [(("stages", i), stage) for i, stage in enumerate(_listed(document.get("stages")))]
    for place, stage in stages:
        for j, group in enumerate(_listed(stage.get("targets") if isinstance(stage, dict) else None)):
            with contextlib.suppress(ValidationError):
                made = Group.model_validate(group)
                yield (*place, "targets", j), Stage.model_construct(name="", targets=(made,)), made


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read(path: Path, overrides: Mapping[str, str]) -> PlanFile:
    """Read a plan with `overrides` for its variables; raise InvalidInput with every fault and its line."""
    text = validation.read_text(path)
    form: list[Fault] = []
    document = yamltext.load(text, str(path), form)
    variables, problems = _variables(document, overrides)
    filled = _fill(document, variables, (), problems) if "$" in text else document
    faults = validation.at_lines(problems, text, str(path))
    try:
        plan = validation.build(Plan, filled, text, str(path))
    except InvalidInput as error:
        faults += error.faults
    if form or faults:
        raise Unsound(validation.together(form, faults), path, text, filled)
    return PlanFile(path, text, plan, variables)


def _variables(
    document: Mapping[str, Any], overrides: Mapping[str, str]
) -> tuple[dict[str, str], list[tuple[Place, str]]]:
    declared = document.get("vars")
    known = {str(k): "" if v is None else str(v) for k, v in declared.items()} if isinstance(declared, dict) else {}
    problems: list[tuple[Place, str]] = [
        (("vars",), f"--var {name}: the plan has no such variable{validation.choices(name, known)}")
        for name in overrides
        if name not in known
    ]
    return known | dict(overrides), problems


def _fill(value: Any, variables: Mapping[str, str], path: Place, problems: list[tuple[Place, str]]) -> Any:
    """Put variables in place in every value; names of keys stay as they are."""
    if isinstance(value, dict):
        return {
            key: item if path == () and key == "vars" else _fill(item, variables, (*path, key), problems)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_fill(item, variables, (*path, i), problems) for i, item in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value
    return type(value)(_VARIABLE.sub(lambda match: _value(match, variables, path, problems), value))


def _value(match: re.Match[str], variables: Mapping[str, str], path: Place, problems: list[tuple[Place, str]]) -> str:
    if match[1] == "$":
        return "$"
    if match[2] is None:
        problems.append((path, "has a `${` that is not closed; write `$${` where it is meant as it stands"))
        return ""
    if match[2] not in variables:
        hint = validation.choices(match[2], variables)
        problems.append((path, f"uses ${{{match[2]}}}, which is not among the plan's vars{hint}"))
    return variables.get(match[2], "")
