"""The accept loop. It outlives what it cannot have: descriptors, above all, that others use up."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio

from accountd.errors import describe_shortage
from accountd.unforeseen import report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import NoReturn

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
"""Seconds until the next try: at first, and after twice as long each time. Nobody tells when there is room."""

_log = logging.getLogger(__name__)


async def accept_clients(
    listener: trio.abc.Listener[trio.SocketStream],
    serve: Callable[[trio.SocketStream], Awaitable[None]],
    clients: trio.Nursery,
) -> NoReturn:
    """Serve each client, and close it, by a task in `clients`, until cancelled; then close the listener.

    Serving one ends at its failure, and nobody else's connection does. What accept(2) fails with for good, or for
    a reason that is not known to pass, is raised.

    Where there is no room for clients, they wait in the queue of the socket. Differs from trio.serve_listeners in
    what it logs meanwhile: two lines, not ten a second.
    """
    pause = 0.0
    async with listener:
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                if (shortage := describe_shortage(error)) is None:
                    raise
                if not pause:
                    _log.error("no more clients for now, until there is room: %s", shortage)
                pause = min(max(FIRST_PAUSE, 2 * pause), LONGEST_PAUSE)
                await trio.sleep(pause)
                continue
            if pause:
                pause = 0.0
                _log.warning("there is room for clients again")
            clients.start_soon(_serve, serve, stream)


async def _serve(serve: Callable[[trio.SocketStream], Awaitable[None]], stream: trio.SocketStream) -> None:
    try:
        await serve(stream)
    except Exception as error:  # noqa: BLE001 - a bug ends its connection, not whoever accepts others
        report(_log, "a connection", error)
        await _hang_up(stream)
    except BaseException:  # it closes the stream itself, if it comes that far
        await _hang_up(stream)
        raise


async def _hang_up(stream: trio.SocketStream) -> None:
    with suppress(Exception):
        await trio.aclose_forcefully(stream)
