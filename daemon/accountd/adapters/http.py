"""The one HTTP client that the issuer and the backend share.

httpx, its TLS and the certificates take some hundred milliseconds and ten megabytes to load, so they are
loaded on the first request, in a thread, and a daemon that only reads a stored account never does.
"""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec
import trio

from accountd.errors import RemoteUnreachable, describe_os_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    import httpx

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for name resolution, TCP, proxy and TLS together; then the network is taken to be down."""

READ_TIMEOUT: Final = 30.0
"""Seconds between two pieces of an answer. The issuer's slow days are below ten."""

REQUEST_TIMEOUT: Final = 60.0
"""Seconds for a request from its first step to the last byte of its answer, however it dribbles."""

MAX_ANSWER: Final = 4 << 20
"""Bytes of an answer; the largest known is an organisation's policy, well under one megabyte."""

_CA_HINT: Final = (
    "If you set CODEX_CA_CERTIFICATE or SSL_CERT_FILE, ensure it points to a PEM file containing one or more "
    "CERTIFICATE blocks, or unset it to use system roots."
)


class HttpAnswer(msgspec.Struct, frozen=True):
    """A whole answer, whatever its status."""

    status: int
    content_type: str
    body: bytes
    date: str = ""
    """When the server answered, by its own clock and in its words."""


class HttpClient:
    """Requests over one connection pool. Proxies come from the environment.

    Redirects are never followed, since a request carries credentials that are meant for its own host alone.
    """

    def __init__(self, user_agent: str, open_httpx: Callable[[], Awaitable[httpx.AsyncClient]]) -> None:
        self._headers = {"User-Agent": user_agent}
        self._open_httpx = open_httpx
        self._opening = trio.Lock()
        self._httpx: httpx.AsyncClient | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Mapping[str, object] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send one request, once. Raises RemoteUnreachable when no whole answer came; cancelling drops it."""
        client = await self._client()
        import httpx

        sent = dict(self._headers, **(headers or {}))
        content = None
        if json is not None:
            content, sent["Content-Type"] = msgspec.json.encode(json), "application/json"
        try:
            with trio.fail_after(REQUEST_TIMEOUT):
                request = client.build_request(method, url, headers=sent, content=content, data=form)
                answer = await client.send(request, stream=True)
                try:
                    body = await _read(answer)
                finally:
                    with trio.move_on_after(1, shield=True):
                        await answer.aclose()
        except trio.TooSlowError:
            raise RemoteUnreachable(f"{request.url.host} did not answer in {REQUEST_TIMEOUT:.0f} s") from None
        except httpx.HTTPError as error:
            _raise_unreachable(error, request.url.host)
        return HttpAnswer(
            answer.status_code, answer.headers.get("content-type", ""), body, answer.headers.get("date", "")
        )

    async def aclose(self) -> None:
        """Close the pool, if there is one."""
        if self._httpx is not None:
            await self._httpx.aclose()

    async def _client(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._httpx is None:
                self._httpx = await self._open_httpx()
            return self._httpx


@asynccontextmanager
async def open_http_client(user_agent: str, ca_file: Path | None) -> AsyncIterator[HttpClient]:
    """Give a client that loads httpx when it is first used, and is closed at the end of the block."""
    # The import is slow, and nobody who does not need it should wait for it: so it is done in a thread.
    client = HttpClient(user_agent, partial(trio.to_thread.run_sync, _open_httpx, ca_file))
    try:
        yield client
    finally:
        with trio.move_on_after(2, shield=True):
            await client.aclose()


def _open_httpx(ca_file: Path | None) -> httpx.AsyncClient:
    """Build the httpx client. Raises RemoteUnreachable for a proxy or certificate file that cannot be used."""
    import httpx
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise RemoteUnreachable(f"cannot read certificates from {ca_file}. {_CA_HINT}") from error
    loopback = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
    try:
        return httpx.AsyncClient(
            verify=context,
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
            mounts=loopback,  # a proxy for the world has no way to this machine's own loopback
        )
    except (ImportError, ValueError) as error:
        # httpx parses HTTPS_PROXY here. Its complaint may quote the proxy's password, so it is not passed on.
        raise RemoteUnreachable("the proxy in HTTPS_PROXY or ALL_PROXY cannot be used") from error


async def _read(answer: httpx.Response) -> bytes:
    body = bytearray()
    # Cancelled, not left: that unwinds the generators within httpx, which nobody else would close in time.
    with trio.CancelScope() as too_large:
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > MAX_ANSWER:
                too_large.cancel()
    if len(body) > MAX_ANSWER:
        raise RemoteUnreachable(f"the answer of {answer.url.host} is larger than {MAX_ANSWER} bytes")
    return bytes(body)


def _raise_unreachable(error: httpx.HTTPError, host: str) -> NoReturn:
    """Say in a line what went wrong on the way to a host: its TLS, the system's word, or the kind of failure."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"its certificate is not trusted ({cause.verify_message})"
            break
        if isinstance(cause, OSError) and cause.errno is not None and cause.strerror:
            reason = describe_os_error(cause)
            break
        cause = cause.__cause__ or cause.__context__
    else:
        reason = str(error) or type(error).__name__
    raise RemoteUnreachable(f"error sending request to {host}: {reason}") from error
