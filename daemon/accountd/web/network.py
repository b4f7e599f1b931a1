"""The connections under httpx: to whom plain HTTP is spoken, and how much a server has us do at a time.

Two things are not to be had from above. Whether a name leads to this machine is known when it is connected, and
not before: so it is the connection that says nothing in clear to any other. And h11 works through all that one read
gave it without a pause, also through interim answers (1xx), of which it takes any number: so a read is short, after
it everybody has a turn, and an answer's head ends.

Imported with httpx, by whoever makes the first request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpcore

from accountd.config.urls import is_loopback_address
from accountd.errors import RemoteUnreachable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

READ_SIZE: Final = 4 << 10
"""Bytes of a read. What fits into one, a thousand empty fields or three hundred interim answers, takes some ms."""

MAX_HEAD_LINES: Final = 256
"""Lines before an answer's own body, those of interim answers counted; a head has some thirty."""

MAX_HEAD: Final = 16 << 10
"""Bytes of one head, and of the trailer behind a body in pieces; as in Node, for answers of the same servers."""

httpcore.AsyncHTTP11Connection.MAX_INCOMPLETE_EVENT_SIZE = MAX_HEAD


def take_over(pool: Any, trust: ssl.SSLContext, *, loopback_alone: bool) -> None:
    """Make a pool of httpx's connect as is said here, and trust the same authorities for a proxy that has TLS.

    For that, httpcore would read other ones, of a package that comes along, and anew for each connection; and it
    would write its keys to SSLKEYLOGFILE.
    """
    network = Network(pool._network_backend, loopback_alone=loopback_alone)  # noqa: SLF001 - httpx has no word for it
    pool._network_backend = network  # noqa: SLF001 - likewise
    if isinstance(pool, httpcore.AsyncHTTPProxy):
        pool._proxy_ssl_context = trust  # noqa: SLF001 - likewise


class Network(httpcore.AsyncNetworkBackend):
    """The network that httpcore has, held to this. With `loopback_alone`, nobody else is spoken to in clear."""

    def __init__(self, network: httpcore.AsyncNetworkBackend, *, loopback_alone: bool) -> None:
        self._network = network
        self._loopback_alone = loopback_alone

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Connection:
        """See httpcore."""
        stream = await self._network.connect_tcp(host, port, timeout, local_address, socket_options)
        return Connection(stream, host, loopback_alone=self._loopback_alone)

    async def sleep(self, seconds: float) -> None:
        """See httpcore."""
        await self._network.sleep(seconds)


class Connection(httpcore.AsyncNetworkStream):
    """One connection, with TLS or without, on which one request is answered after another."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, host: str, *, loopback_alone: bool) -> None:
        self._stream = stream
        self._host = host
        self._loopback_alone = loopback_alone
        self._head_lines: int | None = 0

    def end_head(self) -> None:
        """Note that the head of the answer is here, and what comes is its body. A request begins another one."""
        self._head_lines = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See httpcore. Raises RemoteUnreachable for a head without an end."""
        if self._head_lines is not None and self._head_lines > MAX_HEAD_LINES:
            raise RemoteUnreachable(f"the answer of {self._host} has a head of more than {MAX_HEAD_LINES} lines")
        data = await self._stream.read(min(max_bytes, READ_SIZE), timeout)
        if self._head_lines is not None:
            self._head_lines += data.count(b"\n")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See httpcore. Raises RemoteUnreachable where this would be said in clear to another machine."""
        if self._loopback_alone:
            address = self._stream.get_extra_info("server_addr")[0]
            if not is_loopback_address(address):
                raise RemoteUnreachable(f"{self._host} leads to {address}, another machine, which needs https")
        self._head_lines = 0
        await self._stream.write(buffer, timeout)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Connection:
        """See httpcore."""
        secure = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return Connection(secure, self._host, loopback_alone=False)

    def get_extra_info(self, info: str) -> Any:
        """See httpcore."""
        return self._stream.get_extra_info(info)

    async def aclose(self) -> None:
        """See httpcore."""
        await self._stream.aclose()
