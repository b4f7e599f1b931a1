"""What a client is told for whom there is no place: the same as one that asks too much, in its own framing."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio

from accountd.errors import describe_status
from accountd.protocol.jsonrpc import Response, parse_message, render_error
from accountd.server.overload import overloaded

if TYPE_CHECKING:
    from trio.abc import Stream

PATIENCE: Final = 1.0
"""Seconds to say something, for clients that have no place to lose; then to take the answer."""

_ENOUGH: Final = 8192


async def turn_away(stream: Stream) -> None:
    """Answer the first that a client says with Overloaded, and hang up. Raises nothing of the client's doing."""
    async with stream:
        with trio.move_on_after(PATIENCE), suppress(trio.BrokenResourceError):
            first = bytes(await stream.receive_some(_ENOUGH))
            if first:
                await stream.send_all(render_no_place(first))


def render_no_place(first: bytes) -> bytes:
    """Write the answer to a client's first bytes: a line, or a refused upgrade."""
    error = overloaded()
    if first.startswith(b"GET "):
        body = f"{error}\n".encode()
        head = (
            f"HTTP/1.1 {describe_status(503)}",
            "Connection: close",
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(body)}",
        )
        return "\r\n".join((*head, "", "")).encode() + body
    message = parse_message(first.partition(b"\n")[0])
    asked = None if isinstance(message, Response) else message.id
    return render_error(asked if isinstance(asked, (int, str)) else None, error) + b"\n"
