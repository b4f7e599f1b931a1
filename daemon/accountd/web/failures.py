"""What a request failed with, in words of ours.

No text of a foreign exception is repeated: h11's quotes the header that it refuses, token and all, and others
quote what came. So only what an exception *is* counts: its class, the number of its error, OpenSSL's name for it.
Classes are known by their names, since httpx, httpcore and h11 have the same ones, and each wraps the next.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from typing import TYPE_CHECKING, Final

from accountd.errors import describe_shortage, describe_status
from accountd.installation import INSTALLATION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accountd.web.proxies import Proxy

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for name resolution, TCP, proxy and TLS together; then the network is taken to be down."""

READ_TIMEOUT: Final = 30.0
"""Seconds between two pieces of an answer. The issuer's slow days are below ten."""

_CANNOT_BE_SENT: Final = "there is something in it that HTTP cannot carry"
_CUT_OFF: Final = "the connection was cut off"
_WORDS: Final = {
    "ConnectTimeout": f"no connection within {CONNECT_TIMEOUT:.0f} s",
    "TimeoutException": f"nothing came or went for {READ_TIMEOUT:.0f} s",
    "LocalProtocolError": _CANNOT_BE_SENT,
    "UnicodeError": _CANNOT_BE_SENT,
    "InvalidURL": "its address cannot be used",
    "UnsupportedProtocol": "its address cannot be used",
    "RemoteProtocolError": "the connection was cut off, or what came is not HTTP",
    "ProxyError": "it does not let the request through",
    "SOCKSError": "what came is not SOCKS",
    "ConnectError": "no connection could be made",
    "HTTPError": _CUT_OFF,
    "NetworkError": _CUT_OFF,
    "BrokenResourceError": _CUT_OFF,
    "ClosedResourceError": _CUT_OFF,
    "OSError": _CUT_OFF,
}
"""By the name of a class, or of one that it is derived from: the nearest counts."""

_LOOKUPS: Final = {
    socket.EAI_NONAME: "there is no such name",
    socket.EAI_AGAIN: "no name server answers",
}


_SOCKS: Final = re.compile(r"Proxy Server could not connect: ([A-Z][A-Za-z /]{3,40})\.")
"""httpcore's words for what a SOCKS proxy answers, which are of its own table (RFC 1928 section 6)."""


def describe_failure(error: BaseException, host: str, proxy: Proxy | None = None, *, at_proxy: bool = False) -> str:
    """Describe in a line why there is no answer of a host. With `at_proxy`, it is the proxy itself that fails."""
    if (shortage := describe_shortage(error)) is not None:
        return f"there is no room for a request now: {shortage}"
    reason = _find_reason(error)
    if proxy is None:
        return f"error sending request to {host}: {reason}"
    if not at_proxy:
        return f"error sending request to {host}: {reason} (by {proxy})"
    if " 407 " in reason:
        reason += f"; its user and password go into {proxy.variable}: {proxy.scheme}://USER:PASSWORD@HOST:PORT"
    return f"error sending request to {host}: {proxy}: {reason}"


def find_distrust(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Find the refusal of a certificate, if that is what an error came from."""
    return next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)


def _find_reason(error: BaseException) -> str:
    """Find words for a failure: of a deadline, of its TLS, of the system, of the proxy, or of HTTP."""
    if "TimeoutException" not in _names(error):
        for cause in _causes(error):
            match cause:
                case ssl.SSLCertVerificationError():
                    return f"its certificate is not trusted ({getattr(cause, 'verify_message', 'for some reason')})"
                case ssl.SSLError():  # an OSError, too, whose number is not the system's
                    reason = getattr(cause, "reason", None) or "unknown reason"
                    return f"TLS failed ({reason.replace('_', ' ').lower()})"
                case socket.gaierror(errno=number):  # likewise
                    return f"its name could not be looked up ({_LOOKUPS.get(number or 0, f'error {number}')})"
                case OSError(errno=int(number)):
                    return f"{os.strerror(number)} (os error {number})"
    if "ProxyError" in _names(error) and (status := re.match(r"[45]\d\d\b", str(error))):
        return f"it answers {describe_status(int(status[0]))}"
    if "ProxyError" in _names(error) and (answer := _SOCKS.fullmatch(str(error))):
        return f"it could not connect: {answer[1]}"
    known = (_WORDS[name] for name in _names(error) if name in _WORDS)
    unforeseen = f"it failed in a way that was not foreseen ({type(error).__name__})"
    return next(known, INSTALLATION.describe_change() or unforeseen)


def _names(error: BaseException) -> list[str]:
    return [kind.__name__ for kind in type(error).__mro__]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and what it came from, step by step; of several at once, the first."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or error.__context__
