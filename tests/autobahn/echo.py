"""A server that echoes, over the daemon's own framing and nothing else, for a suite that wants to hear itself.

The daemon listens on Unix sockets and answers requests; a test suite for WebSockets connects by TCP and compares
what comes back with what it sent. So this is the framing that is tried, without the daemon around it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from accountd.framing.base import Ended, Event, Message, Prelude, Rejected, Reply
from accountd.framing.websocket import WebSocketFraming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT = 16 << 20
"""Bytes in one message: the largest that the suite sends, and the largest that Codex takes."""

LINGER = 1.0
"""Seconds for the client to hang up after the farewell, as a connection of the daemon has it."""


@asynccontextmanager
async def open_echo() -> AsyncIterator[int]:
    """Listen on a port of this machine for the block, and give it."""
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve_echo, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def serve_echo(stream: trio.abc.HalfCloseableStream) -> None:
    """Live one connection to its end."""
    framing = WebSocketFraming(LIMIT)
    ended = False
    try:
        while not ended:
            events = framing.receive(bytes(await stream.receive_some(65536)))
            ended = any(isinstance(event, Ended) for event in events)
            await stream.send_all(b"".join(_answer(framing, event) for event in events))
        await stream.send_all(framing.close())
        await stream.send_eof()
        with trio.move_on_after(LINGER):
            while await stream.receive_some(65536):
                pass
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the suite hangs up when it has seen enough


def _answer(framing: WebSocketFraming, event: Event) -> bytes:
    match event:
        case Message(payload):
            return framing.send(payload)
        case Rejected(complaint):
            return framing.send(complaint.encode())
        case Reply(data):
            return data
        case Prelude():  # which no WebSocket has
            return b""
        case Ended():
            return b""
