"""Servers that mean harm, and proxies that should hear of nothing, beside a real daemon."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.client.errors import CallFailed
from fakes.processes import running

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def saying(first: bytes, then: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Answer each connection so, for ever; give the port, and what was heard."""
    heard: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            heard.append(connection.recv(65536))
            connection.sendall(first)
            while then:
                connection.sendall(then)

    def accept() -> None:
        with suppress(OSError):  # at the end
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("first", "then", "words"),
    [
        (b"", b"HTTP/1.1 103 \r\n\r\n" * 1000, "has a head of more than 256 lines"),
        (CHUNKED, b"1\r\nx\r\n" * 1000, "is in more than 16384 pieces"),
        (CHUNKED + b"0\r\n", b"a:\r\n" * 1000, "the connection was cut off, or what came is not HTTP"),
    ],
    ids=["interim answers", "single bytes", "a trailer"],
)
def test_an_issuer_without_an_end_is_given_up_on(first: bytes, then: bytes, words: str, home: Path) -> None:
    """The login fails within seconds, and another client is answered meanwhile and afterwards."""
    with saying(first, then) as (port, _):
        with running(home, CODEX_APP_SERVER_LOGIN_ISSUER=f"http://127.0.0.1:{port}") as daemon:
            with daemon.connect() as client, daemon.connect() as other:
                number = client.send("account/login/start", {"type": "chatgptDeviceCode"})
                assert other.call("account/read", {})["account"] is None
                with pytest.raises(CallFailed, match=words):
                    client.wait_response(number, 30)
                assert other.call("account/read", {})["account"] is None
            daemon.stop()
            assert daemon.process.returncode == 0


@pytest.mark.parametrize(
    ("host", "variable"),
    [("127.0.0.2", "HTTP_PROXY"), ("[0:0:0:0:0:0:0:1]", "ALL_PROXY"), ("[::ffff:127.0.0.1]", "http_proxy")],
)
def test_no_proxy_hears_what_is_for_this_machine(host: str, variable: str, home: Path) -> None:
    """Where nobody listens the login fails, and what was to be said has gone nowhere."""
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"") as (port, heard):
        issuer = {"CODEX_APP_SERVER_LOGIN_ISSUER": f"http://{host}:1", variable: f"http://127.0.0.1:{port}"}
        with running(home, **issuer) as daemon:
            with daemon.connect() as client, pytest.raises(CallFailed, match="failed to request device code"):
                client.call("account/login/start", {"type": "chatgptDeviceCode"})
            daemon.stop()
    assert heard == []
