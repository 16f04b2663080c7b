"""Reports: a fold over the records of a run, written as files, or to a stream in one of the formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TextIO

from orchestrator.report import csv_writer, html_writer, json_writer, junit_writer, markdown_writer
from orchestrator.report.files import Written, standing, write_folder
from orchestrator.report.residual import statement
from orchestrator.report.summary import Summary, summarize
from orchestrator.report.text import text_summary

Write = Callable[[TextIO, Summary, Iterable[str]], None]

FORMATS: dict[str, Write] = {
    "html": html_writer.write,
    "json": json_writer.write,
    "csv": csv_writer.write,
    "junit": junit_writer.write,
    "markdown": markdown_writer.write,
}

__all__ = [
    "FORMATS",
    "Summary",
    "Write",
    "Written",
    "standing",
    "statement",
    "summarize",
    "text_summary",
    "write_folder",
]
