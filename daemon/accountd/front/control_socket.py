"""The socket at which plain `codex` looks for a shared app-server before it starts one of its own.

A listener there that hangs makes `codex` fail after twenty seconds, where a file without a listener is passed over.
So nobody listens before there is an agent that has answered, and nobody goes on listening when none can be had, or
while we are stopped (`guard`). A server of Codex's own that is there already is left alone. While it is looked for,
and until we listen, Codex is kept from starting one, by its own lock.
"""

from __future__ import annotations

import fcntl
import logging
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, BinaryIO, Final

import trio

from accountd import paths
from accountd.errors import AgentUnavailable, SocketError, describe_os_error
from accountd.system.file_watch import wait_until_moved
from accountd.system.unix_socket import identify, is_live, open_unix_listener

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path
    from typing import NoReturn

    from accountd.front.agent import Agent
    from accountd.front.sides import Sides

RETRY_DELAY: Final = 30.0
"""Seconds until the next try to have an agent, or the socket."""

_LOCK_TIMEOUT: Final = 10.0
_PAUSE: Final = 0.05

_log = logging.getLogger(__name__)


async def serve_control_socket(
    place: Path, sides: Sides, accept: Callable[[trio.SocketListener], Awaitable[None]]
) -> NoReturn:
    """Have clients accepted at the socket as long as there is an agent for them, until cancelled."""
    while True:
        try:
            await sides.agent.wait_ready()
            with ExitStack() as held:
                listener = await _open(place, sides.environ, held)
                held.enter_context(sides.report.listening(place))
                _log.info("serving plain codex at %s", place)
                is_removed = await _serve_while_there(place, listener, sides.agent, accept)
            if is_removed:
                continue
            _log.error("not serving plain codex any more: no agent is to be had")
        except (AgentUnavailable, SocketError) as error:
            _log.error("not serving plain codex: %s", error)
        await trio.sleep(RETRY_DELAY)


async def _serve_while_there(
    place: Path,
    listener: trio.SocketListener,
    agent: Agent,
    accept: Callable[[trio.SocketListener], Awaitable[None]],
) -> bool:
    """Have clients accepted until no agent is to be had; True if it is the socket that is not there any more."""
    identity, is_removed = identify(place), False
    async with trio.open_nursery() as nursery:

        async def wait_removed() -> None:
            nonlocal is_removed
            await wait_until_moved(place, lambda: identify(place) == identity)
            is_removed = True
            nursery.cancel_scope.cancel()

        nursery.start_soon(accept, listener)
        nursery.start_soon(wait_removed)
        await agent.wait_unavailable()
        nursery.cancel_scope.cancel()
    return is_removed


async def _open(place: Path, environ: Mapping[str, str], held: ExitStack) -> trio.SocketListener:
    """Listen until `held` is left. Raises SocketError, also if a server is there."""
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(paths.codex_startup_lock(environ), "ab") as lock:
            await _take(lock)
            _clear_dead_link(place)
            return held.enter_context(open_unix_listener(place))
    except SocketError as error:
        raise SocketError(f"{error}; if it is Codex's own, `codex app-server daemon stop` ends it") from error
    except OSError as error:
        raise SocketError(f"cannot listen on {place}: {describe_os_error(error)}") from error


def _clear_dead_link(place: Path) -> None:
    """Remove what a server of Codex's own leaves when it is killed, which listens elsewhere and has a link here."""
    if place.is_symlink():
        if is_live(place):
            raise SocketError(f"the socket is already in use by a running server: {place}")
        place.unlink()


async def _take(lock: BinaryIO) -> None:
    """Take Codex's lock; whoever has it is starting a server, which takes a moment."""
    with trio.move_on_after(_LOCK_TIMEOUT):
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            await trio.sleep(_PAUSE)
    raise SocketError("Codex is starting a server of its own")
