"""Which proxy a request goes through: the one place that reads the variables, for whoever makes requests or asks.

The rules are Codex's, where they are of use: `HTTPS_PROXY` goes before `https_proxy`, and one that is set and empty
leaves it to `ALL_PROXY`. Where an entry of `NO_PROXY` means nothing there, and something to curl or Go, it means
that here too: a port, brackets, blanks between entries, a dot at the end. What means nothing to anybody covers
nothing, and keeps no other entry from its work. Unlike there, a proxy that cannot be used is refused: a request
that went directly instead might go where somebody has forbidden it to go.

This machine itself is never asked for by a proxy, which may be another one.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from accountd.config.network import EXEMPT, PROXY
from accountd.config.urls import is_host, is_loopback, split_url
from accountd.errors import UnusableProxy
from accountd.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""The kinds of proxies, each with the port where none is named."""

_BRACKETS: Final = re.compile(r"^\[([^]]+)\](/\d+)?$")
_WITH_PORT: Final = re.compile(r"(.+):([0-9]{1,5})")


class Proxy(NamedTuple):
    """A proxy, and the variable that names it. As text, without user and password."""

    variable: str
    scheme: str
    host: str
    port: int
    user: str | None = None
    password: Secret = Secret("")

    @property
    def url(self) -> str:
        """Its place, which is no secret."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def __str__(self) -> str:
        return f"the proxy {self.url} of {self.variable}"

    def __repr__(self) -> str:
        return f"<{self}>"


def choose_proxy(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Choose the proxy of a request; None if it goes directly. Raises UnusableProxy."""
    try:
        parts = split_url(url)
    except ValueError:  # which goes nowhere
        return None
    host = parts.hostname or ""
    if is_loopback(host):
        return None
    exempt = find_exemptions(environ)
    if exempt and is_exempt(host, parts.port or _PORTS.get(parts.scheme, 0), environ[exempt]):
        return None
    variable = find_proxy_variable(parts.scheme, environ)
    return None if variable is None else read_proxy(variable, environ[variable])


def find_proxy_variable(scheme: str, environ: Mapping[str, str]) -> str | None:
    """Name the variable that decides for URLs of a scheme: its own, or else that for all.

    Where neither is set, not even to nothing, it is the setting of our files, if there is one.
    """
    is_said = False
    for name in (f"{scheme}_proxy", "all_proxy"):
        variable = _find_set(environ, name.upper(), name)
        if variable is not None and environ[variable].strip():
            return variable
        if variable is not None:
            is_said = True
    return PROXY if PROXY in environ and not is_said else None


def find_exemptions(environ: Mapping[str, str]) -> str | None:
    """Name the variable that says what is reached directly."""
    return _find_set(environ, "NO_PROXY", "no_proxy", EXEMPT)


def _find_set(environ: Mapping[str, str], *names: str) -> str | None:
    """Name the first that is set, be it to nothing."""
    return next((name for name in names if name in environ), None)


def read_proxy(variable: str, value: str) -> Proxy:
    """Read what a variable says, whose scheme may be left out. Raises UnusableProxy.

    A password with a slash in it ends the host too early, so that what follows would be taken for the path.
    """
    value = value.strip()
    if not value.isprintable() or " " in value:
        raise UnusableProxy(variable, "has a blank or a control character in it, and so names no proxy")
    if value[:1] in ("'", '"'):
        raise UnusableProxy(variable, "has a quotation mark at its beginning, and so names no proxy")
    try:
        parts = split_url(value if "://" in value else f"http://{value}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UnusableProxy(variable, "is not the URL of a proxy") from None
    if parts.scheme not in _PORTS:
        raise UnusableProxy(variable, f"is not the URL of a proxy of a kind that is known: {', '.join(_PORTS)}")
    is_cut = "://" not in value and host in _PORTS  # `http:/proxy`, whose host would be `http`
    if (
        is_cut
        or port == 0
        or "@" in parts.path + parts.query + parts.fragment
        or not is_host(host, bracketed="[" in parts.netloc)
    ):
        raise UnusableProxy(variable, "is not the URL of a proxy")
    user = unquote(parts.username) if parts.username is not None else None
    return Proxy(
        variable, parts.scheme, host, port or _PORTS[parts.scheme], user, Secret(unquote(parts.password or ""))
    )


def is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Return True if `NO_PROXY` says that a host, as a URL has it without brackets, is reached directly."""
    host = host.rstrip(".").lower()
    return any(_covers(entry, host, port) for entry in re.split(r"[\s,]+", no_proxy.lower()) if entry)


def _covers(entry: str, host: str, port: int) -> bool:
    """Return True if an entry names a host, a domain that it is in, a network that it is in, or all."""
    network, address = _read_network(entry), _read_network(host)
    if network is None and (with_port := _WITH_PORT.fullmatch(entry)):
        return int(with_port[2]) == port and _covers(with_port[1], host, port)
    if network is not None or address is not None:
        return entry == "*" or (network is not None and address is not None and address[0] in network)
    domain = entry.strip(".")
    return entry == "*" or (domain != "" and f".{host}".endswith(f".{domain}"))


def _read_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Read an address, alone or with the length of its prefix, with or without brackets."""
    try:
        return ipaddress.ip_network(_BRACKETS.sub(r"\1\2", text), strict=False)
    except ValueError:
        return None
