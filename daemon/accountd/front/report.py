"""What the daemon is told of this front, for `accountd status`: its sockets, the Codex behind it, and its login.

It is told anew when any of that has changed, and when the daemon is another one; a daemon that is not there is not
started for it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

import trio

from accountd import paths
from accountd.client.errors import ClientError
from accountd.client.notifications import Gap
from accountd.protocol.status import AppServerStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from accountd.client.client import Client
    from accountd.front.feed import Feed


class Report:
    """What there is to tell. `change` is to be called when the agent or its login is another one."""

    def __init__(self) -> None:
        self._sockets: list[str] = []
        self._changed = trio.Event()

    def change(self) -> None:
        """Have it told anew."""
        self._changed.set()

    @contextmanager
    def listening(self, place: Path) -> Iterator[None]:
        """Tell of a socket for the block."""
        told = paths.tell(place)
        self._sockets.append(told)
        self.change()
        try:
            yield
        finally:
            self._sockets.remove(told)
            self.change()

    async def follow(self, daemon: Client, feed: Feed) -> NoReturn:
        """Tell the daemon, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell, daemon, feed)
            async for notification in daemon.notifications():
                if isinstance(notification, Gap):
                    self.change()
        raise AssertionError("notifications do not end")

    async def _tell(self, daemon: Client, feed: Feed) -> None:
        while True:
            self._changed = trio.Event()
            if daemon.is_connected:
                with suppress(ClientError):  # one of an older version does not know of it; another one is told
                    report = AppServerStatus(os.getpid(), tuple(self._sockets), feed.describe_agents())
                    await daemon.report_app_server(report)
            await self._changed.wait()
