"""The loopback port against whoever may knock at it, on real sockets and a clock that jumps."""

from __future__ import annotations

import errno
import gc
import os
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import h11
import pytest
import trio
import trio.testing

from accountd.errors import RequestFailed
from accountd.login import loopback
from accountd.login.loopback import bind_loopback, serve_loopback
from accountd.oauth.pages import Page
from cancellation.steps import Stepper, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GET = b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def hello(_request: h11.Request) -> Page:
    """Answer everything alike."""
    return Page(200, (("Content-Type", "text/plain"),), b"hello")


@asynccontextmanager
async def open_port(answer: loopback.Answer = hello) -> AsyncIterator[int]:
    """Serve on a free port for the block."""
    listener = await bind_loopback((0,))
    port = listener.socket.getsockname()[1]
    async with serve_loopback(listener, answer):
        yield port


async def ask(port: int, data: bytes = GET) -> bytes:
    """Send bytes and give all that comes back."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(data)
        return b"".join([bytes(piece) async for piece in stream])


async def test_other_interfaces_are_not_listened_on() -> None:
    """Not even another address of the loopback network."""
    async with await bind_loopback((0,)) as listener:
        host, port = listener.socket.getsockname()
        assert host == "127.0.0.1"
        with trio.socket.socket() as elsewhere, pytest.raises(ConnectionRefusedError):
            await elsewhere.connect(("127.0.0.2", port))


async def test_a_request_gets_its_page_and_the_connection_ends() -> None:
    """One request a connection; the answer says so, and how long it is."""
    async with open_port() as port:
        answer = await ask(port)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0].startswith(b"HTTP/1.1 200")
    assert b"Connection: close" in head
    assert b"Content-Length: 5" in head
    assert body == b"hello"


async def test_head_gets_no_body() -> None:
    """The answer to a HEAD has the length of a body that is not sent (RFC 9110 section 9.3.2)."""
    async with open_port() as port:
        answer = await ask(port, GET.replace(b"GET", b"HEAD"))
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Length: 5" in answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"GET /\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000, b"431"),
    ],
    ids=["TLS", "HTTP/0.9", "no host", "two hosts", "too much"],
)
async def test_what_is_no_request_is_refused(data: bytes, status: bytes) -> None:
    """Garbage gets an HTTP error, where it can still be delivered, and the next request its page."""
    async with open_port() as port:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(data[: loopback.MAX_HEAD + 1000])
            answer = bytes(await stream.receive_some(100))
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert (await ask(port)).endswith(b"hello")


async def test_a_slow_head_is_given_up_and_holds_nobody_up(autojump_clock: trio.testing.MockClock) -> None:
    """A connection that dribbles is cut after its time, however steadily; another is served meanwhile."""
    async with open_port() as port:
        async with await trio.open_tcp_stream("127.0.0.1", port) as slow:

            async def dribble() -> None:
                for byte in GET[:-2] + b"X: y\r\n" * 100:
                    await slow.send_all(bytes([byte]))
                    await trio.sleep(1)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(dribble)
                await trio.sleep(5)
                assert (await ask(port)).endswith(b"hello")
                with suppress(trio.BrokenResourceError):  # it had sent what nobody will read
                    assert await slow.receive_some(1) == b""
                assert trio.current_time() == pytest.approx(loopback.HEAD_TIMEOUT, abs=1)
                nursery.cancel_scope.cancel()


@pytest.mark.parametrize("said", [b"", GET[:9], GET], ids=["nothing", "half a head", "no reading"])
async def test_a_crowd_does_not_keep_a_browser_out(said: bytes, autojump_clock: trio.testing.MockClock) -> None:
    """Of hundreds who say nothing, or do not read, the oldest make way; no more than a few have a descriptor."""
    large = bytes(16 << 20)  # more than the system keeps for one that does not read

    async def answer(request: h11.Request) -> Page:
        return Page(200, (), b"hello" if request.target == b"/honest" else large)

    before = descriptors()
    async with open_port(answer) as port, AsyncExitStack() as crowd:
        for number in range(200):
            stream = await crowd.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port))
            await stream.send_all(said)
            await trio.testing.wait_all_tasks_blocked()
            assert descriptors() - before <= 1 + number + 1 + loopback.MAX_CONNECTIONS
        assert (await ask(port, GET.replace(b"/x", b"/honest"))).endswith(b"hello")
        assert trio.current_time() < 1


async def test_who_waits_for_the_login_has_a_place_and_others_have_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Whoever has the state has no more connections than there are; the rest wait outside, and get in later."""
    ended = trio.Event()

    async def answer(request: h11.Request) -> Page:
        await ended.wait()
        return await hello(request)

    before = descriptors()
    async with open_port(answer) as port, AsyncExitStack() as crowd, trio.open_nursery() as nursery:
        for _ in range(200):
            stream = await crowd.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port))
            await stream.send_all(GET)
        await trio.testing.wait_all_tasks_blocked()
        assert descriptors() - before == 1 + 200 + loopback.MAX_CONNECTIONS
        answers: list[bytes] = []

        async def come() -> None:
            answers.append(await ask(port))

        nursery.start_soon(come)
        await trio.testing.wait_all_tasks_blocked()
        ended.set()
    assert answers[0].endswith(b"hello")


def descriptors() -> int:
    """Count the open files of this process."""
    return len(list(Path("/dev/fd").iterdir()))


async def test_a_browser_that_does_not_read_is_hung_up_on(autojump_clock: trio.testing.MockClock) -> None:
    """Its page has some seconds to leave; what has not left by then is not sent."""
    size = 32 * 1024 * 1024  # no system keeps so much for one that does not read

    async def answer(_: h11.Request) -> Page:
        return Page(200, (), bytes(size))

    async with open_port(answer) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(GET)
        await trio.sleep(loopback.SEND_TIMEOUT + 1)
        received = 0
        with suppress(trio.BrokenResourceError):
            async for piece in stream:
                received += len(piece)
    assert received < size


async def test_a_page_under_way_leaves_and_the_silent_are_cut(autojump_clock: trio.testing.MockClock) -> None:
    """When the login ends, whoever was promised a page gets it; who has not asked is hung up on at once."""
    asked, go = trio.Event(), trio.Event()

    async def answer(request: h11.Request) -> Page:
        asked.set()
        await go.wait()
        return await hello(request)

    answers: list[bytes] = []
    async with trio.open_nursery() as nursery:
        async with open_port(answer) as port:
            silent = await trio.open_tcp_stream("127.0.0.1", port)

            async def keep() -> None:
                answers.append(await ask(port))

            nursery.start_soon(keep)
            await asked.wait()
            go.set()
        assert trio.current_time() < 0.5
    assert answers[0].endswith(b"hello")
    assert await silent.receive_some(1) == b""
    await silent.aclose()
    with pytest.raises(OSError, match=r"refused|all attempts"):
        await trio.open_tcp_stream("127.0.0.1", port)


async def test_a_page_that_does_not_come_does_not_hold_the_port(autojump_clock: trio.testing.MockClock) -> None:
    """An answer that takes longer than the drain is dropped with its connection."""

    async def never(_request: h11.Request) -> Page:
        await trio.sleep_forever()
        raise AssertionError("it slept forever")

    async with trio.open_nursery() as nursery:
        async with open_port(never) as port:
            nursery.start_soon(ask, port)
            await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == pytest.approx(loopback.DRAIN_TIMEOUT, abs=0.1)


async def test_a_bug_in_an_answer_ends_its_connection_alone(caplog: pytest.LogCaptureFixture) -> None:
    """An exception that nobody foresaw is logged, and the next request is answered."""
    first = True

    async def answer(request: h11.Request) -> Page:
        nonlocal first
        if first:
            first = False
            raise ZeroDivisionError
        return await hello(request)

    async with open_port(answer) as port:
        assert await ask(port) == b""
        assert (await ask(port)).endswith(b"hello")
    assert "ZeroDivisionError" in caplog.text


async def test_a_port_is_asked_for_once_and_politely() -> None:
    """Whoever holds it gets one GET /cancel, from no browser; if they let go, the port is ours."""
    heard: list[bytes] = []
    listener = await bind_loopback((0,))
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:

        async def hold() -> None:
            stream = await listener.accept()
            heard.append(bytes(await stream.receive_some(1000)))
            await listener.aclose()
            await stream.aclose()

        nursery.start_soon(hold)
        ours = await bind_loopback((port, 0))
    assert ours.socket.getsockname()[1] == port
    assert heard == [b"GET /cancel HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n" % port]
    await ours.aclose()


@pytest.mark.parametrize("silence", [0, 10], ids=["hangs up", "says nothing"])
def test_whoever_stops_asking_has_no_port(silence: float) -> None:
    """A cancellation after each step in turn: none comes between getting the port and having it."""

    async def ask_for_a_port(stepper: Stepper, steps: int) -> None:
        holder = await bind_loopback((0,))
        port = holder.socket.getsockname()[1]

        async def hold() -> None:
            async with holder, await holder.accept():
                await holder.aclose()
                await trio.sleep(silence)  # it has let go of the port by now, and not of the one who asked

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold)
            with trio.CancelScope() as scope:
                stepper.arm([(steps, scope.cancel)])
                ours = await bind_loopback((port,))
                stepper.disarm()
                assert ours.socket.getsockname()[1] == port
                ours.socket.close()
            nursery.cancel_scope.cancel()

    for steps in range(1, 40):
        run(partial(ask_for_a_port, steps=steps))
    gc.collect()  # which would complain of a socket that nobody has closed


async def test_a_port_that_is_not_let_go_of_costs_less_than_a_second() -> None:
    """A holder that does not even answer is waited for shortly; then the next port is taken."""
    holder = await bind_loopback((0,))
    port = holder.socket.getsockname()[1]
    started = trio.current_time()
    ours = await bind_loopback((port, 0))
    assert trio.current_time() - started < 1
    assert ours.socket.getsockname()[1] != port
    await ours.aclose()
    await holder.aclose()


async def test_without_a_port_the_error_names_who_has_them_and_the_way_out() -> None:
    """Both ports, the programs that listen there, and the login that needs none."""
    holders = [await bind_loopback((0,)) for _ in range(2)]
    ports = tuple(holder.socket.getsockname()[1] for holder in holders)
    with pytest.raises(RequestFailed, match="failed to start login server") as caught:
        await bind_loopback(ports)
    for port in ports:
        assert f"{port} by " in str(caught.value)
    assert "device code" in str(caught.value)
    for holder in holders:
        await holder.aclose()


async def test_a_port_that_may_not_be_had_is_no_port_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what the system said; nobody is asked to let go of it, and no holder is looked for."""
    tried: list[int] = []

    async def refuse(port: int, *, host: str) -> NoReturn:
        tried.append(port)
        await trio.lowlevel.checkpoint()
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(trio, "open_tcp_listeners", refuse)
    with pytest.raises(RequestFailed, match=r"port 1455: Permission denied \(os error 13\)"):
        await bind_loopback((1455, 1457))
    assert tried == [1455]
