"""Logs: structlog on standard error, as console lines or JSON. Secrets never get as far as here.

Most runs say nothing here, and structlog with its console takes a tenth of a start: it is imported for the first line
that is let through.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class _Chosen:
    """The least level that is let through, and the form, until structlog has been told of it."""

    level = logging.NOTSET  # as structlog does before anybody sets it up
    form: str | None = None


_chosen = _Chosen()


class Log:
    """Where a module says what happens: an event in snake case, and facts by name, `bound` ones in every line."""

    def __init__(self, **bound: Any) -> None:
        self._bound = bound

    def bind(self, **facts: Any) -> Log:
        """Return a log with more bound facts."""
        return Log(**self._bound, **facts)

    def tells_debug(self) -> bool:
        """Return whether such lines are let through, for who would put many together."""
        return _chosen.level <= logging.DEBUG

    def debug(self, event: str, **facts: Any) -> None:
        """Tell what only somebody who looks for a mistake wants to know."""
        self._tell(logging.DEBUG, "debug", event, facts)

    def info(self, event: str, **facts: Any) -> None:
        """Tell how things go."""
        self._tell(logging.INFO, "info", event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Tell what somebody should look at."""
        self._tell(logging.WARNING, "warning", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        """Tell what went wrong."""
        self._tell(logging.ERROR, "error", event, facts)

    def _tell(self, level: int, name: str, event: str, facts: dict[str, Any]) -> None:
        if level >= _chosen.level:
            getattr(_structlog(), name)(event, **self._bound, **facts)


class _StandardError:
    """Writes to what `sys.stderr` is at the moment, so that a live progress table can take it over."""

    def write(self, text: str) -> int:
        with suppress(OSError):  # whoever read it is gone, which is no reason to stop
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure(level: str, form: str) -> None:
    """Set up logging for the process: `level` is debug, info, warning or error; `form` is console or json."""
    _chosen.level, _chosen.form = LEVELS[level], form


def reset() -> None:
    """Let logging be as before anybody set it up."""
    _chosen.level, _chosen.form = logging.NOTSET, None


def _structlog() -> Any:
    """Return structlog's logger, which is told once how to render."""
    import structlog

    if _chosen.form is not None:
        _set_up(_chosen.level, _chosen.form)
        _chosen.form = None
    return structlog.get_logger()


def _set_up(level: int, form: str) -> None:
    import structlog

    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=_StandardError()),  # type: ignore[arg-type]
    )
