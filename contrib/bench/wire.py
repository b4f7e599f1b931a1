"""A client for load: blocking, on the standard library, in either framing, and with nothing checked."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bench.figures import Kind

READ: Final = b'{"id":7,"method":"account/read","params":{}}'
READ_MARK: Final = b'"requiresOpenaiAuth"'
"""What every answer to it holds, and no error does."""

_INITIALIZE: Final = (
    b'{"id":0,"method":"initialize","params":{"clientInfo":{"name":"bench","title":"bench","version":"1"}}}'
)
_UPGRADE: Final = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_PATIENCE: Final = 20.0  # seconds, for anything


class Wire:
    """One connection, which has initialized itself."""

    def __init__(self, path: str, kind: Kind) -> None:
        self._kind = kind
        self._buffer = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(_PATIENCE)
        try:
            self.socket.connect(path)
            self._initialize()
        except BaseException:  # whatever it was, the socket does not stay; and it goes on
            self.socket.close()
            raise

    def _initialize(self) -> None:
        if self._kind == "ws":
            self.socket.sendall(_UPGRADE)
            while b"\r\n\r\n" not in self._buffer:
                self._fill()
            self._buffer = self._buffer.partition(b"\r\n\r\n")[2]
        self.call(_INITIALIZE)
        self.send(b'{"method":"initialized"}')

    def frame(self, payload: bytes) -> bytes:
        """Wrap one message of less than 64 KiB. The mask is zero, which is a mask like any other."""
        if self._kind == "ndjson":
            return payload + b"\n"
        size = len(payload)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2)
        return b"\x81" + length + bytes(4) + payload

    def send(self, payload: bytes) -> None:
        """Send one message."""
        self.socket.sendall(self.frame(payload))

    def call(self, payload: bytes) -> dict[str, Any]:
        """Send one request, and give its answer; what else comes is dropped."""
        self.send(payload)
        wanted = json.loads(payload)["id"]
        while (answer := self.hear()).get("id") != wanted:
            pass
        return answer

    def ask(self, frame: bytes, mark: bytes) -> None:
        """Send a frame, and wait for a message with the mark in it: with as little work of our own as can be."""
        self.socket.sendall(frame)
        while mark not in self._receive():
            pass

    def hear(self) -> dict[str, Any]:
        """Give the next message."""
        message: dict[str, Any] = json.loads(self._receive())
        return message

    def await_notification(self, method: str) -> dict[str, Any]:
        """Give the params of the next notification of a method; what else comes is dropped. Raises TimeoutError."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            message = self.hear()
            if message.get("method") == method:
                params: dict[str, Any] = message["params"]
                return params
        raise TimeoutError(method)

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
