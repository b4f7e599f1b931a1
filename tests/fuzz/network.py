"""The network in the place of sockets: one request goes out, and what a server says to it comes back.

Above the sockets all is the real thing: the daemon's HTTP client, what it puts under httpx, httpx itself, httpcore
and h11. Time passes only where somebody waits for nothing.
"""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import httpcore
import httpx
import trio
import trio.testing

from accountd.web.ca_bundle import Trust
from accountd.web.http import HttpClient, Way, _open_httpx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from accountd.web.network import Network

T = TypeVar("T")
End = Literal["close", "reset", "silence"]


class Server(httpcore.AsyncNetworkBackend):
    """What is at the other end of every connection: it says these pieces, one a read, and then ends so.

    `heard` is what it was sent, `said` how many bytes of what it has to say were taken.
    """

    def __init__(self, pieces: Iterable[bytes], end: End = "close") -> None:
        self.heard = b""
        self.said = 0
        self._pieces = iter(pieces)
        self._end = end

    async def connect_tcp(self, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        """See httpcore."""
        await trio.lowlevel.checkpoint()
        return _Stream(self)

    async def say(self, size: int, timeout: float | None) -> bytes:
        """Say the next piece, of which no more than this can be taken: so it has to be small."""
        await trio.lowlevel.checkpoint()
        piece = next(self._pieces, b"")
        if not piece and self._end == "reset":
            raise httpcore.ReadError("Connection reset by peer")
        if not piece and self._end == "silence":
            await trio.sleep(float("inf") if timeout is None else timeout)
            raise httpcore.ReadTimeout
        assert len(piece) <= size
        self.said += len(piece)
        return piece


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, server: Server) -> None:
        self._server = server

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._server.say(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout  # nobody waits
        await trio.lowlevel.checkpoint()
        self._server.heard += buffer

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        del ssl_context, server_hostname, timeout  # TLS has its own tests, against the real one
        return self

    def get_extra_info(self, info: str) -> Any:
        return ("127.0.0.1", 443) if info == "server_addr" else None


class _Trust(Trust):
    """Reads no certificates, which takes its time."""

    def read_again(self) -> None:
        pass


_TRUST: Final = _Trust({})


def ask(server: Server, request: Callable[[HttpClient], Awaitable[T]], user_agent: str = "fuzz/1") -> T:
    """Make one request of a client that knows of no proxy, and leave nothing open."""

    async def run() -> T:
        http = HttpClient(user_agent, partial(_open, server), {}, _TRUST)
        try:
            return await request(http)
        finally:
            await http.aclose()

    return trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


async def _open(server: Server, _way: Way) -> httpx.AsyncClient:
    client = _open_httpx(_TRUST, Way(in_clear=True))
    transport = client._transport
    assert isinstance(transport, httpx.AsyncHTTPTransport)
    network: Network = transport._pool._network_backend  # type: ignore[assignment]  # it was put there
    network._network = server
    return client
