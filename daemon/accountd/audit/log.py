"""The audit log: who logged in and out, what was refreshed and why, who was given a token. Never a secret.

An event has its time, its name, and who is behind it as far as that is known: the client by the name that it gave
itself, and by the pid and uid that the kernel gave it. What the daemon does by itself has nobody behind it.

What guests cause, who come by the token socket, has a room of its own, or one of them could fill it until all that
the others did is rotated away. And of the tokens that they are handed the first few of each minute are there, so
that none of them can do so to another; of the rest there is the number.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from accountd import paths
from accountd.audit.file import AuditFile
from accountd.logs import bound_fields, render_time
from accountd.redaction import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

Event = Literal[
    "login.started",
    "login.completed",
    "login.failed",
    "login.cancelled",
    "login.cancel",  # somebody asked for it
    "logout",
    "account.added",
    "account.selected",
    "account.removed",
    "account.switched",
    "refresh",
    "workspace.switched",
    "token.handedOut",
    "token.supplied",
    "token.omitted",  # of guests: so many hand-outs are not here
]

_WHO: Final = ("client", "door", "pid", "uid", "connection", "request", "login")

GUESTS_HAND_OUTS: Final = 20
"""Hand-outs to guests that are written in a minute; at most, some four kilobytes."""

_MINUTE: Final = 60.0

_IDS: Final = ("account", "login", "from", "to")
"""Facts that are ids. A client that supplies tokens says whose they are, and may say anything."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NO_ID: Final = "not an id"

_MAX_TEXT: Final = 100
"""Characters of a client's own name, or of anything else; nobody has a longer one for a good reason."""


class AuditLog:
    """Takes events, and hands each on as a line of JSON; without `append`, nowhere.

    Those of guests go to `append_of_guests`.
    """

    def __init__(
        self,
        append: Callable[[bytes], None] | None = None,
        now: Callable[[], float] = time.time,
        *,
        append_of_guests: Callable[[bytes], None] | None = None,
    ) -> None:
        self._append = append
        self._append_of_guests = append_of_guests
        self._now = now
        self._minute = 0.0  # when it began
        self._written = 0
        self._omitted = 0

    def note(self, event: Event, **facts: str | float | None) -> None:
        """Write an event down, with what there is to know about it. Never raises; waits for the disk alone.

        The facts are words of this package and ids, never texts from elsewhere: those may quote what was sent.
        """
        known = bound_fields()
        is_of_guest = "door" in known
        append = self._append_of_guests if is_of_guest else self._append
        if append is None:
            return
        now = self._now()
        if is_of_guest and event == "token.handedOut" and not self._has_room(now, append):
            self._omitted += 1
            return
        members = {name: known[name] for name in _WHO if name in known} | facts
        append(_render(now, event, members))

    def close(self) -> None:
        """Write what is left to say: how many hand-outs were not written."""
        if self._append_of_guests is not None:
            self._tell_omitted(self._now(), self._append_of_guests)

    def _has_room(self, now: float, append: Callable[[bytes], None]) -> bool:
        """Return True if one more hand-out to a guest is written; with a new minute comes the count of the last."""
        if not 0 <= now - self._minute < _MINUTE:  # or the clock was set back
            self._tell_omitted(now, append)
            self._minute, self._written = now, 0
        self._written += 1
        return self._written <= GUESTS_HAND_OUTS

    def _tell_omitted(self, now: float, append: Callable[[bytes], None]) -> None:
        if self._omitted:
            append(_render(now, "token.omitted", {"count": self._omitted, "since": render_time(self._minute)}))
            self._omitted = 0


def _render(now: float, event: Event, members: Mapping[str, object]) -> bytes:
    line: dict[str, object] = {"time": render_time(now), "event": event}
    line |= {name: _tell(name, value) for name, value in members.items() if value is not None}
    return json.dumps(line).encode("ascii") + b"\n"


def _tell(name: str, value: object) -> object:
    """Return what a line has of a fact: of a text one short line without secrets; of an id what looks like one."""
    if not isinstance(value, str):
        return value
    text = quote(value, _MAX_TEXT)
    return text if name not in _IDS or _ID.fullmatch(text) else _NO_ID


@contextmanager
def open_audit_log(folder: Path, *, wanted: bool) -> Iterator[AuditLog]:
    """Yield an audit log that writes below a folder; where none is wanted, one that writes nowhere."""
    if not wanted:
        yield AuditLog()
        return
    guests = AuditFile(folder / paths.AUDIT_LOG_OF_GUESTS)
    audit = AuditLog(AuditFile(folder / paths.AUDIT_LOG).append, append_of_guests=guests.append)
    try:
        yield audit
    finally:
        audit.close()
