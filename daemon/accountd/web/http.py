"""The one HTTP client that the issuer and the backend share.

httpx, its TLS and the certificates take some hundred milliseconds and ten megabytes to load, so they are
loaded on the first request, in a thread, and a daemon that only reads a stored account never does.
"""

from __future__ import annotations

import logging
import ssl
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import msgspec
import trio

from accountd.config.urls import is_loopback, split_url
from accountd.errors import RemoteUnreachable, describe_os_error, describe_shortage
from accountd.web.answer import HttpAnswer, read_body
from accountd.web.ca_bundle import SystemTrust, add_authorities
from accountd.web.failures import CONNECT_TIMEOUT, READ_TIMEOUT, describe_failure, find_distrust

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    import httpx

REQUEST_TIMEOUT: Final = 60.0
"""Seconds for a request from its first step to the last byte of its answer, however it dribbles."""

_CA_HINT: Final = (
    "If you set CODEX_CA_CERTIFICATE or SSL_CERT_FILE, ensure it points to a PEM file containing one or more "
    "CERTIFICATE blocks, or unset it to use system roots."
)

_log = logging.getLogger(__name__)


class HttpClient:
    """Requests, over two pools of connections. To other machines they go by the proxies of the environment.

    What is for this machine goes there directly, and what is plain HTTP nowhere else: no proxy is told of it.
    Redirects are never followed, since a request carries credentials that are meant for its own host alone.
    `open_httpx` gives a client that goes directly, or one that does not. `read_trust` is called before the next
    request after a certificate was not believed.
    """

    def __init__(
        self,
        user_agent: str,
        open_httpx: Callable[[bool], Awaitable[httpx.AsyncClient]],
        read_trust: Callable[[], None] = lambda: None,
    ) -> None:
        # Compressed answers are not asked for: they are small, and what unfolds has to be watched.
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._open_httpx = open_httpx
        self._read_trust = read_trust
        self._distrusts = False
        self._opening = trio.Lock()
        self._clients: dict[bool, httpx.AsyncClient] = {}

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
        client = await self._client(direct=is_loopback(host) or not url.lower().startswith("https:"))
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
            if (connection := answer.extensions.get("network_stream")) is not None:
                connection.end_head()
            stream = cast("httpx.AsyncByteStream", answer.stream)  # as it comes, and not unfolded
            body = await read_body(stream, answer.headers.get("content-encoding", "identity"), host)
        finally:
            with trio.move_on_after(1, shield=True):
                await answer.aclose()
        fields = answer.headers
        cookies = tuple(fields.get_list("set-cookie"))
        return HttpAnswer(answer.status_code, fields.get("content-type", ""), body, fields.get("date", ""), cookies)

    async def aclose(self) -> None:
        """Close what connections there are. Nobody waits for that, so a failure is for the log alone."""
        for client in self._clients.values():
            try:
                await client.aclose()
            except Exception as error:  # noqa: BLE001 - whatever a library raises, the daemon ends in order
                _log.info("the connections were not closed in order: %s", type(error).__name__)

    async def _client(self, *, direct: bool) -> httpx.AsyncClient:
        async with self._opening:
            if direct not in self._clients:
                from http.cookiejar import DefaultCookiePolicy

                client = self._clients[direct] = await self._open_httpx(direct)
                client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))  # it keeps none by itself
            return self._clients[direct]


@asynccontextmanager
async def open_http_client(user_agent: str, ca_file: Path | None) -> AsyncIterator[HttpClient]:
    """Give a client that loads httpx when it is first used, and is closed at the end of the block."""
    trust = SystemTrust()
    # The import is slow, and nobody who does not need it should wait for it: so it is done in a thread.
    open_httpx = partial(_open_httpx, trust, ca_file)
    client = HttpClient(user_agent, partial(trio.to_thread.run_sync, open_httpx), trust.read_again)
    try:
        yield client
    finally:
        with trio.move_on_after(2, shield=True):
            await client.aclose()


def _open_httpx(trust: SystemTrust, ca_file: Path | None, direct: bool) -> httpx.AsyncClient:
    """Build an httpx client; unless it is `direct`, with the proxies of the environment.

    Raises RemoteUnreachable for a proxy or certificate file that cannot be used.
    """
    import httpx

    from accountd.web.network import take_over

    context = trust.open()
    if ca_file is not None:
        try:
            add_authorities(context, ca_file)
        except ssl.SSLError:
            raise RemoteUnreachable(f"cannot read certificates from {ca_file}. {_CA_HINT}") from None
        except OSError as error:
            reason = describe_os_error(error)
            raise RemoteUnreachable(f"cannot read certificates from {ca_file}: {reason}. {_CA_HINT}") from None
    try:
        client = httpx.AsyncClient(
            verify=context,
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
            trust_env=not direct,
        )
    except Exception as error:  # httpx parses the variables here; what it raises then may quote a password
        if describe_shortage(error) is not None:
            raise
        raise RemoteUnreachable("what HTTPS_PROXY, ALL_PROXY, HTTP_PROXY or NO_PROXY says cannot be used") from None
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - httpx has no word for it
        if isinstance(transport, httpx.AsyncHTTPTransport):
            take_over(transport._pool, context, loopback_alone=direct)  # noqa: SLF001 - likewise
    return client


def _find_host(url: str) -> str:
    """Name a URL's host for an error, also where it is no URL."""
    try:
        return split_url(url).hostname or "nowhere"
    except ValueError:
        return "nowhere"
