"""The one HTTP client that the issuer and the backend share.

httpx, its TLS and the certificates take some hundred milliseconds and ten megabytes to load, so they are
loaded on the first request, in a thread, and a daemon that only reads a stored account never does.
"""

from __future__ import annotations

import logging
import ssl
import zlib
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import msgspec
import trio

from accountd.adapters.failures import CONNECT_TIMEOUT, READ_TIMEOUT, describe_failure, find_distrust
from accountd.adapters.trust import SystemTrust, add_authorities
from accountd.errors import RemoteUnreachable, describe_os_error, describe_shortage
from accountd.urls import split_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    import httpx

REQUEST_TIMEOUT: Final = 60.0
"""Seconds for a request from its first step to the last byte of its answer, however it dribbles."""

MAX_ANSWER: Final = 4 << 20
"""Bytes of an answer; the largest known is an organisation's policy, well under one megabyte."""

_CA_HINT: Final = (
    "If you set CODEX_CA_CERTIFICATE or SSL_CERT_FILE, ensure it points to a PEM file containing one or more "
    "CERTIFICATE blocks, or unset it to use system roots."
)

_log = logging.getLogger(__name__)


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
        """Send one request, once. Raises RemoteUnreachable when no whole answer came; cancelling drops it.

        Nothing else is raised, whatever the libraries below raise. The error is chained to a certificate that is
        not trusted, and to nothing besides, since what is raised below may quote what was to be sent.
        """
        host = _find_host(url)
        try:
            with trio.fail_after(REQUEST_TIMEOUT):
                return await self._request(host, method, url, headers=headers or {}, json=json, form=form)
        except RemoteUnreachable:
            raise
        except trio.TooSlowError:
            words, distrusted = f"{host} did not answer in {REQUEST_TIMEOUT:.0f} s", None
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - anything: see above
            if isinstance(error, BaseExceptionGroup) and (vital := error.split(Exception)[1]) is not None:
                raise vital from None  # a cancellation, beside which something failed
            words, distrusted = describe_failure(error, host), find_distrust(error)
        if distrusted is not None:
            self._distrusts = True
        raise RemoteUnreachable(words) from distrusted  # here, where no foreign error is its context

    async def _request(
        self,
        host: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        json: Mapping[str, object] | None,
        form: Mapping[str, str] | None,
    ) -> HttpAnswer:
        client = await self._client()
        if self._distrusts:
            self._read_trust()  # whoever was told may have added the authority since
            self._distrusts = False
        sent = dict(self._headers, **headers)
        content = None
        if json is not None:
            content, sent["Content-Type"] = msgspec.json.encode(json), "application/json"
        request = client.build_request(method, url, headers=sent, content=content, data=form)
        answer = await client.send(request, stream=True)
        try:
            body = await _read(answer, host)
        finally:
            with trio.move_on_after(1, shield=True):
                await answer.aclose()
        return HttpAnswer(
            answer.status_code, answer.headers.get("content-type", ""), body, answer.headers.get("date", "")
        )

    async def aclose(self) -> None:
        """Close the pool, if there is one. Nobody waits for that, so a failure is for the log alone."""
        if self._httpx is None:
            return
        try:
            await self._httpx.aclose()
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the daemon ends in order
            _log.info("the connections were not closed in order: %s", type(error).__name__)

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
        except ssl.SSLError:
            raise RemoteUnreachable(f"cannot read certificates from {ca_file}. {_CA_HINT}") from None
        except OSError as error:
            reason = describe_os_error(error)
            raise RemoteUnreachable(f"cannot read certificates from {ca_file}: {reason}. {_CA_HINT}") from None
    loopback = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
    try:
        return httpx.AsyncClient(
            verify=context,
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
            mounts=loopback,  # a proxy for the world has no way to this machine's own loopback
        )
    except Exception as error:  # httpx parses HTTPS_PROXY here; what it raises then may quote a password
        if describe_shortage(error) is not None:
            raise
        raise RemoteUnreachable("the proxy in HTTPS_PROXY or ALL_PROXY cannot be used") from None


def _find_host(url: str) -> str:
    """Name a URL's host for an error, also where it is no URL."""
    try:
        return split_url(url).hostname or "nowhere"
    except ValueError:
        return "nowhere"


async def _read(answer: httpx.Response, host: str) -> bytes:
    """Read a body of bounded size. Raises RemoteUnreachable."""
    body = bytearray()
    # Cancelled, not left: that unwinds the generators within httpx, which nobody else would close in time.
    with trio.CancelScope() as too_large:
        async for piece in cast("httpx.AsyncByteStream", answer.stream):  # as it came, and not unfolded
            body += piece
            if len(body) > MAX_ANSWER:
                too_large.cancel()
    unfolded = _unfold(bytes(body), answer.headers.get("content-encoding", "identity").lower(), host)
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
