"""Whatever a request fails with, one error of ours comes out, in our words, and chained to nothing that quotes."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from typing import TYPE_CHECKING, NoReturn

import h11
import httpcore
import httpx
import pytest
import trio
import trio.testing

from accountd.errors import RemoteUnreachable
from accountd.web.http import HttpClient, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CANARY = "canary-eyJhbGciOi"
SENDING = "error sending request to issuer.example: "
CANNOT_BE_SENT = SENDING + "there is something in it that HTTP cannot carry"
CUT_OFF = SENDING + "the connection was cut off"
NOT_HTTP = CUT_OFF + ", or what came is not HTTP"
ADDRESS = SENDING + "its address cannot be used"
SILENCE = SENDING + "nothing came or went for 30 s"


def unforeseen(name: str) -> str:
    """Give what is said of a class that nobody thought of."""
    return f"{SENDING}it failed in a way that was not foreseen ({name})"


class Odd(Exception):
    """What no library is known to raise."""


def unchained(error: Exception, cause: Exception) -> Exception:
    """Give an error that was raised while another was handled, and not from it."""
    error.__context__ = cause
    return error


FAILURES: dict[Exception, str] = {
    httpx.InvalidURL(CANARY): ADDRESS,
    httpx.UnsupportedProtocol(CANARY): ADDRESS,
    httpx.ConnectTimeout(CANARY): SENDING + "no connection within 10 s",
    httpx.ReadTimeout(CANARY): SILENCE,
    httpx.WriteTimeout(CANARY): SILENCE,
    httpx.PoolTimeout(CANARY): SILENCE,
    httpx.ConnectError(CANARY): SENDING + "no connection could be made",
    httpx.ReadError(CANARY): CUT_OFF,
    httpx.WriteError(CANARY): CUT_OFF,
    httpx.CloseError(CANARY): CUT_OFF,
    httpx.ProxyError(CANARY): SENDING + "it does not let the request through",
    httpx.ProxyError(f"407 {CANARY}"): SENDING + "it answers 407 Proxy Authentication Required",
    httpx.ProxyError("Proxy Server could not connect: Connection refused."): (
        SENDING + "it could not connect: Connection refused"
    ),
    httpx.ProxyError(f"Proxy Server could not connect: {CANARY}."): SENDING + "it does not let the request through",
    httpx.LocalProtocolError(f"Illegal header value b'Bearer {CANARY}\\n'"): CANNOT_BE_SENT,
    httpx.RemoteProtocolError(f"illegal chunk header: bytearray(b'{CANARY}')"): NOT_HTTP,
    httpx.DecodingError(CANARY): CUT_OFF,
    httpx.TooManyRedirects(CANARY): CUT_OFF,
    httpx.StreamConsumed(): unforeseen("StreamConsumed"),
    httpcore.ConnectTimeout(CANARY): SENDING + "no connection within 10 s",
    httpcore.ReadError(CANARY): CUT_OFF,
    httpcore.ProxyError(CANARY): SENDING + "it does not let the request through",
    httpcore.LocalProtocolError(CANARY): CANNOT_BE_SENT,
    httpcore.ConnectionNotAvailable(CANARY): unforeseen("ConnectionNotAvailable"),
    h11.LocalProtocolError(CANARY): CANNOT_BE_SENT,
    h11.RemoteProtocolError(CANARY): NOT_HTTP,
    UnicodeEncodeError("ascii", f"Bearer {CANARY}é", 7, 8, CANARY): CANNOT_BE_SENT,
    UnicodeError(CANARY): CANNOT_BE_SENT,
    trio.BrokenResourceError(CANARY): CUT_OFF,
    trio.ClosedResourceError(CANARY): CUT_OFF,
    trio.BusyResourceError(CANARY): unforeseen("BusyResourceError"),
    ssl.SSLError(CANARY): SENDING + "TLS failed (unknown reason)",
    ssl.SSLCertVerificationError(CANARY): SENDING + "its certificate is not trusted (for some reason)",
    socket.gaierror(socket.EAI_NONAME, CANARY): SENDING + "its name could not be looked up (there is no such name)",
    socket.gaierror(socket.EAI_AGAIN, CANARY): SENDING + "its name could not be looked up (no name server answers)",
    socket.gaierror(socket.EAI_FAIL, CANARY): SENDING
    + f"its name could not be looked up (error {socket.EAI_FAIL})",
    ConnectionRefusedError(errno.ECONNREFUSED, CANARY): SENDING + "Connection refused (os error 111)",
    unchained(httpx.ConnectError(CANARY), OSError(errno.EHOSTUNREACH, CANARY)): (
        SENDING + "No route to host (os error 113)"
    ),
    OSError(CANARY): CUT_OFF,
    OSError(errno.EMFILE, "Too many open files"): (
        "there is no room for a request now: Too many open files (os error 24)"
    ),
    MemoryError(CANARY): "there is no room for a request now: out of memory",
    ExceptionGroup(CANARY, [OSError(errno.EHOSTUNREACH, CANARY)]): SENDING + "No route to host (os error 113)",
    ExceptionGroup(CANARY, [ValueError(CANARY), Odd(CANARY)]): unforeseen("ExceptionGroup"),
    ValueError(CANARY): unforeseen("ValueError"),
    TypeError(CANARY): unforeseen("TypeError"),
    KeyError(CANARY): unforeseen("KeyError"),
    AttributeError(CANARY): unforeseen("AttributeError"),
    AssertionError(CANARY): unforeseen("AssertionError"),
    ImportError(CANARY): unforeseen("ImportError"),
    RecursionError(CANARY): unforeseen("RecursionError"),
    RuntimeError("Cannot send a request, as the client has been closed."): unforeseen("RuntimeError"),
    Odd(CANARY): unforeseen("Odd"),
}


def chain(error: BaseException) -> Iterator[BaseException]:
    """Give what a log of an error would show besides it."""
    before = error.__cause__ or error.__context__
    while before is not None:
        yield before
        before = before.__cause__ or before.__context__


def fail_in_transport(error: Exception) -> httpx.AsyncClient:
    """Give a client that fails where requests are sent."""

    def handle(_request: httpx.Request) -> httpx.Response:
        raise error

    return httpx.AsyncClient(transport=httpx.MockTransport(handle))


def fail_in_build(error: Exception) -> httpx.AsyncClient:
    """Give a client that fails where requests are made."""
    client = httpx.AsyncClient()

    def build_request(*_: object, **__: object) -> httpx.Request:
        raise error

    client.build_request = build_request  # type: ignore[method-assign]
    return client


def fail_in_body(error: Exception) -> httpx.AsyncClient:
    """Give a client that fails where answers are read."""

    class Stream(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]  # a generator, whatever it is called
            yield b"{"
            raise error

    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Stream())))


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", [fail_in_transport, fail_in_build, fail_in_body])
async def test_any_failure_is_one_of_ours(
    place: Callable[[Exception], httpx.AsyncClient], error: Exception
) -> None:
    """Each class of exception, wherever it is raised, becomes RemoteUnreachable, and quotes nothing."""

    async def open_httpx(_way: Way) -> httpx.AsyncClient:
        return place(error)

    http = HttpClient("agent/1", open_httpx)
    with pytest.raises(RemoteUnreachable) as caught:
        await http.request("GET", "https://issuer.example/path", headers={"Authorization": f"Bearer {CANARY}"})
    assert str(caught.value) == FAILURES[error]
    assert all(isinstance(cause, ssl.SSLCertVerificationError) for cause in chain(caught.value))


async def test_a_library_that_cannot_be_loaded_fails_the_request() -> None:
    """What goes wrong before there is a client is told as well, and the next request tries again."""
    failures = [ImportError(CANARY), httpx.InvalidURL(CANARY)]

    async def open_httpx(_way: Way) -> httpx.AsyncClient:
        if failures:
            raise failures.pop()
        return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200)))

    http = HttpClient("agent/1", open_httpx)
    for words in (ADDRESS, unforeseen("ImportError")):
        with pytest.raises(RemoteUnreachable) as caught:
            await http.request("GET", "https://issuer.example/")
        assert str(caught.value) == words
    assert (await http.request("GET", "https://issuer.example/")).status == 200


@pytest.mark.parametrize("url", ["https://[", "https://a:b", "nowhere", "", "https://\udcff/", "https://xn--a/"])
async def test_what_is_no_url_is_told(url: str) -> None:
    """An address that no configuration could have is refused in words."""

    async def open_httpx(_way: Way) -> httpx.AsyncClient:
        return httpx.AsyncClient(trust_env=False)

    http = HttpClient("agent/1", open_httpx)
    with pytest.raises(RemoteUnreachable, match="error sending request to"):
        await http.request("GET", url)
    await http.aclose()


async def test_a_cancellation_is_none_of_them(autojump_clock: trio.testing.MockClock) -> None:
    """Who is cancelled is cancelled, also where something else fails at that moment."""

    async def handle(_request: httpx.Request) -> NoReturn:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError(CANARY)

    async def open_httpx(_way: Way) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(handle))

    with trio.move_on_after(1) as scope:
        await HttpClient("agent/1", open_httpx).request("GET", "https://issuer.example/")
    assert scope.cancelled_caught


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ((), "issuer.example did not answer in 60 s (by the proxy socks5://p:1 of ALL_PROXY)"),
        (
            ("socks.connect_tcp.started",),
            "the proxy socks5://p:1 of ALL_PROXY did not answer in 60 s, on the way to issuer.example",
        ),
        (
            ("socks.connect_tcp.started", "socks.start_tls.started"),
            "issuer.example did not answer in 60 s (by the proxy socks5://p:1 of ALL_PROXY)",
        ),
    ],
)
async def test_whose_silence_it_is_is_told(
    events: tuple[str, ...], words: str, autojump_clock: trio.testing.MockClock
) -> None:
    """That of a proxy until there is a tunnel, as httpcore tells; after that, the host's."""

    async def handle(request: httpx.Request) -> NoReturn:
        for event in events:
            await request.extensions["trace"](event, {})
        await trio.sleep_forever()

    async def open_httpx(_way: Way) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(handle))

    http = HttpClient("agent/1", open_httpx, {"ALL_PROXY": "socks5://p:1"})
    with pytest.raises(RemoteUnreachable) as caught:
        await http.request("GET", "https://issuer.example/")
    assert str(caught.value) == words


async def test_closing_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The end of the daemon is in order whatever the pool does; the log has the class of it and no more."""

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, request=request)

        async def aclose(self) -> None:
            raise Odd(CANARY)

    async def open_httpx(_way: Way) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=Transport())

    http = HttpClient("agent/1", open_httpx)
    await http.request("GET", "https://issuer.example/")
    with caplog.at_level(logging.INFO, "accountd"):
        await http.aclose()
    assert caplog.messages == ["the connections were not closed in order: Odd"]
