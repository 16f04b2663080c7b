"""`doctor`: every connection looked at, in words or as one document."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence

import anyio
import orjson

from orchestrator import app
from orchestrator import doctor as examining
from orchestrator.cli import common
from orchestrator.diagnosis import Check, Diagnosis, Status
from orchestrator.doctor import Wanted
from orchestrator.errors import Fault, InvalidInput
from orchestrator.report.wording import one_line
from orchestrator.validation import choices

LINE = 400


def doctor(options: argparse.Namespace) -> int:
    """Look at the connections of the config; 3 when one of them cannot be used."""
    config_file = common.read_config(options)
    known = app.load_catalogue(config_file)
    faults = [
        *_strangers("connection", options.connections, config_file.config.connections),
        *_strangers("service", options.service, known.services),
    ]
    if not config_file.config.connections:
        faults.append(Fault(config_file.source, "has no connections"))
    if faults:
        raise InvalidInput(faults)
    seconds = common.duration(options.timeout, "--timeout") or 0.0
    found = anyio.run(examining.examine, config_file, known, Wanted(options.connections, options.service, seconds))
    code = 3 if any(one.verdict is Status.FAILED for one in found) else 0
    if options.output == "json":
        document = {"connections": [one.to_json() for one in found], "exit_code": code}
        common.say(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    elif options.output == "text":
        common.say("\n".join(_lines(found)))
    return code


def _strangers(what: str, names: Sequence[str], known: Iterable[str]) -> Iterator[Fault]:
    """Find the names that the config or the catalogue does not have."""
    there = list(known)
    for name in names:
        if name not in there:
            yield Fault(what, f"there is no {what} {name!r}{choices(name, there)}")


def _lines(found: Sequence[Diagnosis]) -> Iterator[str]:
    for one in found:
        who = f" ({one_line(one.who)})" if one.who else ""
        yield f"{one_line(one.connection)}: {one.verdict.upper()}, {one.auth}{who}"
        yield from (f"  {_line(check)}" for check in one.checks)
        if one.do:
            yield f"  what to do: {one_line(one.do, LINE)}"


def _line(check: Check) -> str:
    about = f"{one_line(check.about)}: " if check.about else ""
    return f"{check.status:8} {check.name:12} {about}{one_line(check.said, LINE)}"
