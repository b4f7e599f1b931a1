"""The log, on stderr: one line an event, with what it is about; as text, as JSON, or for the journal.

What an event is about is not said by whoever logs it, but known: `about` names it for a block, and trio hands it
down to the tasks that are started there. So a warning from deep inside a refresh tells whose request it was.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

FIELDS: Final = ("connection", "door", "pid", "uid", "request", "login")
"""What a line of the log tells of what is under way. A client's own words are not among it."""

_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""Levels of syslog, as sd-daemon(3) reads them off the beginning of a line; what is below is 7, for debugging."""

_under_way: ContextVar[Mapping[str, object] | None] = ContextVar("under_way", default=None)


class _About:
    """See about. A class, since every request passes through one, and a generator takes three times as long."""

    __slots__ = ("_before", "_fields")

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    def __enter__(self) -> None:
        self._before = _under_way.get()
        _under_way.set({**self._before, **self._fields} if self._before else self._fields)

    def __exit__(self, *_: object) -> None:
        _under_way.set(self._before)


def about(**fields: object) -> AbstractContextManager[None]:
    """Say what is under way in the block, and in tasks that are started in it, besides what is known already."""
    return _About(fields)


def what_is_under_way() -> Mapping[str, object]:
    """Give what the blocks around this have said."""
    return _under_way.get() or {}


def set_up(level: str, form: str | None = None) -> str:
    """Log from now on, to stderr; without a form, as whoever reads stderr wants it. Give the form."""
    form = form or _choose_format(os.environ)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FORMATTERS[form]())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    # httpx and httpcore log URLs and headers; what is worth saying about a request, we say ourselves.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return form


def _choose_format(environ: Mapping[str, str]) -> str:
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
    """`TIME LEVEL LOGGER: MESSAGE [connection=3 pid=4711 …]`, for people; a traceback is indented below it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's own name
        known = what_is_under_way()
        fields = " ".join(f"{name}={known[name]}" for name in FIELDS if name in known)
        return _escape(super().formatMessage(record) + (f" [{fields}]" if fields else ""))

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        if self.usesTime():
            record.asctime = self.formatTime(record)
        lines = [self.formatMessage(record), *(f"    {_escape(line)}" for line in _traceback(self, record))]
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
        known = what_is_under_way()
        event = {
            "time": render_time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: known[name] for name in FIELDS if name in known},
        }
        if lines := _traceback(self, record):
            event["traceback"] = "\n".join(lines)
        return json.dumps(event)


_FORMATTERS: Final[dict[str, Callable[[], logging.Formatter]]] = {
    "text": _TextFormatter,
    "json": _JsonFormatter,
    "journald": _JournalFormatter,
}


def render_time(moment: float) -> str:
    """Write a Unix time as RFC 3339 has it: UTC, to the millisecond."""
    whole, milliseconds = divmod(int(moment * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{milliseconds:03d}Z"


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    return formatter.formatException(record.exc_info).splitlines() if record.exc_info else []
