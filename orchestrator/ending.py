"""The end of a run: what nobody will answer any more is settled, the end noted, the report written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from orchestrator import run, story
from orchestrator.errors import ReportError
from orchestrator.report import Summary, Written, standing, write_folder
from orchestrator.view import View


class Finished(NamedTuple):
    """A run that is over: its summary, its report."""

    summary: Summary
    written: Written


async def conclude(view: View, notes: Sequence[str], source_failed: bool, allow_empty: bool) -> Finished:
    """Settle what nobody will answer any more, note the end, write the report."""
    earlier, journal, stop = view.record, view.journal, view.stop
    await journal.flush()
    journal.settle(earlier.run, list(journal.in_flight(earlier.run)))
    await journal.flush()
    cut_off = ["a second signal ended the run in the middle of its calls"] if view.cut_off else []
    halted = [f"{lane.service}@{lane.connection} stopped: {lane.halted}" for lane in view.lanes if lane.halted]
    tally = journal.tally(earlier.run)
    code = run.exit_code(tally, earlier.require, stop, failed=source_failed, allow_empty=allow_empty)
    ended = earlier._replace(exit_code=code, reason=stop.reason, notes=[*cut_off, *halted, *notes])
    as_before = ended == earlier and not journal.counts  # a resume that found nothing to do
    record = ended if as_before else ended._replace(ended=time.time())
    journal.finish(record)
    summary = story.summarized(journal, record, tally, Counter())
    try:
        written = standing(Path(record.folder), summary) if as_before else None
        written = written or write_folder(Path(record.folder), summary, lambda: story.lines(journal, record.run))
    except OSError as error:
        said = f"the run {record.run} ended with exit code {code}, and its report cannot be written to {record.folder}"
        raise ReportError(f"{said}: {error.strerror}; to see it: orchestrator show {record.run}") from None
    return Finished(summary, written)
