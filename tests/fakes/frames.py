"""The bytes of a WebSocket, as a client writes them, and the framing that they are fed to, whole or in pieces."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from accountd.framing.base import Reply
from accountd.framing.websocket import WebSocketFraming

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accountd.framing.base import Event

LIMIT = 300
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

HEADERS = {
    b"Host": b"localhost",
    b"Connection": b"Upgrade",
    b"Upgrade": b"websocket",
    b"Sec-WebSocket-Key": b"dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version": b"13",
}
ACCEPTED = Reply(
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"x-codex-websocket-max-unfragmented-message-bytes: 16777216\r\n\r\n"
)
"""The answer to HEADERS; RFC 6455 section 1.3 has the two keys as its example."""


def request(headers: dict[bytes, bytes] = HEADERS, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    """Write an HTTP request."""
    lines = [b"%b / HTTP/%b" % (method, version), *(b"%b: %b" % header for header in headers.items())]
    return b"\r\n".join([*lines, b"", b""])


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
    """Write a frame by hand (RFC 6455 section 5.2)."""
    return header(opcode, len(payload), fin=fin, reserved=reserved, masked=masked) + (
        bytes(byte ^ b"mask"[i % 4] for i, byte in enumerate(payload)) if masked else payload
    )


def header(opcode: int, length: int, *, fin: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
    """Write the head of a frame, with its mask."""
    if length < 126:
        short, more = length, b""
    elif length < 1 << 16:
        short, more = 126, struct.pack("!H", length)
    else:
        short, more = 127, struct.pack("!Q", length)
    first = fin << 7 | reserved << 4 | opcode
    return bytes([first, masked << 7 | short]) + more + (b"mask" if masked else b"")


def close_code(data: bytes) -> int:
    """Read the code of the close frame that a server sent, which must be the whole of the data."""
    assert data[0] == 0x80 | CLOSE
    assert data[1] == len(data) - 2
    return int.from_bytes(data[2:4], "big")


def upgraded() -> WebSocketFraming:
    """Open a connection."""
    framing = WebSocketFraming(LIMIT)
    assert framing.receive(request()) == [ACCEPTED]
    return framing


def feed(framing: WebSocketFraming, pieces: Iterable[bytes]) -> list[Event]:
    """Give all the events that these pieces make."""
    return [event for piece in pieces for event in framing.receive(piece)]


def bytewise(data: bytes) -> list[bytes]:
    """Cut data into single bytes."""
    return [data[i : i + 1] for i in range(len(data))]
