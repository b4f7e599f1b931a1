"""Where all lines of the log pass: limited, written in the chosen form, and handed to the writer."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from accountd.logs.formats import FORMATTERS, choose_format
from accountd.logs.limiter import PERIOD, Limiter
from accountd.logs.own_file import open_own_file
from accountd.logs.writer import LineWriter
from accountd.redaction import redact

if TYPE_CHECKING:
    from accountd.logs.limiter import Repeats

FLUSH_TIMEOUT: Final = 1.0
"""Seconds that the end of the process waits for its last lines to be taken."""

_STDERR: Final = 2


class LogHandler(logging.Handler):
    """The one handler of the daemon. `form` is how lines are written: text, json or journald.

    `own_file` is the path of the log that this program keeps, which is rotated if stderr is that very file.
    """

    def __init__(self, form: str, own_file: str | None = None, descriptor: int = _STDERR) -> None:
        super().__init__()
        self.form = form
        self.setFormatter(FORMATTERS[form]())
        self._limiter = Limiter()
        self._limiting = threading.Lock()  # not the handler's own, which is held while it is flushed at the end
        self._has_given_up = False
        self._writer = LineWriter(
            descriptor,
            prepare=open_own_file(own_file, descriptor),
            render_lost=self._render_lost,
            on_idle=self._tell_repeats,
        )

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler.emit. Never waits for whoever reads."""
        try:
            now = time.monotonic()
            with self._limiting:
                due = self._limiter.due
                repeats = list(self._limiter.collect(now))
                is_admitted = self._limiter.admit(record, now)
                is_new = self._limiter.due != due
            self._tell(repeats)
            if is_admitted:
                self._writer.put(self._render(record))
            elif is_new:
                self._writer.wake()  # who may be asleep for longer
        except Exception:  # noqa: BLE001 - whoever logs is not to fail by it, whatever is in the line
            self.handleError(record)

    def say(self, text: str) -> None:
        """Write a line for a person, in no form, and wait for it to be taken, for a second at most."""
        self._writer.put(_encode(redact(text)))
        self.flush()

    def flush(self) -> None:
        """Wait until all lines are taken, for a second at most; but once, if nobody takes them."""
        if not self._has_given_up:
            self._has_given_up = not self._writer.flush(FLUSH_TIMEOUT)

    def close(self) -> None:
        """See logging.Handler.close. What was left out until now is told."""
        self._tell_repeats(float("inf"))
        self.flush()
        self._writer.close()
        super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's own name
        """See logging.Handler.handleError, which would write what could not be rendered to stderr."""
        self._writer.put(_encode(f"{record.levelname} {record.name}: a line that cannot be written"))

    def _tell_repeats(self, now: float | None = None) -> float | None:
        """Write how many were left out in periods that are over; give the seconds until the next one is."""
        now = time.monotonic() if now is None else now
        with self._limiting:
            repeats, due = list(self._limiter.collect(now)), self._limiter.due
        self._tell(repeats)
        return None if due is None else max(0.0, due - now)

    def _tell(self, repeats: list[Repeats]) -> None:
        for logger, level, message, number in repeats:
            text = f"{number} more of these within {PERIOD:.0f} s: {message}"
            self._writer.put(self._render_text(logger, level, text))

    def _render_lost(self, count: int) -> bytes:
        return self._render_text(
            __name__, logging.WARNING, f"{count} lines are lost, since nobody read them in time"
        )

    def _render_text(self, logger: str, level: int, text: str) -> bytes:
        return self._render(logging.LogRecord(logger, level, "", 0, text, None, None))

    def _render(self, record: logging.LogRecord) -> bytes:
        return _encode(self.format(record))


def _encode(text: str) -> bytes:
    return f"{text}\n".encode(sys.stderr.encoding or "utf-8", "backslashreplace")


def set_up(level: str, form: str | None = None, own_file: str | None = None) -> LogHandler:
    """Log from now on, to stderr; without a form, as whoever reads stderr wants it. See LogHandler for the rest."""
    handler = LogHandler(form or choose_format(os.environ), own_file)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    # httpx and httpcore log URLs and headers; what is worth saying about a request, we say ourselves.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return handler
