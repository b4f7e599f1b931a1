"""Where a request got stuck: the name, the connection, the proxy, TLS, or HTTP. Asked once it has failed."""

from __future__ import annotations

import base64
import os
import re
import ssl
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

import msgspec
import trio

from accountd.doctor.certificate import read_issuer
from accountd.errors import UnusableProxy, describe_foreign
from accountd.web.failures import find_distrust
from accountd.web.proxies import choose_proxy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accountd.errors import RemoteUnreachable
    from accountd.web.proxies import Proxy

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


async def find_fault(url: str, environ: Mapping[str, str], error: RemoteUnreachable) -> Fault:
    """Go the way of a request that failed with this error, step by step, to where it fails."""
    try:
        proxy = choose_proxy(url, environ)
    except UnusableProxy as unusable:
        return Fault("proxy", str(unusable), unusable.remedy)
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
                return Fault("proxy", str(error), f"correct {proxy.variable}, or unset it")
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
        text = f"{proxy} has no address: {reason}"
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
        text = f"{proxy} cannot be reached: {reason}"
        return Fault("connection", text, f"correct {proxy.variable}, or unset it")
    host, port = place
    text = f"{host}, port {port}, cannot be reached: {reason}"
    return Fault("connection", text, f"let this machine reach {host}, or set HTTPS_PROXY to a proxy that does")


async def _open_tunnel(stream: trio.SocketStream, proxy: Proxy, host: str, port: int) -> Fault | None:
    """Ask the proxy to connect (RFC 9110 section 9.3.6)."""
    head = f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    if proxy.user is not None:
        credentials = base64.b64encode(f"{proxy.user}:{proxy.password.reveal()}".encode()).decode()
        head += f"Proxy-Authorization: Basic {credentials}\r\n"
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
    text = f"{proxy} {said} when it is asked for {host}"
    if status is not None and status[1] == b"407":
        verb = "correct the user and password in" if proxy.user else "put user and password into"
        return Fault("proxy", text, f"{verb} {proxy.variable}: http://USER:PASSWORD@HOST:PORT")
    return Fault("proxy", text, f"correct {proxy.variable}, or have the proxy let {host} through")


async def _find_fault_of_tls(stream: trio.SocketStream, host: str, error: RemoteUnreachable) -> Fault | None:
    """Find out whether TLS can be had at all, and if only the certificate is in the way, who signed that."""
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
