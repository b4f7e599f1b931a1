"""The bridge as a process between others: the real daemon, which it starts, and what clients send through it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws

from fakes.client import NOBODY
from fakes.processes import PATIENCE, stop_daemon

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the daemon's pid as Linux tells it")

HELLO = {"clientInfo": {"name": "x", "version": "1"}}


class Client:
    """A client that can only start a program and speak through its pipes."""

    def __init__(self, environ: dict[str, str], *arguments: str) -> None:
        command = [sys.executable, "-m", "accountd", *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def receive(self) -> Any:
        """Give the next message."""
        return json.loads(self.stdout.readline())

    def call(self, method: str, params: object) -> Any:
        """Send a request, and give the result, if nothing else comes first."""
        self.stdin.write(json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\n")
        return self.receive()["result"]

    def end(self) -> tuple[int, bytes]:
        """Wait for the end by itself; give the exit code, and what was said on stderr."""
        code = self.process.wait(PATIENCE)
        return code, self.process.communicate()[1]


def test_clients_of_pipes_share_a_daemon_that_outlives_them(environ: dict[str, str]) -> None:
    """The first starts it, the second finds its login there; each ends alone, and all when the daemon does."""
    first = Client(environ, "--config", "a=b", "app-server", "--listen", "stdio://")
    assert first.call("initialize", HELLO)["codexHome"] == environ["CODEX_HOME"]
    second = Client(environ, "connect")
    second.call("initialize", HELLO)
    assert second.call("account/read", {}) == NOBODY
    first.call("account/login/start", {"type": "apiKey", "apiKey": "sk-shared"})
    assert [second.receive()["method"] for _ in range(2)] == ["account/login/completed", "account/updated"]
    assert second.call("account/read", {})["account"] == {"type": "apiKey"}
    first.stdin.close()
    first.process.stdin = None
    assert first.end() == (0, b"")
    assert second.call("account/read", {})["account"] == {"type": "apiKey"}
    stop_daemon(environ["ACCOUNTD_SOCKET"])
    code, error = second.end()
    assert (code, error.count(b"\n")) == (1, 1)
    assert b"closed the connection before standard input ended" in error


def test_a_websocket_goes_through_the_pipes(environ: dict[str, str]) -> None:
    """The upgrade, its messages and its close are bytes like all others."""
    client = Client(environ, "connect")
    connection = WSConnection(ConnectionType.CLIENT)

    def exchange(event: ws.Event, answer: type[ws.Event]) -> ws.Event:
        client.stdin.write(connection.send(event))
        while True:
            connection.receive_data(os.read(client.stdout.fileno(), 65536))
            for found in connection.events():
                assert isinstance(found, answer)
                return found

    exchange(ws.Request(host="localhost", target="/"), ws.AcceptConnection)
    exchange(ws.TextMessage(json.dumps({"id": 1, "method": "initialize", "params": HELLO})), ws.TextMessage)
    answer = exchange(ws.TextMessage('{"id":2,"method":"account/read","params":{}}'), ws.TextMessage)
    assert isinstance(answer, ws.TextMessage)
    assert json.loads(answer.data) == {"id": 2, "result": NOBODY}
    assert exchange(ws.CloseConnection(1000), ws.CloseConnection) == ws.CloseConnection(1000, "")
    assert client.stdout.read() == b""
    assert client.end()[0] == 1  # for the daemon was the one to close
