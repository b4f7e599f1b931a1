"""What a crowd leaves behind when it has left: memory, which is given back to the system a moment later.

A client or two leave nothing that the next one would not use. So nothing is done before there was a crowd, and a
daemon that is idle stays idle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

CROWD: Final = 32
"""Clients that have left, by which it was one. Each leaves some ten kilobytes between what others use."""

_UNIT: Final = 64 << 10
"""Bytes that were kept for a client, by which it counts as one more."""

PAUSE: Final = 3.0
"""Seconds from then on, in which the rest of it leaves too; and between two times, since each takes some hundredths
of a second from those who are there."""


class MemoryRelease:
    """Counts those who leave, and calls `release` when they were many. It wakes nobody before."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release = release
        self._left = 0
        self._crowd = trio.Event()

    def note(self, kept: int) -> None:
        """Note that a client has left, for which so many bytes were kept at most."""
        self._left += 1 + kept // _UNIT
        if self._left >= CROWD:
            self._crowd.set()

    async def serve(self) -> NoReturn:
        """Give back what crowds leave, until cancelled."""
        while True:
            await self._crowd.wait()
            await trio.sleep(PAUSE)
            self._left, self._crowd = 0, trio.Event()
            self._release()
