"""The supervisor of the tasks that live as long as the daemon: whatever fails in one, it is told, and goes on.

A task that raises ends its nursery, and the nurseries of the services are the daemon. A task foresees its own
errors and no others; so none is started in them but by `supervise`. What lives shorter, a request, a login, a
refresh, takes its failure to those who wait for it, and raises nothing into a nursery that outlives it.
`tests/test_lifetimes.py` holds both.

What a task has to know after a failure, it keeps in an object: its local variables are gone with it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import trio

from accountd.unforeseen import describe_unforeseen, report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVarTuple

    Ts = TypeVarTuple("Ts")

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds until the next try: after the first failure, and after twice as long with each in a row."""

_log = logging.getLogger(__name__)


async def supervise(what: str, work: Callable[[*Ts], Awaitable[object]], *args: *Ts) -> None:
    """Do some work until it returns, or this is cancelled: after each failure once more, from its beginning.

    `what` names it in the log, which is told of each failure once, however often it happens in a row. Work that
    has gone well for longer than the longest pause has recovered, and all is told anew.
    """
    supervision = _Supervision(what)
    while True:
        supervision.begin()
        failed = False
        try:
            await work(*args)
        except* Exception as failure:  # noqa: BLE001 - of nurseries too, beside a cancellation, which goes on
            supervision.note(failure)
            failed = True
        if not failed:
            return
        await trio.sleep(supervision.pause)


class _Supervision:
    """What is known of one task: how long it is left in peace after a failure, and what has been told."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._told: set[str] = set()
        self._began = 0.0
        self.pause = 0.0

    def begin(self) -> None:
        self._began = trio.current_time()

    def note(self, failure: BaseException) -> None:
        """Tell of a failure, unless that is known, and choose the pause after it."""
        if trio.current_time() - self._began > LONGEST_PAUSE:
            self.pause = 0.0
            self._told.clear()
        self.pause = min(2 * self.pause, LONGEST_PAUSE) or FIRST_PAUSE
        name = describe_unforeseen(failure)
        if name not in self._told:
            self._told.add(name)
            report(_log, self._what, failure)
