"""The daemon's socket in memory, for the library on trio: real connections, which a test can cut or refuse."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio
import trio.testing

from accountd.client.connecting import introduce
from accountd.client.errors import NothingListens
from accountd.client.opening import open_client
from accountd.framing.detect import DetectedFraming
from accountd.server.connection import Connection
from fakes.client import CONFIG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from accountd.client.client import Client
    from accountd.server.call import Services
    from fakes.client import MemoryStream

    Serve = Callable[[MemoryStream], Awaitable[None]]


class Door:
    """Opened by a client; `started` counts the times that one wanted a daemon to be started."""

    def __init__(self, nursery: trio.Nursery, serve: Serve) -> None:
        self.is_open = True
        self.opened = 0
        self.started = 0
        self._nursery = nursery
        self._serve = serve
        self._scopes: list[trio.CancelScope] = []

    async def open(self, start: bool) -> trio.abc.Stream:
        """Connect, as the library's own way does; a daemon that is started makes the door open."""
        await trio.lowlevel.checkpoint()
        if not self.is_open:
            if not start:
                raise NothingListens("nothing listens on /s")
            self.is_open = True
            self.started += 1
        self.opened += 1
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self._live, theirs)
        return ours

    async def _live(self, stream: MemoryStream) -> None:
        with trio.CancelScope() as scope:
            self._scopes.append(scope)
            await self._serve(stream)
        await stream.aclose()

    async def shut(self) -> None:
        """End every connection, and let nobody in any more, as a daemon does that ends."""
        self.is_open = False
        for scope in self._scopes:
            scope.cancel()
        await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def open_library(services: Services, *, start: bool = False) -> AsyncIterator[tuple[Client, Door]]:
    """Give a client of the library that is connected to these services, and its door."""

    async def serve(stream: MemoryStream) -> None:
        await Connection(stream, DetectedFraming(), services, CONFIG).run()

    async with open_library_of(serve, start=start) as both:
        yield both


@asynccontextmanager
async def open_library_of(
    serve: Serve, *, start: bool = False, eager: bool = True, keepalive: float | None = None
) -> AsyncIterator[tuple[Client, Door]]:
    """Give a client of the library that is served by this function, and its door. Errors come out as they are."""
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        door = Door(nursery, serve)
        try:
            async with open_client(
                Path("/s"), door.open, introduce("tests", None), start=start, eager=eager, keepalive=keepalive
            ) as client:
                yield client, door
        except Exception as error:  # noqa: BLE001 - raised below, outside of the nursery
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
