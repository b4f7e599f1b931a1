"""One connection to the daemon for a thread that blocks: requests find their answers, notifications are kept.

It speaks newline-delimited JSON on the daemon's Unix socket, and needs the standard library alone.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from accountd.client.connecting import LONGEST_MESSAGE, introduce, open_connection
from accountd.client.errors import CallTimedOut, ConnectionLost, Interrupted, read_error
from accountd.client.incoming import Notification, NotTheProtocol, parse_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from socket import socket
    from typing import Self

ANSWER_TIMEOUT: Final = 90.0
"""Seconds for answers that may have to wait for the issuer or the backend."""


class BlockingConnection:
    """A connection that has been initialized; close it, or use it as a context manager.

    `server` is the result of `initialize`. Timeouts are in seconds.
    """

    interrupt: socket | None = None
    """While there is one, that it is readable ends any wait with Interrupted."""

    def __init__(
        self,
        path: Path | str,
        *,
        name: str = "accountd-client",
        title: str | None = None,
        timeout: float = 10.0,
        start: bool = False,
    ) -> None:
        """Connect to the socket at `path` and introduce this client as `name`.

        Where nothing listens, `start` starts a daemon. Raises NothingListens, with `start` DaemonNotStarted;
        DaemonUnreachable if it is another person's socket or may not be opened; ConnectionLost or CallTimedOut if
        what listens there does not answer as a daemon does.
        """
        self.path = os.fspath(path)
        self._socket = open_connection(self.path, timeout, start=start)
        self._buffer = bytearray()
        self._ids = itertools.count(1)
        self._unanswered: set[int] = set()
        self._responses: dict[int, dict[str, Any]] = {}
        self._notifications: deque[Notification] = deque()
        try:
            self.server = self.call("initialize", introduce(name, title), timeout)
            self._write({"method": "initialized"})
        except BaseException:  # Ctrl-C, too, leaves nothing open; and it goes on
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. What the daemon was asked to do goes on without it."""
        self._socket.close()

    def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        timeout: float = 30.0,
    ) -> dict[str, Any]:
        """Ask, and wait for the answer. Raises CallFailed, CallTimedOut or ConnectionLost."""
        return self.wait_response(self.send(method, params), timeout)

    def send(self, method: str, params: Mapping[str, Any] | None = None) -> int:
        """Ask without waiting, and give the number that `wait_response` takes. Raises ConnectionLost."""
        request_id = next(self._ids)
        message = {"id": request_id, "method": method}
        self._write(message if params is None else {**message, "params": params})
        self._unanswered.add(request_id)
        return request_id

    def wait_response(self, request_id: int, timeout: float = 30.0) -> dict[str, Any]:
        """Wait for the answer to a request that was sent; notifications that come meanwhile are kept."""
        deadline = time.monotonic() + timeout
        while request_id not in self._responses:
            if not self._receive(deadline):
                self._unanswered.discard(request_id)
                raise CallTimedOut(f"the daemon at {self.path} did not answer within {timeout:g} seconds")
        response = self._responses.pop(request_id)
        if "error" in response:
            raise read_error(response["error"])
        result: dict[str, Any] = response["result"]
        return result

    def next_notification(self, timeout: float) -> Notification | None:
        """Take the oldest notification that nobody has taken, waiting for one; None when the time is over."""
        deadline = time.monotonic() + timeout
        while not self._notifications:
            if not self._receive(deadline):
                return None
        return self._notifications.popleft()

    def wait_notification(self, wanted: Callable[[Notification], bool], timeout: float) -> Notification:
        """Take the oldest notification that is wanted, waiting for it; the others stay. Raises CallTimedOut."""
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            while seen < len(self._notifications):
                if wanted(notification := self._notifications[seen]):
                    del self._notifications[seen]
                    return notification
                seen += 1
            if not self._receive(deadline):
                raise CallTimedOut(f"the daemon at {self.path} said nothing of it within {timeout:g} seconds")

    def notifications(self, timeout: float) -> Iterator[Notification]:
        """Take notifications as they come, until none has come for `timeout` seconds."""
        while (notification := self.next_notification(timeout)) is not None:
            yield notification

    def _write(self, message: Mapping[str, Any]) -> None:
        try:
            self._socket.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            raise self._lost("closed the connection") from error

    def _receive(self, deadline: float) -> bool:
        """Take in what the socket has, waiting for it; False when nothing came before the deadline.

        The wait and the reading are two steps, and only the wait can be interrupted: so no byte is lost.
        """
        if self._socket.fileno() < 0:
            raise ConnectionLost(f"the connection to {self.path} is closed")
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        interrupt = self.interrupt
        if interrupt is not None:
            poll.register(interrupt, select.POLLIN)
        ready = dict(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
        if interrupt is not None and interrupt.fileno() in ready:
            raise Interrupted
        if not ready:
            return False
        try:
            data = self._socket.recv(65536)
        except OSError as error:
            raise self._lost("closed the connection") from error
        if not data:
            raise self._lost("closed the connection" + (" in the middle of a message" if self._buffer else ""))
        self._buffer += data
        if b"\n" in data:
            *lines, self._buffer = self._buffer.split(b"\n")
            for line in lines:
                self._take(line)
        if len(self._buffer) > LONGEST_MESSAGE:
            raise self._lost(f"sent a message of over {LONGEST_MESSAGE} bytes")
        return True

    def _take(self, line: bytes | bytearray) -> None:
        """Sort one message in. What is not the protocol ends the connection: nothing after it can be trusted."""
        try:
            message = parse_line(line)
        except NotTheProtocol as error:
            raise self._lost(str(error)) from None
        if isinstance(message, Notification):
            self._notifications.append(message)
        elif message is not None and message["id"] in self._unanswered:
            self._unanswered.remove(message["id"])
            self._responses[message["id"]] = message

    def _lost(self, what: str) -> ConnectionLost:
        self.close()
        return ConnectionLost(f"the daemon at {self.path} {what}")
