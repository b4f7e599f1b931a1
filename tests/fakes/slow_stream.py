"""A stream whose other side takes its time, and who writes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from accountd.rpc.outbox import Outbox


class SlowStream(trio.abc.SendStream):
    """A stream that takes a second for everything; `sent` has the pieces."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.busy = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See SendStream."""
        assert not self.busy
        self.busy = True
        await trio.sleep(1)
        self.busy = False
        self.sent.append(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        """See SendStream."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """See SendStream."""
        await trio.lowlevel.checkpoint()


class Writers:
    """Starts the writers of an outbox in a nursery, and counts them."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.started = 0
        self.outbox: Outbox
        self._nursery = nursery

    def start(self) -> None:
        """Start one."""
        self.started += 1
        self._nursery.start_soon(self.outbox.flush)
