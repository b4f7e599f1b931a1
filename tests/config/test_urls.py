"""What may be asked with credentials, and which hosts are this machine."""

from __future__ import annotations

import socket

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.config.urls import MAX_URL, find_url_fault, is_loopback, split_url


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("10.0.0.1", False),
        ("127.1", False),
        ("0x7f.1", False),
        ("", False),
    ],
)
def test_loopback_is_told_without_a_resolver(host: str, expected: bool) -> None:
    """Only the name `localhost` and loopback addresses count; nothing is looked up."""
    assert is_loopback(host) is expected


LABEL = st.sampled_from(["a", "A-b", "-", "xn--a", "xn--", "_x", "0", "255", "256", "0x7f", "é", "ß", "a" * 64, ""])
HOST = (
    st.lists(LABEL, max_size=5).map(".".join)
    | st.ip_addresses().map(lambda address: f"[{address}]" if address.version == 6 else str(address))
    | st.sampled_from(["[::1%lo]", "[127.0.0.1]", "[v1.a]", "[::1]x", "localhost", "a." * 126 + "a", "a" * 254])
    | st.text(max_size=6)
)
PORT = st.sampled_from(["", ":", ":0", ":443", ":65536", ":x", ":٣", ":-1"])
PATH = st.sampled_from(["", "/", "//", "/../a", "\\", "/%", "/%zz", "/é", "/[", "a" * MAX_URL]) | st.text(
    max_size=6
)
URL = st.tuples(st.sampled_from(["https://", "http://", "HTTPS://", "https:", ""]), HOST, PORT, PATH).map("".join)


@given(URL | st.text(max_size=20))
def test_what_passes_is_refused_by_nobody_later(url: str) -> None:
    """A URL that is taken can be asked: httpx reads the same host in it, and the resolver can be asked for that."""
    if find_url_fault(url) is not None:
        return
    asked = httpx.URL(f"{url.rstrip('/')}/backend-api/wham/accounts/check?a=b")
    host = split_url(url).hostname
    assert host is not None
    assert asked.raw_host.decode() == host
    assert asked.scheme in ("http", "https")
    host.encode("idna")  # as `getaddrinfo` does first
    httpx.Request("GET", asked)
    if asked.scheme == "http":
        assert is_loopback(host)
    if host[-1].isdigit() and ":" not in host and host.replace(".", "").isdigit():
        socket.inet_aton(host)
