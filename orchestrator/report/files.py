"""The report on disk: every file whole or not at all, mode 0600, in a folder of mode 0700."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from orchestrator.private import Replacing, private_folder, sync
from orchestrator.report.csv_writer import CsvWriter
from orchestrator.report.html_writer import HtmlWriter
from orchestrator.report.json_writer import JsonLinesWriter, document
from orchestrator.report.junit_writer import JUnitWriter
from orchestrator.report.markdown_writer import MarkdownWriter
from orchestrator.report.summary import Summary
from orchestrator.report.text import LISTED
from orchestrator.report.writer import Chosen, feed

LATEST = "latest"
FILES = ("outcomes.jsonl", "outcomes.csv", "report.html", "report.md", "junit.xml", "report.json")


class Written(NamedTuple):
    """What came of writing a report: notes for people, and the lines that `text_summary` wants."""

    notes: tuple[str, ...]
    worst: tuple[str, ...]


def write_folder(folder: Path, summary: Summary, lines_factory: Callable[[], Iterable[str]]) -> Written:
    """Write the whole report in one pass over the lines, then point `latest` at it; raises OSError.

    Until everything is on disk the files of an earlier report stay; report.json changes last.
    """
    chosen = Chosen(LISTED)
    with Replacing(private_folder(folder)) as new:
        lines, cells, page, text, cases, report = (new.open(name) for name in FILES)
        writers = (
            JsonLinesWriter(lines),
            CsvWriter(cells),
            HtmlWriter(page, summary),
            MarkdownWriter(text, summary),
            JUnitWriter(cases, summary),
        )
        feed(summary, [*writers, chosen], lines_factory())
        report.write(document(summary))
    return Written(_point_latest(folder), tuple(chosen.worst_lines))


def standing(folder: Path, summary: Summary) -> Written | None:
    """Return what writing a report again would, where it stands complete, says the same, and all is good; else None."""
    try:
        same = (folder / "report.json").read_text(encoding="utf-8") == document(summary)
        if summary.not_good or not same or not all((folder / name).is_file() for name in FILES):
            return None
    except (OSError, UnicodeDecodeError):
        return None
    return Written(_point_latest(folder), ())


def _point_latest(folder: Path) -> tuple[str, ...]:
    """Let `latest` beside the folder point at it; the report stands without, so trouble here is only told."""
    latest, temporary = folder.parent / LATEST, folder.parent / f".{LATEST}.tmp"
    try:
        if latest.exists() and not latest.is_symlink():
            return (f"{latest} is no symbolic link; it is left as it is, and does not point at this report",)
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(folder.name, target_is_directory=True)
        temporary.replace(latest)
        sync(folder.parent)
    except OSError as error:
        return (f"{latest} could not be pointed at this report: {error.strerror or error}",)
    return ()
