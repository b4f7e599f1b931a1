"""What a URL must be to be asked with credentials, and which hosts are this machine itself.

The HTTP library is slow to load and has rules of its own for hosts. So a configured URL is held to stricter ones
as it is read, and what passes here is refused neither there nor by the resolver.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

MAX_URL: Final = 2048
"""Characters of a base URL; the paths that are added are short, and servers take some 8,000 at least."""

_MAX_NAME: Final = 253  # characters of a host's name (RFC 1035 section 2.3.4, without its lengths and the root)
_LABEL: Final = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:\d+|0x[\da-f]*)\.?")
"""A host that ends in a number is an IPv4 address, or a mistake (WHATWG URL section 3.5)."""

_IN_BRACKETS: Final = re.compile(r"\[[^][]*\](:\d*)?")  # an IPv6 address, and a port (RFC 3986 section 3.2.2)


def find_url_fault(value: str) -> str | None:
    """Return what a base URL must be and this value is not. Does not quote it: it may hold a password."""
    try:
        parts = split_url(value)
        host = parts.hostname
    except ValueError:
        host = None
    plain = value.isprintable() and not set(value) & set(" ?#")  # urlsplit cannot tell an empty query from none
    if not host or parts.username is not None or not plain:
        return "must be a URL with a host, and without user, query and fragment"
    if len(value) > MAX_URL:
        return f"must be a URL of {MAX_URL} characters at most"
    if not is_host(host, bracketed="[" in parts.netloc):
        return "must be a URL whose host is an IP address, or a name in ASCII; other letters are written as xn--"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        return "must be an https URL; http is for loopback addresses only"
    return None


def split_url(url: str) -> SplitResult:
    """Take a URL apart, with a host and a port that can be relied on. Raises ValueError.

    The standard library looks at a port only when it is asked for; and until its later releases it takes
    `evil.example[::1]`, and `[::1]evil.example`, for the host `::1`, which is loopback.
    """
    parts = urlsplit(url)
    _ = parts.port
    host = parts.netloc.rpartition("@")[2]
    if "[" in host and not _IN_BRACKETS.fullmatch(host):
        raise ValueError("something stands beside an address in brackets")
    return parts


def is_loopback(host: str) -> bool:
    """Return True if a URL's host names this machine's loopback interface, without asking a resolver."""
    return host == "localhost" or is_loopback_address(host)


def is_loopback_address(text: str) -> bool:
    """Return True if a text is a loopback address, also one of IPv4 written as IPv6 (RFC 4291 section 2.5.5.2)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def is_host(host: str, *, bracketed: bool) -> bool:
    """Return True if a host, as urlsplit gives it, is a name that can be looked up, or an address."""
    try:
        if bracketed:
            return "%" not in host and ipaddress.IPv6Address(host) is not None
        if _NUMBER.fullmatch(host):
            return ipaddress.IPv4Address(host) is not None
    except ValueError:
        return False
    return len(host.rstrip(".")) <= _MAX_NAME and _NAME.fullmatch(host) is not None
