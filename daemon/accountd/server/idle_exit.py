"""When nobody has been here for a while: for a daemon that ends then, because the next client starts another."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Iterator


class IdleExit:
    """Counts those who are here. It wakes nobody but who waits in `wait`."""

    def __init__(self) -> None:
        self._here = 0
        self._emptied = 0
        """How often the last one has left."""
        self._changed = trio.Event()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Be here during the block."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    async def wait(self, seconds: float) -> None:
        """Wait until nobody has been here for so long, from now on."""
        while True:
            changed = self._changed
            with trio.move_on_after(math.inf if self._here else seconds) as patience:
                await changed.wait()
            if patience.cancelled_caught:
                return

    async def wait_left(self) -> None:
        """Wait until, from now on, the last of those who are here has left."""
        before = self._emptied
        while self._emptied == before:
            await self._changed.wait()

    def _count(self, step: int) -> None:
        self._here += step
        self._emptied += not self._here
        self._changed.set()
        self._changed = trio.Event()
