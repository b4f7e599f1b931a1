"""The one HTTP client that the issuer and the backend share.

httpx, its TLS and the certificates take some hundred milliseconds and ten megabytes to load, so they are
loaded on the first request, in a thread, and a daemon that only reads a stored account never does.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import msgspec
import trio

from accountd.config.urls import split_url
from accountd.errors import RemoteUnreachable
from accountd.web.answer import HttpAnswer, parse_date, read_body
from accountd.web.ca_bundle import NOBODY, NOBODY_REMEDY, Trust
from accountd.web.failures import CONNECT_TIMEOUT, READ_TIMEOUT, describe_failure, find_distrust
from accountd.web.proxies import Proxy, choose_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    import httpx

REQUEST_TIMEOUT: Final = 60.0
"""Seconds for a request from its first step to the last byte of its answer, however it dribbles."""

_log = logging.getLogger(__name__)


class Way(NamedTuple):
    """How a request leaves: by which proxy, or directly; and whether in clear, which no other machine may hear."""

    proxy: Proxy | None = None
    in_clear: bool = False


class _Passage:
    """How far a request is on its way, as httpcore tells: whose fault a failure is."""

    def __init__(self, proxy: Proxy | None) -> None:
        self.proxy = proxy
        self.at_proxy = False
        """It is connecting to the proxy, and has no tunnel yet. A connection that is used again has one."""

    async def trace(self, event: str, _info: Mapping[str, object]) -> None:
        if event.endswith("connect_tcp.started"):
            self.at_proxy = self.proxy is not None
        elif event in ("proxy.start_tls.started", "socks.start_tls.started"):
            self.at_proxy = False

    def describe_silence(self, host: str) -> str:
        """Describe who has not answered in all the time that a request has."""
        if self.at_proxy:
            return f"{self.proxy} did not answer in {REQUEST_TIMEOUT:.0f} s, on the way to {host}"
        by = f" (by {self.proxy})" if self.proxy is not None else ""
        return f"{host} did not answer in {REQUEST_TIMEOUT:.0f} s{by}"


class HttpClient:
    """Requests, over a pool of connections for each way out: to other machines by the proxies of the environment.

    What is for this machine goes there directly, and what is plain HTTP nowhere else: no proxy is told of it.
    Redirects are never followed, since a request carries credentials that are meant for its own host alone.
    `hear` is called with the Unix time that the head of an answer tells.
    """

    def __init__(
        self,
        user_agent: str,
        open_httpx: Callable[[Way], Awaitable[httpx.AsyncClient]],
        environ: Mapping[str, str] = MappingProxyType({}),
        trust: Trust | None = None,
        hear: Callable[[float], None] = lambda _: None,
    ) -> None:
        # Compressed answers are not asked for: they are small, and what unfolds has to be watched.
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._open_httpx = open_httpx
        self._environ = environ
        self._trust = trust if trust is not None else Trust(environ)
        self._hear = hear
        self._distrusts = False
        self._opening = trio.Lock()
        self._clients: dict[Way, httpx.AsyncClient] = {}

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
        in_clear = not url.lower().startswith("https:")
        passage = _Passage(None if in_clear else choose_proxy(url, self._environ))
        try:
            with trio.fail_after(REQUEST_TIMEOUT):
                return await self._request(
                    Way(passage.proxy, in_clear),
                    passage,
                    host,
                    method,
                    url,
                    headers=headers or {},
                    json=json,
                    form=form,
                )
        except RemoteUnreachable:
            raise
        except trio.TooSlowError:
            words, distrusted = passage.describe_silence(host), None
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - anything: see above
            if isinstance(error, BaseExceptionGroup) and (vital := error.split(Exception)[1]) is not None:
                raise vital from None  # a cancellation, beside which something failed
            words = describe_failure(error, host, passage.proxy, at_proxy=passage.at_proxy)
            distrusted = find_distrust(error)
        if distrusted is not None:
            self._distrusts = True
            words += f"; {NOBODY}: {NOBODY_REMEDY}" if self._trust.is_empty() else ""
        raise RemoteUnreachable(words) from distrusted  # here, where no foreign error is its context

    async def _request(
        self,
        way: Way,
        passage: _Passage,
        host: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        json: Mapping[str, object] | None,
        form: Mapping[str, str] | None,
    ) -> HttpAnswer:
        client = await self._client(way)
        if self._distrusts:
            self._trust.read_again()  # whoever was told may have added the authority since
            self._distrusts = False
        sent = dict(self._headers, **headers)
        content = None
        if json is not None:
            content, sent["Content-Type"] = msgspec.json.encode(json), "application/json"
        extensions = {"trace": passage.trace} if way.proxy is not None else {}
        request = client.build_request(method, url, headers=sent, content=content, data=form, extensions=extensions)
        answer = await client.send(request, stream=True)
        try:
            if (moment := parse_date(answer.headers.get("date", ""))) is not None:
                self._hear(moment)
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

    async def _client(self, way: Way) -> httpx.AsyncClient:
        async with self._opening:
            if way not in self._clients:
                from http.cookiejar import DefaultCookiePolicy

                client = self._clients[way] = await self._open_httpx(way)
                client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))  # it keeps none by itself
            return self._clients[way]


@asynccontextmanager
async def open_http_client(
    user_agent: str, environ: Mapping[str, str], hear: Callable[[float], None] = lambda _: None
) -> AsyncIterator[HttpClient]:
    """Open a client that loads httpx when it is first used, and is closed at the end of the block."""
    trust = Trust(environ)
    # The import is slow, and nobody who does not need it should wait for it: so it is done in a thread.
    open_httpx = partial(trio.to_thread.run_sync, partial(_open_httpx, trust))
    client = HttpClient(user_agent, open_httpx, environ, trust, hear)
    try:
        yield client
    finally:
        with trio.move_on_after(2, shield=True):
            await client.aclose()


def _open_httpx(trust: Trust, way: Way) -> httpx.AsyncClient:
    """Build an httpx client for one way out; it reads no variables by itself. Raises UnusableBundle."""
    import httpx

    from accountd.web.network import take_over

    context, proxy = trust.open(), None
    if way.proxy is not None:
        user, password = way.proxy.user, way.proxy.password.reveal()
        proxy = httpx.Proxy(way.proxy.url, auth=None if user is None else (user, password))
    client = httpx.AsyncClient(
        verify=context,
        timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
        follow_redirects=False,
        trust_env=False,
        proxy=proxy,
    )
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - httpx has no word for it
        if isinstance(transport, httpx.AsyncHTTPTransport):
            take_over(transport._pool, context, loopback_alone=way.in_clear)  # noqa: SLF001 - likewise
    return client


def _find_host(url: str) -> str:
    """Name a URL's host for an error, also where it is no URL."""
    try:
        return split_url(url).hostname or "nowhere"
    except ValueError:
        return "nowhere"
