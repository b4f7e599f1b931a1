"""A scripted app-server on a real Unix socket, in a thread: for clients that block.

It answers `initialize` by itself and everything else from a script. What it was sent is in `requests`.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

Message = dict[str, Any]

INITIALIZED: Message = {
    "userAgent": "accountd-cli/0.171.0 (Linux 6; x86_64) dumb (accountd-cli; 0.1.0)",
    "codexHome": "/home/someone/.codex",
    "platformFamily": "unix",
    "platformOs": "linux",
}


class Refusal(NamedTuple):
    """Answer with an error."""

    code: int
    message: str
    reason: str | None = None
    candidates: tuple[str, ...] = ()


class Raw(NamedTuple):
    """Answer with these bytes, whatever they are; then hang up, or go on."""

    data: bytes
    hang_up: bool = False


class Then(NamedTuple):
    """Answer, then send notifications. With `before`, the notifications go first."""

    answer: Answer
    notifications: tuple[tuple[str, Message], ...]
    before: bool = False


Answer = Message | Refusal | Raw | Then | None
Script = dict[str, "Answer | Callable[[Message], Answer]"]
"""Method → answer, or a function of the params that gives one. None never answers."""

LOGIN_ID = "0b2d0f5e-6c1c-4c4e-9d8e-0a4a4bd6a0f1"
STARTED: Message = {
    "type": "chatgptDeviceCode",
    "loginId": LOGIN_ID,
    "verificationUrl": "https://auth.example.com/codex/device",
    "userCode": "ABCD-12345",
}
"""A login with a code that has begun."""


def completed(error: str | None = None, login_id: str = LOGIN_ID, reason: str | None = None) -> tuple[str, Message]:
    """Write the notification that ends a login."""
    end: Message = {"loginId": login_id, "success": error is None, "error": error}
    return "account/login/completed", {**end, "accountd": {"reason": reason}} if reason else end


def begin(started: Message, *told: tuple[str, Message], lifetime: float | None = None) -> Then:
    """Answer the start of a login, then tell its first progress, and these."""
    if lifetime is None:
        lifetime = 600.0 if started["type"] == "chatgpt" else 900.0
    progress = {"loginId": started["loginId"], "type": started["type"], "state": "waiting", "retries": 0}
    times = {"startedAt": 1_800_000_000.0, "expiresAt": 1_800_000_000.0 + lifetime, "retryCause": None}
    return Then(started, (("account/login/progress", {**progress, **times}), *told))


class AppServer:
    """Listens while it is entered. Every connection sees the same script; `notify` reaches all of them."""

    def __init__(self, path: Path, script: Script | None = None, *, greeting: Answer | None = None) -> None:
        self.path = path
        self.script = script or {}
        self.greeting = greeting or INITIALIZED
        self.requests: list[Message] = []
        self.hung_up = threading.Event()
        """Set when a client closed its connection."""
        self._connections: list[socket.socket] = []
        self._seen = threading.Condition()

    def __enter__(self) -> Self:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.fspath(self.path))
        self._listener.listen(16)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self.hang_up()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()
        self.path.unlink(missing_ok=True)

    @property
    def methods(self) -> list[str]:
        """The methods that were called, without those that open a connection."""
        return [
            request["method"] for request in self.requests if request["method"] not in ("initialize", "initialized")
        ]

    def params(self, method: str) -> Any:
        """Give what the last request of this method was sent with."""
        return next(r.get("params") for r in reversed(self.requests) if r["method"] == method)

    def wait_for(self, method: str) -> None:
        """Block until a request of this method was seen; fail after ten seconds."""
        with self._seen:
            assert self._seen.wait_for(lambda: method in self.methods, timeout=10), self.methods

    def notify(self, method: str, params: Message) -> None:
        """Send a notification to everybody."""
        for connection in self._connections:
            connection.sendall(_line({"method": method, "params": params, "emittedAtMs": 1}))

    def send(self, data: bytes) -> None:
        """Send bytes to everybody."""
        for connection in self._connections:
            connection.sendall(data)

    def hang_up(self) -> None:
        """Close every connection, as a daemon does that is told to stop."""
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client was faster

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    request = json.loads(line)
                    with self._seen:
                        self.requests.append(request)
                        self._seen.notify_all()
                    if "id" in request:
                        self._answer(connection, request["id"], self._find_answer(request))
            except OSError:
                pass  # the client closed while it was being answered
            self._connections.remove(connection)
        self.hung_up.set()

    def _find_answer(self, request: Message) -> Answer:
        unknown = Refusal(-32600, f"Invalid request: unknown variant `{request['method']}`")
        scripted = self.script.get(request["method"], unknown)
        answer = self.greeting if request["method"] == "initialize" else scripted
        return answer(request.get("params") or {}) if callable(answer) else answer

    def _answer(self, connection: socket.socket, request_id: int, answer: Answer) -> None:
        match answer:
            case None:
                return
            case Refusal():
                error: Message = {"code": answer.code, "message": answer.message}
                if answer.reason is not None:
                    more = {"candidates": list(answer.candidates)} if answer.candidates else {}
                    error["data"] = {"accountd": {"reason": answer.reason, **more}}
                connection.sendall(_line({"id": request_id, "error": error}))
            case Raw():
                connection.sendall(answer.data)
                if answer.hang_up:
                    connection.shutdown(socket.SHUT_RDWR)
            case Then():
                steps: list[Callable[[], None]] = [lambda: self._answer(connection, request_id, answer.answer)]
                notifications = [_line({"method": m, "params": p}) for m, p in answer.notifications]
                steps.insert(0 if answer.before else 1, lambda: connection.sendall(b"".join(notifications)))
                for step in steps:
                    step()
            case _:
                connection.sendall(_line({"id": request_id, "result": answer}))


def _line(message: Message) -> bytes:
    return json.dumps(message).encode() + b"\n"
