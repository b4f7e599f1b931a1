"""Where a request got stuck: the name, the connection, the proxy, TLS, or HTTP. Asked once it has failed."""

from __future__ import annotations

import base64
import os
import re
import ssl
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import unquote, urlsplit

import msgspec
import trio

from accountd.config.urls import is_loopback, split_proxy
from accountd.doctor.certificate import read_issuer
from accountd.errors import describe_foreign
from accountd.web.failures import find_distrust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accountd.errors import RemoteUnreachable

Stage = Literal["name", "connection", "proxy", "tls", "http"]

_PATIENCE: Final = 6.0
"""Seconds for each step; the request before has waited longer."""

_OUT_OF_DATE: Final = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, …_CERT_HAS_EXPIRED of OpenSSL
_FOR_ANOTHER: Final = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, …_IP_ADDRESS_MISMATCH


class Fault(msgspec.Struct, frozen=True):
    """Where it got stuck, in words, and what to do."""

    stage: Stage
    text: str
    remedy: str


class MalformedProxy(Exception):
    """The variable that names a proxy does not. What it says may have a password in it, and is not repeated."""

    def __init__(self, variable: str) -> None:
        super().__init__(f"{variable} is not the URL of a proxy")
        self.variable = variable


class Proxy(msgspec.Struct, frozen=True):
    """A proxy, and which variable names it."""

    variable: str
    scheme: str
    host: str
    port: int
    authorization: str | None = None

    @property
    def shown(self) -> str:
        """The proxy without its password."""
        return f"{self.scheme}://{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"<Proxy {self.shown}>"


def find_proxy(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Find the proxy for a URL, as the HTTP client does. Raises MalformedProxy."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    names = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    variable = next((name for name in names if environ.get(name, "").strip()), None)
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if variable is None or parts.scheme != "https" or is_loopback(host) or _is_exempt(host, no_proxy):
        return None
    value = environ[variable].strip()
    try:
        proxy = split_proxy(value)
        port = proxy.port or {"https": 443, "socks5": 1080, "socks5h": 1080}.get(proxy.scheme, 80)
    except ValueError:
        raise MalformedProxy(variable) from None
    if proxy.scheme not in ("http", "https", "socks5", "socks5h"):
        raise MalformedProxy(variable)
    credentials = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}"
    authorization = base64.b64encode(credentials.encode()).decode() if proxy.username else None
    return Proxy(variable, proxy.scheme, proxy.hostname or "", port, authorization)


def _is_exempt(host: str, no_proxy: str) -> bool:
    """Say whether NO_PROXY names a host, or a domain that it is in; with a leading dot, only what is in it."""
    for entry in (entry.strip().lower() for entry in no_proxy.split(",")):
        if entry and (entry in ("*", host) or host.endswith(entry if entry.startswith(".") else f".{entry}")):
            return True
    return False


async def find_fault(url: str, environ: Mapping[str, str], error: RemoteUnreachable) -> Fault:
    """Go the way of a request that failed with this error, step by step, to where it fails."""
    try:
        proxy = find_proxy(url, environ)
    except MalformedProxy as malformed:
        return Fault("proxy", str(malformed), f"set {malformed.variable} to http://HOST:PORT, or unset it")
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    first = (proxy.host, proxy.port) if proxy is not None else (host, port)
    fault = await _find_fault_of_name(first[0], proxy)
    if fault is not None:
        return fault
    try:
        with trio.fail_after(_PATIENCE):
            stream = await trio.open_tcp_stream(*first)
    except (OSError, trio.TooSlowError) as refused:
        return _describe_unreachable(first, proxy, refused)
    async with stream:
        if proxy is not None and parts.scheme == "https":
            if proxy.scheme != "http":
                return Fault("proxy", f"{proxy.shown}, of {proxy.variable}: {error}", f"correct {proxy.variable}")
            refusal = await _open_tunnel(stream, proxy, host, port)
            if refusal is not None:
                return refusal
        if parts.scheme == "https" and (found := await _find_fault_of_tls(stream, host, error)) is not None:
            return found
    return Fault("http", str(error), "see whether a proxy or a firewall on the way ends the connection")


async def _find_fault_of_name(host: str, proxy: Proxy | None) -> Fault | None:
    try:
        with trio.fail_after(_PATIENCE):
            await trio.socket.getaddrinfo(host, None)
    except trio.TooSlowError:
        reason = f"no name server answers within {_PATIENCE:.0f} s"
    except OSError as error:
        reason = error.strerror or "no such name"
    else:
        return None
    if proxy is not None:
        text = f"the proxy {proxy.shown}, of {proxy.variable}, has no address: {reason}"
        return Fault("name", text, f"correct {proxy.variable}, or unset it")
    text = f"{host} has no address: {reason}"
    return Fault(
        "name", text, f"see to the network and its name server: `getent hosts {host}` must print an address"
    )


def _describe_unreachable(place: tuple[str, int], proxy: Proxy | None, error: Exception) -> Fault:
    reason = f"no answer within {_PATIENCE:.0f} s"
    if isinstance(error, OSError):
        # Of several addresses the first says what there is to say, and trio puts the address into its words.
        first = getattr(error.__cause__, "exceptions", (error.__cause__ or error,))[0]
        number = getattr(first, "errno", None)
        reason = os.strerror(number) if isinstance(number, int) else describe_foreign(error)
    if proxy is not None:
        text = f"the proxy {proxy.shown}, of {proxy.variable}, cannot be reached: {reason}"
        return Fault("connection", text, f"correct {proxy.variable}, or unset it")
    host, port = place
    text = f"{host}, port {port}, cannot be reached: {reason}"
    return Fault("connection", text, f"let this machine reach {host}, or set HTTPS_PROXY to a proxy that does")


async def _open_tunnel(stream: trio.SocketStream, proxy: Proxy, host: str, port: int) -> Fault | None:
    """Have the proxy connect (RFC 9110 section 9.3.6)."""
    head = f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    if proxy.authorization is not None:
        head += f"Proxy-Authorization: Basic {proxy.authorization}\r\n"
    answer = b""
    with trio.move_on_after(_PATIENCE):
        try:
            await stream.send_all(f"{head}\r\n".encode())
            while b"\r\n\r\n" not in answer and len(answer) < 1 << 16:
                data = await stream.receive_some(4096)
                if not data:
                    break
                answer += bytes(data)
        except trio.BrokenResourceError:
            pass  # what came before says it
    status = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    if status is not None and status[1].startswith(b"2"):
        return None
    said = f"answers {status[1].decode()}" if status is not None else "does not answer as a proxy does"
    text = f"the proxy {proxy.shown}, of {proxy.variable}, {said} when it is asked for {host}"
    if status is not None and status[1] == b"407":
        verb = "correct the user and password in" if proxy.authorization else "put user and password into"
        return Fault("proxy", text, f"{verb} {proxy.variable}: http://USER:PASSWORD@HOST:PORT")
    return Fault("proxy", text, f"correct {proxy.variable}, or have the proxy let {host} through")


async def _find_fault_of_tls(stream: trio.SocketStream, host: str, error: RemoteUnreachable) -> Fault | None:
    """See whether TLS can be had at all, and if only the certificate is in the way, who signed that."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent: it is only looked at
    secure = trio.SSLStream(stream, context, server_hostname=host)
    try:
        with trio.fail_after(_PATIENCE):
            await secure.do_handshake()
    except (trio.BrokenResourceError, trio.TooSlowError):
        text = f"{host} does not speak TLS: {error}"
        return Fault("tls", text, "see whether a proxy or a firewall on the way takes TLS apart")
    refused = find_distrust(error)
    if refused is None:
        return None
    signer = read_issuer(secure.getpeercert(binary_form=True) or b"") or "somebody who cannot be named"
    text = f"the certificate of {host} is not trusted ({refused.verify_message}); it is signed by {signer}"
    if refused.verify_code in _FOR_ANOTHER:
        return Fault("tls", text, f"see who answers for {host} here: a proxy, or a wrong address in /etc/hosts")
    if refused.verify_code in _OUT_OF_DATE:
        return Fault("tls", text, "see whether the clock is right: `date`")
    remedy = f"if you trust {signer}, have its certificate as a PEM file, and name that in CODEX_CA_CERTIFICATE"
    return Fault("tls", text, remedy)
