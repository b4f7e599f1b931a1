"""How a Client comes to be: the lifetimes around it, and the way to its connections."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from accountd import paths
from accountd.client.client import CONNECT_TIMEOUT, Client
from accountd.client.connecting import introduce, open_connection
from accountd.client.prelude import say_prelude

if TYPE_CHECKING:
    import socket as sockets
    from collections.abc import AsyncIterator, Mapping

    from accountd.client.client import OpenStream


@asynccontextmanager
async def connect(
    socket: Path | str | None = None,
    *,
    name: str = "accountd-client",
    title: str | None = None,
    start: bool = True,
    account: str | None = None,
) -> AsyncIterator[Client]:
    """Connect to the daemon of this environment, or at `socket`; where none listens, start one unless told not to.

    `name` is who the daemon, and the issuer of a browser login, are told is asking; `title` is for people. With
    `account` the connection means that one, by any of its names, whichever is active.

    Raises NothingListens, with `start` DaemonNotStarted; DaemonUnreachable if it is another person's socket or may
    not be opened; ConnectionLost or CallTimedOut if what listens there does not answer as a daemon does; CallFailed
    for an account that there is not; ConfigError if this environment names no path.
    """
    path = Path(paths.socket_path(os.environ) if socket is None else socket)
    introduction = introduce(name, title)
    async with open_client(path, partial(open_stream, path, account=account), introduction, start=start) as client:
        yield client


@asynccontextmanager
async def open_client(
    path: Path,
    open_stream: OpenStream,
    introduction: Mapping[str, object],
    *,
    start: bool,
    eager: bool = True,
    keepalive: float | None = None,
) -> AsyncIterator[Client]:
    """Yield a client that is connected, by `open_stream`; `path` is for its errors. See connect.

    Unless it is `eager`, it is connected when something is asked for or followed. With `keepalive`, an answer is
    asked for each so many seconds, and a connection on which none comes for as long is ended.
    """
    failure: BaseException | None = None
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as endings:
            client = Client(
                path,
                open_stream,
                introduction,
                connections=connections,
                endings=endings,
                start=start,
                keepalive=keepalive,
            )
            try:
                if eager:
                    await client.ensure_connected()
                yield client
            except trio.Cancelled:
                raise
            except BaseException as error:  # noqa: BLE001 - raised below, where no nursery makes a group of it
                failure = error  # a Ctrl-C, too, which whoever has called this catches by its name
        connections.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def open_stream(path: Path, start: bool, *, account: str | None = None) -> trio.SocketStream:
    """Connect to the daemon at `path`, or to one that is started. Raises what `connect` does of a socket.

    It is opened in a thread: starting a daemon blocks. Whoever is cancelled meanwhile leaves none open.
    """
    opened: list[sockets.socket] = []
    is_left = False

    def work() -> None:
        opened.append(open_connection(path, CONNECT_TIMEOUT, start=start))
        if account is not None:
            say_prelude(opened[0], account)
        if is_left:
            opened[0].close()

    try:
        await trio.to_thread.run_sync(work, abandon_on_cancel=True)
    except BaseException:  # a cancellation, too: nobody gets what is opened
        is_left = True
        for connection in opened:
            connection.close()
        raise
    return trio.SocketStream(trio.socket.from_stdlib_socket(opened[0]))
