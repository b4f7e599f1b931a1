"""What the environment decides about where tokens go: addresses, certificates, proxies; told without any password.

A daemon has the environment of whoever started it, and so have all its clients. So it tells what that was, for
`status` and `doctor` to hold against the environment of whoever asks.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from accountd import paths
from accountd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN: Final = (
    "CODEX_APP_SERVER_LOGIN_ISSUER",
    "CODEX_APP_SERVER_LOGIN_CLIENT_ID",
    "CODEX_REFRESH_TOKEN_URL_OVERRIDE",
    "CODEX_REVOKE_TOKEN_URL_OVERRIDE",
)
"""Variables whose values have no secrets: an address with a user in it is refused when it is read."""

_CERTIFICATES: Final = ("CODEX_CA_CERTIFICATE", "SSL_CERT_FILE")
"""Files of certificates, of which the first counts."""

_PROXIES: Final = ("https_proxy", "all_proxy")
"""Proxies, in both cases, of which the lower one counts. `http_proxy` decides nothing: none is used for `http`."""

_LONGEST: Final = 200
"""Characters of a value that are told."""


def describe_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Give each variable that is set and counts, with what is to be told of it; nothing where all is as usual."""
    found = {name: value.rstrip("/") for name in _PLAIN if (value := _value(environ, name))}
    if name := _first(environ, *_CERTIFICATES):
        found[name] = _describe_path(name, _value(environ, name))
    for proxy in _PROXIES:
        if name := _first(environ, proxy, proxy.upper()):
            found[name] = _describe_proxy(_value(environ, name))
    if name := _first(environ, "no_proxy", "NO_PROXY"):
        found[name] = _value(environ, name)
    return {name: _make_plain(value) for name, value in found.items()}


def find_differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Name the variables that two environments do not have in common, as they were described."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip()


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((name for name in names if _value(environ, name)), None)


def _describe_path(name: str, value: str) -> str:
    try:
        return paths.expand(value, where=name)
    except ConfigError:
        return value


def _describe_proxy(value: str) -> str:
    """Give scheme, host and port of a proxy; of what is no URL nothing, since it may be a password."""
    from accountd.config.urls import split_proxy  # takes long to import, and few have a proxy

    try:
        parts = split_proxy(value)
    except ValueError:
        return "not the URL of a proxy"
    host, port = parts.hostname or "", parts.port
    place = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{place}" + (f":{port}" if port is not None else "")


def _make_plain(text: str) -> str:
    told = os.fsencode(text).decode("utf-8", "replace")[:_LONGEST]
    return "".join(character if character.isprintable() else "�" for character in told)
