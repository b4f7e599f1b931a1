"""A client for load: blocking, on the standard library, in either framing, and with nothing checked."""

from __future__ import annotations

import json
import socket
from typing import Final, Literal

Kind = Literal["ndjson", "ws"]

READ: Final = b'{"id":7,"method":"account/read","params":{}}'

_INITIALIZE: Final = (
    b'{"id":0,"method":"initialize","params":{"clientInfo":{"name":"bench","title":"bench","version":"1"}}}'
)
_UPGRADE: Final = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Wire:
    """One connection, which has initialized itself."""

    def __init__(self, path: str, kind: Kind) -> None:
        self._kind = kind
        self._buffer = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        if kind == "ws":
            self.socket.sendall(_UPGRADE)
            while b"\r\n\r\n" not in self._buffer:
                self._fill()
            self._buffer = self._buffer.partition(b"\r\n\r\n")[2]
        self.call(_INITIALIZE)
        self.socket.sendall(self.frame(b'{"method":"initialized"}'))

    def frame(self, payload: bytes) -> bytes:
        """Wrap one message of less than 64 KiB. The mask is zero, which is a mask like any other."""
        if self._kind == "ndjson":
            return payload + b"\n"
        size = len(payload)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2)
        return b"\x81" + length + bytes(4) + payload

    def call(self, payload: bytes) -> None:
        """Send one request, and wait for its answer; what else comes is dropped."""
        self.socket.sendall(self.frame(payload))
        wanted = json.loads(payload)["id"]
        while json.loads(self._receive()).get("id") != wanted:
            pass

    def close(self) -> None:
        """Leave, without a word."""
        self.socket.close()

    def _receive(self) -> bytes:
        while True:
            if self._kind == "ndjson":
                line, end, rest = self._buffer.partition(b"\n")
                if end:
                    self._buffer = rest
                    return line
            elif (message := self._take_frame()) is not None:
                return message
            self._fill()

    def _take_frame(self) -> bytes | None:
        """Take the next whole frame; those of control are text that is no answer."""
        data = self._buffer
        size, start = (data[1] & 127, 2) if len(data) > 1 else (0, 2)
        if size == 126:
            size, start = int.from_bytes(data[2:4]), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10]), 10
        if len(data) < start + size:
            return None
        self._buffer = data[start + size :]
        return data[start : start + size] if data[0] == 0x81 else b"{}"

    def _fill(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError("the server hung up")
        self._buffer += data
