"""The audit log: who logged in and out, what was refreshed and why, who was given a token. Never a secret.

An event has its time, its name, and who is behind it as far as that is known: the client by the name that it gave
itself, and by the pid and uid that the kernel gave it. What the daemon does by itself has nobody behind it.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final, Literal

from accountd.logs import render_time, what_is_under_way

if TYPE_CHECKING:
    from collections.abc import Callable

Event = Literal[
    "login.started",
    "login.completed",
    "login.failed",
    "login.cancelled",
    "login.cancel",  # somebody asked for it
    "logout",
    "refresh",
    "token.handedOut",
    "token.supplied",
]

_WHO: Final = ("client", "pid", "uid", "connection", "request", "login")

_MAX_TEXT: Final = 100
"""Characters of a client's own name, or of anything else; nobody has a longer one for a good reason."""


class AuditLog:
    """Takes events, and hands each on as a line of JSON; without `append`, nowhere."""

    def __init__(self, append: Callable[[bytes], None] | None = None, now: Callable[[], float] = time.time) -> None:
        self._append = append
        self._now = now

    def note(self, event: Event, **facts: str | float | None) -> None:
        """Write an event down, with what there is to know about it. Never raises; waits for the disk alone.

        The facts are words of this package and ids, never texts from elsewhere: those may quote what was sent.
        """
        if self._append is None:
            return
        known = what_is_under_way()
        members = {name: known[name] for name in _WHO if name in known} | facts
        line: dict[str, object] = {"time": render_time(self._now()), "event": event}
        line |= {name: _cut(value) for name, value in members.items() if value is not None}
        self._append(json.dumps(line).encode("ascii") + b"\n")


def _cut(value: object) -> object:
    return value[:_MAX_TEXT] if isinstance(value, str) else value
