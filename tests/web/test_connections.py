"""Connections: nothing is said in clear to another machine, and no server has all of the daemon's time."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpcore
import pytest
import trio
import trio.testing

from accountd.errors import RemoteUnreachable
from accountd.web import network
from accountd.web.answer import MAX_ANSWER, MAX_PIECES
from accountd.web.http import open_http_client
from accountd.web.network import MAX_HEAD, MAX_HEAD_LINES, READ_SIZE, Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def answering(*answer: bytes, endless: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve an answer, whose last part is repeated for ever if it is endless; give the URL, and what was heard."""
    heard: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError):  # the client has had enough
                while request := await stream.receive_some(65536):
                    heard.append(bytes(request))
                    for part in answer:
                        await stream.send_all(part)
                    while endless:
                        await stream.send_all(answer[-1])

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}/", heard
        nursery.cancel_scope.cancel()


class Bystander:
    """Another task, which counts its turns."""

    turns = 0

    async def run(self) -> None:
        """Take one turn after another."""
        while True:
            await trio.lowlevel.checkpoint()
            self.turns += 1


async def test_nothing_is_said_in_clear_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere, by /etc/hosts or a resolver, is found out once it is connected to."""
    monkeypatch.setattr(network, "is_loopback_address", lambda address: address != "127.0.0.1")
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n") as (url, heard), open_http_client("agent/1", {}) as http:
        with pytest.raises(RemoteUnreachable, match=r"leads to 127\.0\.0\.1, another machine, which needs https"):
            await http.request("GET", url, headers={"Authorization": "Bearer token"})
        await trio.testing.wait_all_tasks_blocked(0.01)
    assert b"".join(heard) == b""


ENDLESS = {
    "interim answers": ((b"HTTP/1.1 103 \r\n\r\n" * 500,), f"has a head of more than {MAX_HEAD_LINES} lines"),
    "empty fields": ((b"HTTP/1.1 200 OK\r\n", b"a:\r\n" * 1000), f"has a head of more than {MAX_HEAD_LINES} lines"),
    "one field": ((b"HTTP/1.1 200 OK\r\na: ", b"a" * 5000), "cut off, or what came is not HTTP"),
    "single bytes": ((CHUNKED, b"1\r\nx\r\n" * 1000), f"is in more than {MAX_PIECES} pieces"),
    "one piece": ((CHUNKED, b"ffffffff\r\n", b"x" * 65536), f"larger than {MAX_ANSWER} bytes"),
    "a trailer": ((CHUNKED + b"0\r\n", b"a:\r\n" * 1000), "cut off, or what came is not HTTP"),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_an_answer_without_an_end_is_ended(kind: str) -> None:
    """Whatever a server sends for ever, it is soon too much; and meanwhile others have had their turns."""
    parts, words = ENDLESS[kind]
    bystander = Bystander()
    async with answering(*parts, endless=True) as (url, _), open_http_client("agent/1", {}) as http:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bystander.run)
            with pytest.raises(RemoteUnreachable, match=words):
                await http.request("GET", url)
            nursery.cancel_scope.cancel()
    assert bystander.turns > MAX_HEAD / READ_SIZE


async def test_between_two_pieces_others_have_a_turn() -> None:
    """Five hundred pieces that come in one read are as many turns for everybody else."""
    body = b"1\r\nx\r\n" * 500 + b"0\r\n\r\n"
    bystander = Bystander()
    async with answering(CHUNKED + body) as (url, _), open_http_client("agent/1", {}) as http:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bystander.run)
            answer = await http.request("GET", url)
            nursery.cancel_scope.cancel()
    assert answer.body == b"x" * 500
    assert bystander.turns > 500


async def test_an_honest_answer_is_within_the_bounds() -> None:
    """A few interim answers, a head of a hundred fields, a body of many lines, twice on a connection."""
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 5
    fields = b"".join(b"x-%d: %s\r\n" % (number, b"v" * 100) for number in range(100))
    body = b"\n" * 100_000
    answer = interim + b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n" % len(body) + fields + b"\r\n" + body
    async with answering(answer) as (url, heard), open_http_client("agent/1", {}) as http:
        for _ in range(2):
            assert (await http.request("GET", url)).body == body
    assert len(heard) == 2


class Elsewhere(httpcore.AsyncNetworkStream):
    """A stream to another machine, which says nothing but ends of lines."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See httpcore."""
        return b"\n" * (MAX_HEAD_LINES + 1)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See httpcore."""

    async def start_tls(self, ssl_context: ssl.SSLContext, *_: Any, **__: Any) -> Elsewhere:
        """See httpcore."""
        return self

    def get_extra_info(self, info: str) -> Any:
        """See httpcore."""
        return ("192.0.2.1", 443)


async def test_what_is_said_in_tls_may_go_to_any_machine() -> None:
    """It is only in clear that nobody else is spoken to."""
    connection = Connection(Elsewhere(), "issuer.example", loopback_alone=True)
    with pytest.raises(RemoteUnreachable, match=r"192\.0\.2\.1, another machine"):
        await connection.write(b"secret")
    await (await connection.start_tls(ssl.create_default_context())).write(b"secret")


async def test_each_answer_has_its_own_head() -> None:
    """The lines of a body are not counted, and those of the next head are."""
    connection = Connection(Elsewhere(), "issuer.example", loopback_alone=False)
    connection.end_head()
    for _ in range(2):
        await connection.read(READ_SIZE)
    await connection.write(b"another request")
    await connection.read(READ_SIZE)
    with pytest.raises(RemoteUnreachable, match="a head of more than"):
        await connection.read(READ_SIZE)
