"""A client of a whole app-server, as a process or on a socket: threads, turns, and what is approved in them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from fakes.processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

HELLO = {"clientInfo": {"name": "tests", "version": "1"}, "capabilities": {"experimentalApi": True}}


class Client:
    """One connection. `heard` is what came and was not looked for; `approved` what was asked of the person."""

    def __init__(self, read: BinaryIO, write: BinaryIO) -> None:
        self._read, self._write = read, write
        self._numbers = count(1)
        self.heard: list[dict[str, Any]] = []
        self.approved: list[str] = []
        self.introduced = self.ask("initialize", HELLO)
        self.send(method="initialized")

    def send(self, **message: object) -> None:
        """Send a message."""
        self._write.write(json.dumps(message).encode() + b"\n")
        self._write.flush()

    def ask(self, method: str, params: object = None) -> Any:
        """Give the result of a request, which has one."""
        answer = self.receive_answer(self.begin(method, params))
        assert "result" in answer, answer
        return answer["result"]

    def begin(self, method: str, params: object = None) -> int:
        """Send a request, and give its id."""
        number = next(self._numbers)
        self.send(id=number, method=method, params=params or {})
        return number

    def receive_answer(self, number: int) -> dict[str, Any]:
        """Wait for the answer to a request, or its error."""
        return self._find(lambda message: message.get("id") == number and "method" not in message)

    def wait(self, method: str) -> Any:
        """Wait for a notification that was not looked for before, and give its params."""
        return self._find(lambda message: message.get("method") == method)["params"]

    def take(self, method: str) -> list[Any]:
        """Give the params of all such notifications that have come."""
        taken = [message["params"] for message in self.heard if message.get("method") == method]
        self.heard = [message for message in self.heard if message.get("method") != method]
        return taken

    def _find(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for number, message in enumerate(self.heard):
            if is_it(message):
                return self.heard.pop(number)
        while not is_it(message := self._receive()):
            self.heard.append(message)
        return message

    def _receive(self) -> dict[str, Any]:
        line = self._read.readline()
        if not line:
            raise EOFError(self.heard)
        message: dict[str, Any] = json.loads(line)
        if message.get("method", "").endswith("/requestApproval"):
            self.approved.append(message["params"].get("command", message["method"]))
            self.send(id=message["id"], result={"decision": "accept"})
        return message

    def wait_end(self) -> None:
        """Wait until the other side closes the connection."""
        try:
            while True:
                self.heard.append(self._receive())
        except (EOFError, ConnectionError):
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave."""
        self._read.close()
        with suppress(BrokenPipeError):
            self._write.close()

    def log_in(self) -> None:
        """Log in by a code that is approved by itself."""
        started = self.ask("account/login/start", {"type": "chatgptDeviceCode"})
        completed = self.wait("account/login/completed")
        assert (completed["loginId"], completed["success"]) == (started["loginId"], True), completed
        self.wait("account/updated")

    def start_thread(self, folder: Path) -> str:
        """Begin a thread in which commands run without a sandbox, when they are approved."""
        params = {"cwd": str(folder), "approvalPolicy": "untrusted", "sandbox": "danger-full-access"}
        return str(self.ask("thread/start", params)["thread"]["id"])

    def start_turn(self, thread: str, text: str, *more: dict[str, Any]) -> None:
        """Begin a turn."""
        self.ask("turn/start", {"threadId": thread, "input": [*more, {"type": "text", "text": text}]})

    def turn(self, thread: str, text: str, *more: dict[str, Any]) -> str:
        """Have a turn, and give what the model has said in it."""
        self.start_turn(thread, text, *more)
        return self.finish_turn()

    def finish_turn(self) -> str:
        """Wait for the end of a turn, and give what the model has said in it."""
        completed = self.wait("turn/completed")["turn"]
        assert completed["status"] == "completed", completed
        return "".join(each["delta"] for each in self.take("item/agentMessage/delta"))


@contextmanager
def running_front(
    environ: Mapping[str, str],
    *places: Path,
    flags: Sequence[str] = (),
    program: Sequence[str] = ("-m", "accountd"),
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `accountd app-server` on sockets, or on its pipes without any, for the block."""
    listen = [word for place in places for word in ("--listen", f"unix://{place}")]
    command = [sys.executable, *program, "app-server", *flags, *listen]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=dict(environ), stdin=pipe, stdout=pipe, cwd="/") as process:
        try:
            yield process
        finally:
            process.terminate()


def connect(place: Path) -> Client:
    """Connect to a front's socket, when it is there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        with sock, suppress(FileNotFoundError, ConnectionRefusedError):
            sock.connect(str(place))
            return Client(sock.makefile("rb"), sock.makefile("wb"))
        assert time.monotonic() < deadline
        time.sleep(0.02)
