"""The server: one honest login over a socket, and in memory everything that a client can do wrong."""

from __future__ import annotations

import http.client
import json
import re
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from accountd.sandbox import Fault, Sandbox, Script
from accountd.sandbox.routes import MAX_BODY
from accountd.sandbox.server import (
    IDLE_DEADLINE,
    MAX_HEAD,
    READ_DEADLINE,
    WRITE_DEADLINE,
    serve_connection,
    serve_sandbox,
)
from sandbox.caller import authorize_url

GET = b"GET /sandbox/script HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


async def talk(data: bytes, *, sandbox: Sandbox | None = None, half_close: bool = True) -> bytes:
    """Send bytes on a connection, and give all that comes back until the server closes it."""
    ours, theirs = trio.testing.memory_stream_pair()
    received = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, sandbox or Sandbox(), theirs)
        await ours.send_all(data)
        if half_close:
            await ours.send_eof()
        async for chunk in ours:
            received += chunk
    return received


def statuses(received: bytes | bytearray) -> list[int]:
    """Give the status of each answer."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


async def test_a_whole_login_over_a_real_socket() -> None:
    """A blocking client of the standard library logs in, uses its token and logs out, on one connection."""
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(serve_sandbox, Sandbox(Script(approve_after_polls=1)), 0)
            await trio.to_thread.run_sync(log_in_and_out, port)
            nursery.cancel_scope.cancel()


def log_in_and_out(port: int) -> None:
    """Be a client that knows nothing of ours."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def call(method: str, path: str, body: dict[str, Any] | None = None, bearer: str = "") -> Any:
        sent = json.dumps(body) if body is not None else None
        connection.request(
            method, path, sent, {"Content-Type": "application/json", "Authorization": f"Bearer {bearer}"}
        )
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text)

    client = {"client_id": "app_x"}
    _, login = call("POST", "/api/accounts/deviceauth/usercode", client)
    poll = {name: login[name] for name in ("device_auth_id", "user_code")}
    assert call("POST", "/api/accounts/deviceauth/token", poll)[0] == 403
    first_socket = connection.sock
    _, approval = call("POST", "/api/accounts/deviceauth/token", poll)
    exchange = {
        "grant_type": "authorization_code",
        "code": approval["authorization_code"],
        "code_verifier": approval["code_verifier"],
        "redirect_uri": f"http://127.0.0.1:{port}/deviceauth/callback",
    }
    status, tokens = call("POST", "/oauth/token", client | exchange)
    assert status == 200
    bearer = tokens["access_token"]
    assert call("GET", "/backend-api/wham/accounts/check", bearer=bearer)[0] == 200
    assert call("POST", "/oauth/revoke", {"token": tokens["refresh_token"]})[0] == 200
    assert call("GET", "/backend-api/wham/accounts/check", bearer=bearer)[0] == 401
    assert connection.sock is first_socket
    connection.close()


async def test_it_listens_on_loopback_only() -> None:
    """The port is on 127.0.0.1, and is free again when the server has been cancelled."""
    async with trio.open_nursery() as nursery:
        port = await nursery.start(serve_sandbox, Sandbox(), 0)
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            assert stream.socket.getpeername() == ("127.0.0.1", port)
        with pytest.raises(OSError, match="in use"):
            await serve_sandbox(Sandbox(), port)
        nursery.cancel_scope.cancel()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


async def test_a_dropped_connection_is_a_close() -> None:
    """What the script drops gets no byte, over a real socket."""
    sandbox = Sandbox(Script(faults=(Fault(path="/", nth=1, status=0),)))
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(serve_sandbox, sandbox, 0)
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
                assert await stream.receive_some() == b""
            nursery.cancel_scope.cancel()


async def test_requests_may_be_sent_ahead() -> None:
    """Requests that come in one piece are answered in turn, on one connection."""
    assert statuses(await talk(GET * 3)) == [200, 200, 200]


async def test_requests_may_come_byte_by_byte(autojump_clock: MockClock) -> None:
    """It does not matter how a request is cut."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, Sandbox(), theirs)
        for byte in GET:
            await ours.send_all(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked()
        assert statuses(await ours.receive_some(65536)) == [200]
        await ours.aclose()


async def test_an_unfinished_request_is_ended(autojump_clock: MockClock) -> None:
    """Ten seconds after its first byte a request that is not whole gets 408, however it trickles."""
    ours, theirs = trio.testing.memory_stream_pair()
    begin = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, Sandbox(), theirs)
        nursery.start_soon(trickle, ours)
        received = await ours.receive_some(65536)
        assert trio.current_time() - begin == pytest.approx(READ_DEADLINE, abs=1)
        assert statuses(received) == [408]
        assert b"connection: close" in received.lower()
        nursery.cancel_scope.cancel()


async def trickle(stream: trio.abc.SendStream) -> None:
    """Send a header that never ends."""
    await stream.send_all(b"GET / HTTP/1.1\r\nx: ")
    while True:
        await trio.sleep(0.9)
        await stream.send_all(b"x")


async def test_a_connection_without_requests_is_ended(autojump_clock: MockClock) -> None:
    """A connection that is kept but not used is closed without a word, later than any client polls."""
    begin = trio.current_time()
    assert statuses(await talk(GET, half_close=False)) == [200]
    assert trio.current_time() - begin == pytest.approx(IDLE_DEADLINE, abs=1)


async def test_a_client_that_does_not_read_is_left(autojump_clock: MockClock) -> None:
    """An answer that nobody takes ends the connection."""
    ours, theirs = trio.testing.lockstep_stream_pair()
    begin = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, Sandbox(), theirs)
        await ours.send_all(GET)
    assert trio.current_time() - begin == pytest.approx(WRITE_DEADLINE, abs=1)


async def test_the_delay_is_not_the_clients_fault(autojump_clock: MockClock) -> None:
    """An answer that the script delays for longer than a request may take comes all the same."""
    sandbox = Sandbox(Script(delay=60))
    assert statuses(await talk(b"GET / HTTP/1.0\r\n\r\n", sandbox=sandbox)) == [200]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        (b"GET http://[ HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: [\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: evil.example[::1]\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 999\r\n\r\nshort", 400),
        (b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: " + b"x" * 2 * MAX_HEAD, 431),
        (b"GET / HTTP/1.1\r\nhost: evil.example\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nhost: 127.0.0.1.evil.example:80\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nhost: \r\n\r\n", 421),
    ],
)
async def test_garbage_gets_an_error_and_a_close(autojump_clock: MockClock, data: bytes, status: int) -> None:
    """What is no request gets one answer that says so, and the connection ends, whatever else comes."""
    assert statuses(await talk(data + GET)) == [status]


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_large_body_is_refused(autojump_clock: MockClock, *, chunked: bool) -> None:
    """A body over the limit gets 413, as soon as it is over."""
    head = b"POST /sandbox/script HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    if chunked:
        body = b"transfer-encoding: chunked\r\n\r\n" + b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        data = head + body + (b"10000\r\n" + b" " * 0x10000 + b"\r\n") * 20
    else:
        data = head + b"content-length: %d\r\n\r\n" % (2 * MAX_BODY) + b" " * (2 * MAX_BODY)
    assert statuses(await talk(data)) == [413]


async def test_a_body_may_be_as_large_as_the_limit(autojump_clock: MockClock) -> None:
    """A body of just a mebibyte is read."""
    body = b'{"deny": true}'.ljust(MAX_BODY)
    head = b"POST /sandbox/script HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n" % MAX_BODY
    assert statuses(await talk(head + body)) == [200]


@pytest.mark.parametrize("target", [b"http://127.0.0.1/sandbox/script", b"http://x/sandbox/script?a=b"])
async def test_the_absolute_form_is_understood(target: bytes) -> None:
    """A target may be a whole URL (RFC 9112 section 3.2.2)."""
    assert statuses(await talk(b"GET " + target + b" HTTP/1.1\r\nhost: localhost:80\r\n\r\n")) == [200]


async def test_head_has_no_body() -> None:
    """HEAD gets the length of the page, and no page."""
    received = await talk(b"HEAD / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" + GET)
    assert statuses(received) == [200, 200]
    assert b"<html" not in received


async def test_a_status_without_a_body_is_sent_without_one() -> None:
    """A script that asks for 204 gets one, and the connection goes on."""
    sandbox = Sandbox(Script(faults=(Fault(path="/", nth=1, status=204),)))
    received = await talk(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" + GET, sandbox=sandbox)
    assert statuses(received) == [204, 200]


async def test_a_redirect_has_its_location() -> None:
    """A redirect is sent with where it goes and without a body, and the connection goes on."""
    url = urlsplit(authorize_url())
    target = f"{url.path}?{url.query}".encode()
    head = b"GET " + target + b" HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    received = await talk(head + GET, sandbox=Sandbox(Script(authorize="approve")))
    assert statuses(received) == [303, 200]
    assert b"location: http://127.0.0.1:1455/auth/callback?code=ac_" in received
    assert b"content-length: 0\r\n" in received


async def test_a_client_that_asks_first_is_told_to_go_on(autojump_clock: MockClock) -> None:
    """`Expect: 100-continue` is answered before the body comes."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, Sandbox(), theirs)
        await ours.send_all(
            b"POST /sandbox/script HTTP/1.1\r\nhost: 127.0.0.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        )
        assert statuses(await ours.receive_some(65536)) == [100]
        await ours.send_all(b"{}")
        assert statuses(await ours.receive_some(65536)) == [200]
        await ours.aclose()


@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from([GET, b"\r\n", b"\0", b"POST / ", b"host: x\r\n"])).map(b"".join)
)
async def test_no_bytes_hurt_the_server(data: bytes) -> None:
    """Whatever comes, the connection ends with answers or silence, and never with an exception."""
    assert set(statuses(await talk(data))) <= {200, 400, 404, 405, 413, 421, 431, 501, 505}
