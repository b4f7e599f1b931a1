"""A small blocking client of the account protocol, over either framing: what a scenario speaks with."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal, Protocol

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import unix_connect

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Message = dict[str, Any]
Framing = Literal["ws", "lines"]

PATIENCE = 15.0
"""Seconds for an answer."""

QUIET = 0.4
"""Seconds of silence after which no more is thought to come."""

NOISE = frozenset({"configWarning", "remoteControl/status/changed", "deprecationNotice", "warning"})
"""Notifications of the stock app-server that are about anything but accounts."""


class Wire(Protocol):
    """Messages as texts, in both directions. Raises EOFError when the server has ended it."""

    def send(self, text: str) -> None:
        """Send one message."""
        ...

    def receive(self, timeout: float) -> str | None:
        """Give the next message, or None after so many seconds."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class _Lines:
    """One JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(os.fspath(path))
        except OSError:
            self._socket.close()
            raise
        self._buffer = b""

    def send(self, text: str) -> None:
        self._socket.sendall(text.encode() + b"\n")

    def receive(self, timeout: float) -> str | None:
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError:
                return None
            if not data:
                raise EOFError("the server closed the connection")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def close(self) -> None:
        self._socket.close()


class _WebSocket:
    """One JSON object a text message, after an upgrade on the Unix socket."""

    def __init__(self, path: Path) -> None:
        self._open = ExitStack()
        self._connection = self._open.enter_context(
            unix_connect(os.fspath(path), "ws://localhost/", compression=None, max_size=None)
        )

    def send(self, text: str) -> None:
        self._connection.send(text)

    def receive(self, timeout: float) -> str | None:
        try:
            return str(self._connection.recv(timeout))
        except TimeoutError:
            return None
        except ConnectionClosed as error:
            raise EOFError("the server closed the connection") from error

    def close(self) -> None:
        self._open.close()


class Client:
    """One connection; initialized as `name`, unless told not to be."""

    def __init__(
        self,
        framing: Framing,
        path: Path,
        *,
        initialize: bool = True,
        name: str = "conformance",
        capabilities: Mapping[str, object] | None = None,
    ) -> None:
        self._wire: Wire = _Lines(path) if framing == "lines" else _WebSocket(path)
        self._next_id = 0
        self._kept: list[Message] = []
        if initialize:
            params: Message = {"clientInfo": {"name": name, "title": "Conformance", "version": "1.0"}}
            if capabilities is not None:
                params["capabilities"] = capabilities
            self.call("initialize", params)
            self.notify("initialized")

    def send(self, message: Message) -> None:
        """Send a message as it is."""
        self._wire.send(json.dumps(message, separators=(",", ":")))

    def notify(self, method: str) -> None:
        """Send a notification."""
        self.send({"method": method})

    def start(self, method: str, params: object = None) -> int:
        """Send a request, and give its id."""
        self._next_id += 1
        message = {"id": self._next_id, "method": method}
        self.send(message if params is None else message | {"params": params})
        return self._next_id

    def call(self, method: str, params: object = None) -> Message:
        """Send a request and give its answer, be it an error. What else comes meanwhile is kept."""
        wanted = self.start(method, params)
        return self._wait(lambda message: message.get("id") == wanted and "method" not in message, method)

    def until(self, method: str) -> Message:
        """Give the first notification or request of the server's with this method, kept or to come."""
        for number, message in enumerate(self._kept):
            if message.get("method") == method:
                return self._kept.pop(number)
        return self._wait(lambda message: message.get("method") == method, method)

    def _wait(self, wanted: Any, what: str) -> Message:
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            message = self.receive(left)
            if message is None:
                break
            if wanted(message):
                return message
            self._kept.append(message)
        raise TimeoutError(f"no {what}")

    def receive(self, timeout: float = PATIENCE) -> Message | None:
        """Give the next message, or None after so many seconds."""
        text = self._wire.receive(timeout)
        return None if text is None else json.loads(text)

    def drain(self) -> list[Message]:
        """Give all that was kept, and all that comes until it is quiet."""
        messages, self._kept = self._kept, []
        while (message := self.receive(QUIET)) is not None:
            messages.append(message)
        return [message for message in messages if message.get("method") not in NOISE]

    def close(self) -> None:
        """Hang up."""
        self._wire.close()
