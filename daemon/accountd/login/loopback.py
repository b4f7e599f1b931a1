"""The loopback listener of a browser login: a small HTTP server (h11) that lives as long as the login.

It knows HTTP and its dangers; what a request means is asked of its owner, one request a connection.
"""

from __future__ import annotations

import errno
import logging
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

import h11
import trio

from accountd.errors import PortUnavailable, describe_os_error
from accountd.oauth.callback import PORTS
from accountd.oauth.pages import render_refused
from accountd.system.accepting import accept_clients
from accountd.system.port_holder import describe_holder
from accountd.unforeseen import report

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from accountd.oauth.pages import Page

    Answer = Callable[[h11.Request], Awaitable[Page]]

HEAD_TIMEOUT: Final = 10.0
"""Seconds for a request's head to arrive. A browser sends it whole, at once."""

SEND_TIMEOUT: Final = 10.0
"""Seconds for a page to leave."""

DRAIN_TIMEOUT: Final = 1.0
"""Seconds that pages under way get to leave when the login has ended."""

MAX_HEAD: Final = 16 * 1024
"""Bytes of a request's head; a callback's is some two thousand."""

MAX_CONNECTIONS: Final = 64
"""Connections at once. One more ends the oldest whose head has not come, and a callback is none of those: it comes
whole. A browser opens a few ahead of need."""

_POLITENESS: Final = 0.4
"""Seconds that whoever holds a port gets, after being asked, to let go of it."""

_log = logging.getLogger(__name__)


async def bind_loopback(ports: tuple[int, ...] = PORTS) -> trio.SocketListener:
    """Listen on the first port that can be had, on 127.0.0.1 alone. Raises PortUnavailable: it names who has them.

    Whoever holds a port is asked once, by `GET /cancel`, to let go: the listener of another login does, be it
    one of ours or of Codex.
    """
    for port in ports:
        listener = await _try_bind(port)
        if listener is None:
            listener = await _bind_politely(port)
        if listener is not None:
            return listener
    holders = "; ".join([f"{port} by {await describe_holder(port)}" for port in ports])
    raise PortUnavailable(
        f"failed to start login server: every port that a browser login may use on 127.0.0.1 is taken ({holders}). "
        "Stop one of these programs, or log in with a device code, which needs no port."
    )


async def _try_bind(port: int) -> trio.SocketListener | None:
    try:
        (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
        raise PortUnavailable(f"failed to start login server: port {port}: {describe_os_error(error)}") from error
    return listener


async def _bind_politely(port: int) -> trio.SocketListener | None:
    """Ask for a port, and then try for it until politeness ends."""
    with trio.move_on_after(_POLITENESS):
        await _ask_to_leave(port)
        while (listener := await _try_bind(port)) is None:  # noqa: ASYNC110 - nobody tells us of a free port
            await trio.sleep(0.02)
        return listener  # with no checkpoint after it was got: a cancellation there would lose it, open
    return await _try_bind(port)  # for one who has let go without a word


async def _ask_to_leave(port: int) -> None:
    with suppress(OSError, trio.BrokenResourceError):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"GET /cancel HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n" % port)
            await stream.receive_some(1024)


@asynccontextmanager
async def serve_loopback(listener: trio.SocketListener, answer: Answer) -> AsyncIterator[None]:
    """Answer requests for the block. `answer` may take as long as the login does.

    Leaving the block closes the port, and gives the pages that are under way a second to leave.
    """
    door = _Door(listener, answer)
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as accepting, door:
            accepting.start_soon(accept_clients, door, door.serve, connections)
            yield
            accepting.cancel_scope.cancel()
        door.hang_up()
        connections.cancel_scope.deadline = trio.current_time() + DRAIN_TIMEOUT


class _Door(trio.abc.Listener[trio.SocketStream]):
    """A listener, and the connections that have come by it, which are counted from when they are accepted.

    Anybody on the machine can connect, as often as they like. So nobody is accepted before there is a place; who
    waits for one is in the queue of the system, and takes no descriptor of ours.
    """

    def __init__(self, listener: trio.SocketListener, answer: Answer) -> None:
        self._listener = listener
        self._answer = answer
        self._connections = 0
        self._left = trio.Event()
        # Those that can be ended for others, oldest first: whose head has not come, and whose page does not leave.
        self._silent: dict[object, trio.CancelScope] = {}
        self._not_reading: dict[object, trio.CancelScope] = {}

    async def accept(self) -> trio.SocketStream:
        """Wait for the next connection, and for a place for it."""
        while self._connections >= MAX_CONNECTIONS:
            self._left = trio.Event()
            for expendable in filter(None, (self._silent, self._not_reading)):
                expendable.pop(next(iter(expendable))).cancel()
                break
            await self._left.wait()
        stream = await self._listener.accept()
        self._connections += 1
        return stream

    async def aclose(self) -> None:
        """Close the port."""
        await self._listener.aclose()

    def hang_up(self) -> None:
        """Hang up on those who have not asked for anything."""
        for scope in self._silent.values():
            scope.cancel()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Answer the one request of a connection. Raises nothing: the login does not depend on a browser."""
        try:
            await self._serve(stream)
        finally:
            self._connections -= 1
            self._left.set()

    async def _serve(self, stream: trio.SocketStream) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        async with stream:
            try:
                await self._respond(http, stream)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                _log.debug("a browser went away")
            except Exception as error:  # noqa: BLE001 - a bug ends its connection, not the login
                report(_log, "a request to the loopback port", error)

    async def _respond(self, http: h11.Connection, stream: trio.SocketStream) -> None:
        request = None
        try:
            request = await self._receive_head(http, stream)
        except h11.RemoteProtocolError as error:
            page = render_refused(error.error_status_hint)
        else:
            if request is None:
                return
            page = await self._answer(request)
        with self._expendable(self._not_reading, SEND_TIMEOUT):
            await stream.send_all(_render(http, page, head_only=request is not None and request.method == b"HEAD"))
            await stream.send_eof()

    async def _receive_head(self, http: h11.Connection, stream: trio.SocketStream) -> h11.Request | None:
        """Receive a request's head; None if it does not come. Raises h11.RemoteProtocolError for what is none."""
        event: object = None
        with self._expendable(self._silent, HEAD_TIMEOUT):
            while (event := http.next_event()) is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some(4096)))
        return event if isinstance(event, h11.Request) else None

    @contextmanager
    def _expendable(self, those: dict[object, trio.CancelScope], seconds: float) -> Iterator[None]:
        """Be one of those that can be ended for another, during the block, which ends after so many seconds too."""
        key = object()
        with trio.move_on_after(seconds) as scope:
            those[key] = scope
            try:
                yield
            finally:
                those.pop(key, None)


def _render(http: h11.Connection, page: Page, *, head_only: bool) -> bytes:
    headers = [*page.headers, ("Content-Length", str(len(page.body))), ("Connection", "close")]
    events = [h11.Response(status_code=page.status, headers=headers), h11.EndOfMessage()]
    if not head_only:
        events.insert(1, h11.Data(data=page.body))
    return b"".join(http.send(event) or b"" for event in events)
