"""What the environment decides about where tokens go: addresses, certificates, proxies; told without any password.

A daemon has the environment of whoever started it, and so have all its clients. So it tells what that was, for
`status` and `doctor` to hold against the environment of whoever asks.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from accountd import paths
from accountd.config.network import AUTHORITIES, EXEMPT, PROXY
from accountd.errors import ConfigError, UnusableProxy

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
"""Files of certificates, each of which counts: the first besides the system's, the second in their place."""

_PROXIES: Final = ("_PROXY", PROXY.upper(), EXEMPT.upper())
"""How what is about proxies ends, in capitals."""

_FOLDERS: Final = "SSL_CERT_DIR"

_LONGEST: Final = 200
"""Characters of a value that are told."""


def describe_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return each variable that is set and counts, with what is to be told of it; nothing where all is as usual.

    What is not told itself has a fingerprint, so that another password, say, is seen to be another.
    """
    found = {name: value.rstrip("/") for name in _PLAIN if (value := _value(environ, name))}
    files = [name for name in _CERTIFICATES if _value(environ, name)] or [AUTHORITIES]
    found |= {name: _describe_path(name, value) for name in files if (value := _value(environ, name))}
    if folders := _value(environ, _FOLDERS):
        found[_FOLDERS] = folders
    if any(name.upper().endswith(_PROXIES) for name in environ):
        found |= _describe_proxies(environ)
    return {name: _make_plain(value) for name, value in found.items()}


def find_differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Name the variables that two environments do not have in common, as they were described."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip()


def _describe_path(name: str, value: str) -> str:
    try:
        return paths.expand(value, where=name)
    except ConfigError:
        return value


def _describe_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    from accountd.web import proxies  # takes long to import, and few have a proxy

    found = {}
    if name := proxies.find_proxy_variable("https", environ):  # none is used for `http`
        value = environ[name].strip()
        try:
            proxy = proxies.read_proxy(name, value)
        except UnusableProxy:
            found[name] = f"not the URL of a proxy ({_take_fingerprint(value)})"
        else:
            found[name] = proxy.url + (f" ({_take_fingerprint(value)})" if proxy.user is not None else "")
    if (name := proxies.find_exemptions(environ)) and _value(environ, name):
        found[name] = _value(environ, name)
    return found


def _take_fingerprint(text: str) -> str:
    """Make of a text what tells it from another: too little to find out a password by trying."""
    import hashlib  # see paths.socket_path

    return f"fingerprint {hashlib.sha256(os.fsencode(text)).hexdigest()[:4]}"


def _make_plain(text: str) -> str:
    told = os.fsencode(text).decode("utf-8", "replace")
    if len(told) > _LONGEST:
        told = f"{told[:_LONGEST]}… ({_take_fingerprint(text)})"
    return "".join(character if character.isprintable() else "�" for character in told)
