"""The file of a sealed plan: what is in it, written whole for its owner alone, and read with suspicion."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, ValidationError

from orchestrator.errors import Fault, InvalidInput, Refused
from orchestrator.units import timestamp
from orchestrator.validation import dotted, faults_of

VERSION = 1
LARGEST = 128 * 1024 * 1024
MAX_FAULTS = 20
_NO_SEAL = "is no sealed plan (`orchestrator preview PLAN --seal FILE` makes one)"

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


def _texts(value: dict[str, Any]) -> dict[str, str]:
    if not all(isinstance(one, str) for one in value.values()):
        raise ValueError("should have nothing but texts in it")
    return value


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    flat = (one for found in value.values() for one in (found if isinstance(found, list) else [found]))
    if not all(isinstance(one, str | int | float) for one in flat):
        raise ValueError("should have nothing but texts and numbers in it")
    return value


def _moment(value: str) -> str:
    try:
        seconds(value)
    except (ValueError, OverflowError):
        raise ValueError("should be a time such as 2026-11-22T19:30:00.000Z") from None
    return value


Texts = Annotated[dict[str, Any], AfterValidator(_texts)]
Row = Annotated[dict[str, Any], AfterValidator(_plain)]
Moment = Annotated[str, Field(max_length=40), AfterValidator(_moment)]


class Part(BaseModel):
    """A part of the file; what is not known here is covered by the digest all the same, and means nothing."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class SealedPlan(Part):
    """Which plan, and as what: the digest of its text alone, and that of text and variables."""

    name: str
    path: str
    text: Digest
    digest: Digest
    variables: Texts


class SealedGroup(Part):
    """One group of the plan: the ids of its targets, and the rows of one that was discovered."""

    stage: str
    service: str
    connection: str
    source: str
    targets: Annotated[tuple[str, ...], FailFast()]
    listed: Count = 0
    discovered: bool = False
    rows: Annotated[tuple[Row, ...], FailFast()] = ()


class SealedLane(Part):
    """How many targets and calls a lane has in a stage."""

    stage: str
    lane: str
    targets: Count
    calls: Count


class Seal(Part):
    """A sealed plan. `sha256` is the digest of all the rest, and what the journal knows it by."""

    seal: int
    program: str
    created: Moment
    expires: Moment
    plan: SealedPlan
    catalogue: Digest
    config: Digest
    inputs: Texts
    selector: Annotated[tuple[str, ...], FailFast()]
    targets: Count
    calls: Count
    lanes: Annotated[tuple[SealedLane, ...], FailFast()]
    groups: Annotated[tuple[SealedGroup, ...], FailFast()]
    sha256: Digest


def seconds(moment: str) -> float:
    """Return the seconds since the epoch of a moment in a seal."""
    found = datetime.fromisoformat(moment)
    if found.tzinfo is None:
        raise ValueError("no time zone")
    return found.timestamp()


def text_of(moment: float) -> str:
    """Return a moment as a seal has it."""
    return timestamp(moment) or ""


def digest_of(value: object) -> str:
    """Return the SHA-256 of plain values, however their keys are ordered."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


def made(facts: Mapping[str, Any]) -> Seal:
    """Return the seal of these facts, with its digest."""
    unsigned = Seal.model_validate({"seal": VERSION, **facts, "sha256": "0" * 64})
    return unsigned.model_copy(update={"sha256": digest_of(unsigned.model_dump(mode="json", exclude={"sha256"}))})


def write(path: Path, seal: Seal) -> None:
    """Write a seal, whole or not at all, with mode 0600; raise InvalidInput when that cannot be done."""
    try:
        if path.exists() and not path.is_file():
            raise InvalidInput.one("--seal", f"{path} is there, and is no file")
        _replace(path, orjson.dumps(seal.model_dump(mode="json"), option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise InvalidInput.one("--seal", f"{path} cannot be written: {error.strerror}") from None


def read(path: Path) -> Seal:
    """Read a seal; raise InvalidInput for what is none, Refused for one that was changed since it was made."""
    document = _document(path)
    if (version := document.get("seal")) != VERSION or isinstance(version, bool):
        known = isinstance(version, int) and not isinstance(version, bool)
        said = f"is a sealed plan of version {version}; this program reads version {VERSION}" if known else _NO_SEAL
        raise InvalidInput.one(str(path), said)
    try:
        seal = Seal.model_validate(document)
    except ValidationError as error:
        raise InvalidInput(_faults(error, document, path)) from None
    if digest_of({name: value for name, value in document.items() if name != "sha256"}) != seal.sha256:
        raise Refused(f"{path} was changed since it was sealed; nothing was sent")
    return seal


def _faults(error: ValidationError, document: Any, path: Path) -> list[Fault]:
    faults = faults_of(error, Seal, document, "", str(path))
    return [Fault(one.source, one.message, path=one.path or dotted(())) for one in faults[:MAX_FAULTS]]


def _document(path: Path) -> dict[str, Any]:
    try:
        data = _bytes(path)
    except OSError as error:
        raise InvalidInput.one(str(path), f"cannot be read: {error.strerror}") from None
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        whole = f"is not JSON, or was cut off ({error.msg}, line {error.lineno})"
        raise InvalidInput.one(str(path), whole) from None
    if not isinstance(document, dict):
        raise InvalidInput.one(str(path), _NO_SEAL)
    return document


def _bytes(path: Path) -> bytes:
    """Return what is in a file, if it is one, and not too large."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe is not waited for
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise InvalidInput.one(str(path), "is no file")
        if facts.st_size > LARGEST:
            raise InvalidInput.one(str(path), f"has more than {LARGEST >> 20} MiB, which no sealed plan has")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(LARGEST)
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o600), "wb") as file:  # noqa: PTH123  with its mode from the start
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
