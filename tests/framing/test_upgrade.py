"""The request that a WebSocket begins with: what is taken for one, held against h11 and wsproto."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import wsproto
from hypothesis import given
from hypothesis import strategies as st
from wsproto import events as ws
from wsproto.utilities import RemoteProtocolError

from accountd.framing.upgrade import Refused, answer_upgrade, find_refusal, render_upgrade
from fakes.frames import ACCEPTED

if TYPE_CHECKING:
    from random import Random

FIELDS = [
    (b"Host", b"localhost"),
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"Sec-WebSocket-Version", b"13"),
]
STOCK = (b"x-codex-websocket-max-unfragmented-message-bytes", b"16777216")
"""What the answer of the real app-server says besides."""


def head(*lines: bytes, first: bytes = b"GET / HTTP/1.1", without: bytes = b"", end: bytes = b"\r\n") -> bytes:
    """Write a request for an upgrade, with these lines besides, and without one of its own."""
    own = [b": ".join(field) for field in FIELDS if field[0] != without]
    return end.join([first, *own, *lines, b"", b""])


@pytest.mark.parametrize(
    "request_head",
    [
        head(),
        head(end=b"\n"),
        head(first=b"GET /any/path?and=query HTTP/1.1"),
        head(b"upgrade:WEBSOCKET\t", b"HOST:x ", without=b"Upgrade").replace(b"Host: localhost\r\n", b""),
        head(b"Connection: keep-alive, \tUPGRADE ,x", without=b"Connection"),
        head(b"User-Agent: \xc3\xa9", b"X-Nothing:", b"X-Twice: 1", b"X-Twice: 2"),
        head(b"Content-Length: 0"),
        head(b"Sec-WebSocket-Protocol: a", b"Sec-WebSocket-Extensions: permessage-deflate"),
    ],
)
def test_an_upgrade_is_accepted(request_head: bytes) -> None:
    """Case, space around values, line ends and other fields are the client's; nothing that it offers is taken."""
    assert answer_upgrade(request_head) == by_wsproto(request_head) == ACCEPTED.data


def test_two_fields_are_one_list() -> None:
    """A client may say its Connection options in two fields (RFC 9110 section 5.3); wsproto sees the last alone."""
    assert answer_upgrade(head(b"Connection: keep-alive")) == ACCEPTED.data
    assert answer_upgrade(head(b"Connection: keep-alive", b"Connection: x", without=b"Connection")) != ACCEPTED.data


@pytest.mark.parametrize(
    "request_head",
    [
        head(b"X: a", b" folded"),
        head(b"X : a"),
        head(b"X"),
        head(b": a"),
        head(b"X: a\x00"),
        head(b"X: a\x7f"),
        head(b"X: a\rb: c"),
        head(b"X(): a"),
        head(b"Host: another"),
        head(b"Sec-WebSocket-Key: another"),
        head(b"Sec-WebSocket-Version: 13"),
        head(b"Upgrade: h2c"),
        head(b"Content-Length: 1"),
        head(b"Content-Length: 0", b"Content-Length: 0"),
        head(b"Transfer-Encoding: chunked"),
        head(first=b"GET /  HTTP/1.1"),
        head(first=b"GET / HTTP/1.0"),
        head(first=b"GET / HTTP/1.1x"),
        head(first=b"GET /\xc3\xa9 HTTP/1.1"),
        head(first=b"GET / http/1.1"),
        head(first=b"GET"),
        head(first=b""),
        b"\r\n\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_not_read(request_head: bytes) -> None:
    """A head that is folded, says twice what is said once, has a body or bytes of control is refused."""
    assert answer_upgrade(request_head) == Refused("Bad HTTP message")


@pytest.mark.parametrize(
    ("request_head", "refused"),
    [
        (head(first=b"PUT / HTTP/1.1"), Refused("Request method must be GET")),
        (head(without=b"Connection"), Refused("Missing header, 'Connection: Upgrade'")),
        (head(b"Connection: upgraded", without=b"Connection"), Refused("Missing header, 'Connection: Upgrade'")),
        (head(without=b"Sec-WebSocket-Version"), Refused("Missing header, 'Sec-WebSocket-Version'")),
        (head(without=b"Sec-WebSocket-Key"), Refused("Missing header, 'Sec-WebSocket-Key'")),
        (head(b"Sec-WebSocket-Key:", without=b"Sec-WebSocket-Key"), Refused("Missing header, 'Sec-WebSocket-Key'")),
        (head(without=b"Upgrade"), Refused("Missing header, 'Upgrade: websocket'")),
        (head(b"Upgrade: websocket, x", without=b"Upgrade"), Refused("Missing header, 'Upgrade: websocket'")),
        (head(without=b"Host"), Refused("Missing header, 'Host'")),
    ],
)
def test_what_is_missing_is_named(request_head: bytes, refused: Refused) -> None:
    """HTTP that is no upgrade is told what it lacks to be one."""
    assert answer_upgrade(request_head) == refused
    assert by_wsproto(request_head) is None or b"Sec-WebSocket-Key:\r\n" in request_head


_NAMES = st.sampled_from(
    [name for name, _ in FIELDS if name != b"Connection"] + [b"Content-Length", b"X", b"X ", b""]
)
_VALUES = st.one_of(
    st.binary(max_size=6),
    st.sampled_from([b"upgrade", b"websocket", b"keep-alive, Upgrade", b"13", b"0", b"x\r\n y"]),
)


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=3), st.sets(st.integers(0, 4), max_size=1), st.randoms())
def test_whatever_is_accepted_wsproto_accepts(
    more: list[tuple[bytes, bytes]], missing: set[int], random: Random
) -> None:
    """Nothing that h11 or wsproto refuses is let in, and the answer is theirs, byte for byte."""
    fields = [field for number, field in enumerate(FIELDS) if number not in missing] + more
    random.shuffle(fields)
    request_head = b"\r\n".join([b"GET / HTTP/1.1", *map(b": ".join, fields), b"", b""])
    answer = answer_upgrade(request_head)
    assert isinstance(answer, Refused) or answer == by_wsproto(request_head)


def by_wsproto(request_head: bytes) -> bytes | None:
    """Give the answer of wsproto, None if it refuses."""
    server = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    try:
        server.receive_data(request_head)
        return server.send(ws.AcceptConnection(extra_headers=[STOCK]))
    except (RemoteProtocolError, UnicodeError):
        return None


KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def test_what_we_ask_for_is_granted_by_our_side_and_by_wsproto() -> None:
    """The client's half fits the server's, and that of another maker."""
    asked = render_upgrade(b"/rpc", KEY)
    assert asked.startswith(b"GET /rpc HTTP/1.1\r\n")
    assert answer_upgrade(asked) == by_wsproto(asked) == ACCEPTED.data
    assert find_refusal(ACCEPTED.data, KEY) is None
    assert find_refusal(ACCEPTED.data.lower().replace(b"http", b"HTTP").replace(PROOF.lower(), PROOF), KEY) is None


PROOF = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        (b"101 Switching Protocols", b"403 Forbidden", "the answer is 403 Forbidden"),
        (b"HTTP/1.1", b"HTTP/1.0", "Bad HTTP message"),
        (b"101 Switching Protocols", b"101\xe9", "Bad HTTP message"),
        (b"Upgrade: websocket", b"Upgrade: h2c", "the answer upgrades to something else"),
        (b"Connection: Upgrade", b"Connection: close", "the answer upgrades to something else"),
        (PROOF, b"x" + PROOF, "the answer is one to another request"),
        (b"Sec-WebSocket-Accept: " + PROOF, b"X: y", "the answer is one to another request"),
        (b"x-codex", b"Sec-WebSocket-Accept: a\r\nX", "Bad HTTP message"),
        (b"x-codex", b"Sec-WebSocket-Extensions: permessage-deflate\r\nX", "agrees to what nobody has offered"),
        (b"x-codex", b"Sec-WebSocket-Protocol: a\r\nX", "agrees to what nobody has offered"),
    ],
)
def test_what_opens_no_websocket_is_told(old: bytes, new: bytes, refusal: str) -> None:
    """An answer that is not one to what was asked is refused (RFC 6455 section 4.1)."""
    answer = ACCEPTED.data.replace(old, new, 1)
    assert answer != ACCEPTED.data
    assert str(find_refusal(answer, KEY)).endswith(refusal)
