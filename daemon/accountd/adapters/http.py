"""The one HTTP client that the issuer and the backend share.

httpx, its TLS and the certificates take some hundred milliseconds and ten megabytes to load, so they are
loaded on the first request, in a thread, and a daemon that only reads a stored account never does.
"""

from __future__ import annotations

import socket
import ssl
import zlib
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn, cast

import msgspec
import trio

from accountd.adapters.trust import SystemTrust, add_authorities
from accountd.errors import RemoteUnreachable, describe_os_error, describe_shortage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
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
    `read_trust` is called before the next request after a certificate was not believed.
    """

    def __init__(
        self,
        user_agent: str,
        open_httpx: Callable[[], Awaitable[httpx.AsyncClient]],
        read_trust: Callable[[], None] = lambda: None,
    ) -> None:
        # Compressed answers are not asked for: they are small, and what unfolds has to be watched.
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._open_httpx = open_httpx
        self._read_trust = read_trust
        self._distrusts = False
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
        try:
            return await self._request(method, url, headers or {}, json, form)
        except Exception as error:  # a shortage may show as anything; all else goes on
            if (shortage := describe_shortage(error)) is None:
                raise
            raise RemoteUnreachable(f"there is no room for a request now: {shortage}") from error

    async def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        json: Mapping[str, object] | None,
        form: Mapping[str, str] | None,
    ) -> HttpAnswer:
        client = await self._client()
        if self._distrusts:
            self._read_trust()  # whoever was told may have added the authority since
            self._distrusts = False
        import httpx

        sent = dict(self._headers, **headers)
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
            if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
                self._distrusts = True
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
    trust = SystemTrust()
    # The import is slow, and nobody who does not need it should wait for it: so it is done in a thread.
    open_httpx = partial(trio.to_thread.run_sync, _open_httpx, trust, ca_file)
    client = HttpClient(user_agent, open_httpx, trust.read_again)
    try:
        yield client
    finally:
        with trio.move_on_after(2, shield=True):
            await client.aclose()


def _open_httpx(trust: SystemTrust, ca_file: Path | None) -> httpx.AsyncClient:
    """Build the httpx client. Raises RemoteUnreachable for a proxy or certificate file that cannot be used."""
    import httpx

    context = trust.open()
    if ca_file is not None:
        try:
            add_authorities(context, ca_file)
        except ssl.SSLError as error:
            raise RemoteUnreachable(f"cannot read certificates from {ca_file}. {_CA_HINT}") from error
        except OSError as error:
            reason = describe_os_error(error)
            raise RemoteUnreachable(f"cannot read certificates from {ca_file}: {reason}. {_CA_HINT}") from error
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
    """Read a body of bounded size. Raises RemoteUnreachable."""
    body = bytearray()
    # Cancelled, not left: that unwinds the generators within httpx, which nobody else would close in time.
    with trio.CancelScope() as too_large:
        async for piece in cast("httpx.AsyncByteStream", answer.stream):  # as it came, and not unfolded
            body += piece
            if len(body) > MAX_ANSWER:
                too_large.cancel()
    host, encoding = answer.url.host, answer.headers.get("content-encoding", "identity").lower()
    unfolded = _unfold(bytes(body), encoding, host)
    if len(unfolded) > MAX_ANSWER:
        raise RemoteUnreachable(f"the answer of {host} is larger than {MAX_ANSWER} bytes")
    return unfolded


def _unfold(body: bytes, encoding: str, host: str) -> bytes:
    """Undo the one compression that a proxy may have added; no further than what is too large.

    httpx would undo any number of them, one in another, and so make gigabytes of some kilobytes.
    """
    if encoding == "identity" or not body:
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise RemoteUnreachable(f"the answer of {host} is in an encoding that was not asked for")
    unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        unpacked = unpacking.decompress(body, MAX_ANSWER + 1)
    except zlib.error:
        raise RemoteUnreachable(f"the answer of {host} is not the gzip that it says it is") from None
    if not unpacking.eof and len(unpacked) <= MAX_ANSWER:
        raise RemoteUnreachable(f"the answer of {host} ends in the middle")
    return unpacked


def _raise_unreachable(error: httpx.HTTPError, host: str) -> NoReturn:
    """Say in a line what went wrong on the way to a host."""
    raise RemoteUnreachable(f"error sending request to {host}: {_find_reason(error)}") from error


def _find_reason(error: httpx.HTTPError) -> str:
    """Find words for a failure: of its TLS, of the system, of a deadline, or of HTTP."""
    import httpx

    match error:
        case httpx.ConnectTimeout():
            return f"no connection within {CONNECT_TIMEOUT:.0f} s"
        case httpx.TimeoutException():
            return f"nothing came or went for {READ_TIMEOUT:.0f} s"
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted ({cause.verify_message})"
            case ssl.SSLError():  # an OSError, too, whose number is not the system's
                return f"TLS failed ({(cause.reason or 'unknown reason').replace('_', ' ').lower()})"
            case socket.gaierror(strerror=str(words)):  # likewise
                return f"its name could not be looked up ({words})"
            case OSError(errno=int(), strerror=str()):
                return describe_os_error(cause)
    # What h11 quotes of an answer that is no HTTP may be anything, such as the middle of a token.
    return str(error).partition(": bytearray(")[0] or "the connection was cut off"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error, and what it came from, step by step."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
