"""How a line of the log is written: as text, as JSON, or for the journal. One event is one line, and has no secret.

Of an exception, if somebody logs one, its class and its way are told, and never its text.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING, Final

from accountd.logs.context import FIELDS, bound_fields
from accountd.redaction import redact
from accountd.unforeseen import describe_unforeseen, describe_way

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""Levels of syslog, as sd-daemon(3) reads them off the beginning of a line; what is below is 7, for debugging."""


def choose_format(environ: Mapping[str, str]) -> str:
    """Find out whether the journal reads stderr, which systemd.exec(5) says how to.

    The variable is inherited by processes whose stderr is something else; hence the comparison.
    """
    try:
        found = os.fstat(2)
    except OSError:
        return "text"
    return "journald" if environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}" else "text"


def _escape(text: str) -> str:
    r"""Make one line of any text: what is not printable is spelled out, such as a newline as `\n`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class _TextFormatter(logging.Formatter):
    """`TIME LEVEL LOGGER: MESSAGE [connection=3 pid=4711 …]`, for people; where it failed is indented below it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's own name
        known = bound_fields()
        fields = " ".join(f"{name}={known[name]}" for name in FIELDS if name in known)
        return _escape(super().formatMessage(record) + (f" [{fields}]" if fields else ""))

    def format(self, record: logging.LogRecord) -> str:
        record.message = redact(record.getMessage())
        if self.usesTime():
            record.asctime = self.formatTime(record)
        lines = [self.formatMessage(record), *(f"    {_escape(line)}" for line in _trace(record))]
        return "\n".join(map(self._begin(record).__add__, lines))

    def _begin(self, record: logging.LogRecord) -> str:  # noqa: ARG002  # the journal's begin differs
        return ""


class _JournalFormatter(_TextFormatter):
    """The same without the time, which the journal notes itself, and with the level on every line, as it wants."""

    def __init__(self) -> None:
        logging.Formatter.__init__(self, "%(name)s: %(message)s")

    def _begin(self, record: logging.LogRecord) -> str:
        return f"<{next((number for level, number in _PRIORITIES if record.levelno >= level), 7)}>"


class _JsonFormatter(logging.Formatter):
    """One object a line, in ASCII, whatever the locale is."""

    def format(self, record: logging.LogRecord) -> str:
        known = bound_fields()
        event = {
            "time": render_time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
            **{name: known[name] for name in FIELDS if name in known},
        }
        if lines := _trace(record):
            event["traceback"] = "\n".join(lines)
        return json.dumps(event)


FORMATTERS: Final[dict[str, Callable[[], logging.Formatter]]] = {
    "text": _TextFormatter,
    "json": _JsonFormatter,
    "journald": _JournalFormatter,
}


def render_time(moment: float) -> str:
    """Write a Unix time as RFC 3339 has it: UTC, to the millisecond."""
    whole, milliseconds = divmod(int(moment * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{milliseconds:03d}Z"


def _trace(record: logging.LogRecord) -> list[str]:
    """Return which exception a record is about, and which way it came."""
    error = record.exc_info[1] if record.exc_info else None
    return [] if error is None else [describe_unforeseen(error), *describe_way(error).split(", ")]
