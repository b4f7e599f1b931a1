"""Which lines of the log are left out, so that nobody fills a disk: the first few of a kind are told, then a count.

A kind is a place in the code, and the door that a client came in by: its logger, its level and its text before
anything is filled in. Where it depends on others how often something happens, whoever logs it adds
`extra={"kind": …}`, such as the uid of a stranger, so that one does not hide another. No I/O and no clock: times,
in seconds of any steady clock, are handed in.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from accountd.logs.context import bound_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW: Final = 10
"""Lines of a kind in one period. Whoever looks for a cause has it in the first."""

PERIOD: Final = 60.0
"""Seconds, from the first of a kind."""

MAX_KINDS: Final = 256
"""Kinds that are told apart. The code has some hundred; whoever can be many, such as uids, shares after that."""


class Repeats(NamedTuple):
    """How many of a kind were left out. The message is that of the first of them, and stands for all."""

    logger: str
    level: int
    message: str
    number: int


class _Kind:
    __slots__ = ("count", "end", "first")

    def __init__(self, end: float) -> None:
        self.end = end
        self.count = 0
        self.first: Repeats | None = None  # of those that were left out


class Limiter:
    """Counts. `due` is when something is to be collected; None if nothing was left out."""

    def __init__(self) -> None:
        self.due: float | None = None
        self._kinds: dict[object, _Kind] = {}

    def admit(self, record: logging.LogRecord, now: float) -> bool:
        """Return True if a line is to be written. With debugging, each is; see `collect` for the others."""
        if record.levelno <= logging.DEBUG:
            return True
        kind = self._find(record, now)
        kind.count += 1
        if kind.count <= FEW:
            return True
        if kind.first is None:
            kind.first = Repeats(record.name, record.levelno, record.getMessage(), 0)
            self.due = kind.end if self.due is None else min(self.due, kind.end)
        return False

    def collect(self, now: float) -> Iterator[Repeats]:
        """Take out what was left out in periods that are over."""
        if self.due is None or now < self.due:
            return
        over = [name for name, kind in self._kinds.items() if kind.end <= now]
        for kind in map(self._kinds.pop, over):
            if kind.first is not None:
                yield kind.first._replace(number=kind.count - FEW)
        self.due = min((kind.end for kind in self._kinds.values() if kind.first is not None), default=None)

    def _find(self, record: logging.LogRecord, now: float) -> _Kind:
        place = (record.name, record.levelno, str(record.msg)[:200], bound_fields().get("door"))
        name: object = (*place, getattr(record, "kind", None))
        if name not in self._kinds and len(self._kinds) >= MAX_KINDS:
            quiet = [old for old, kind in self._kinds.items() if kind.end <= now and kind.first is None]
            for old in quiet:
                del self._kinds[old]
            if not quiet:
                name = (*place, None) if (*place, None) in self._kinds else ()
        kind = self._kinds.get(name)
        if kind is None or (kind.end <= now and kind.first is None):
            kind = self._kinds[name] = _Kind(now + PERIOD)
        return kind
