"""What ends a WebSocket: no upgrade, a broken frame, or a message over the limit, each with its answer."""

from __future__ import annotations

import h11
import pytest

from accountd.framing.base import Ended, Message
from accountd.framing.websocket import WebSocketFraming
from fakes.frames import (
    ACCEPTED,
    BINARY,
    CLOSE,
    CONTINUATION,
    HEADERS,
    LIMIT,
    PING,
    TEXT,
    bytewise,
    close_code,
    feed,
    frame,
    header,
    request,
    upgraded,
)

TOO_LARGE = "message is larger than 300 bytes"


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (request({b"Host": b"localhost"}), 400, "Missing header, 'Connection: Upgrade'"),
        (request({**HEADERS, b"Connection": b"keep-alive"}), 400, "Missing header, 'Connection: Upgrade'"),
        (request({**HEADERS, b"Upgrade": b"h2c"}), 400, "Missing header, 'Upgrade: websocket'"),
        (request({**HEADERS, b"Sec-WebSocket-Version": b"8"}), 426, "Missing header, 'Sec-WebSocket-Version'"),
        (request(method=b"POST"), 400, "Request method must be GET"),
        (request({**HEADERS, b"Host": b"\xff"}), 400, "a header is not ASCII"),
        (request({**HEADERS, b"Connection": b"\xff"}), 400, "a header is not ASCII"),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400, "Bad HTTP message"),
        (b"GET \x00\r\n\r\n", 400, "Bad HTTP message"),
        (b"\r\n\r\n", 400, "Bad HTTP message"),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000, 431, "the request's head is larger than 16384 bytes"),
        (request({**HEADERS, b"A": b"x" * 16_384}), 431, "the request's head is larger than 16384 bytes"),
    ],
)
def test_what_is_no_upgrade_gets_an_http_answer_and_ends(data: bytes, status: int, reason: str) -> None:
    """A browser, curl or rubbish is told the reason in HTTP, once, and nothing more is taken from it."""
    for pieces in ([data], bytewise(data)):
        framing = WebSocketFraming(LIMIT)
        assert feed(framing, pieces) == [Ended(f"not a WebSocket request: {reason}")]
        assert feed(framing, [request(), frame(TEXT, b"1"), b"", b""]) == []
        assert framing.send(b"{}") == b""
        answer, body = read_answer(framing.close())
        assert answer.status_code == status
        assert (b"connection", b"close") in answer.headers
        assert ((b"sec-websocket-version", b"13") in answer.headers) == (status == 426)
        assert body.decode() == f"This is a WebSocket (RFC 6455): {reason}.\n"
        assert framing.close() == b""


def read_answer(data: bytes) -> tuple[h11.Response, bytes]:
    """Read an HTTP answer as a client does, up to its end."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "localhost")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    answer, body = client.next_event(), b""
    assert isinstance(answer, h11.Response)
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert client.trailing_data == (b"", False)
    return answer, body


@pytest.mark.parametrize("data", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_client_that_leaves_before_the_upgrade_ends_the_connection(data: bytes) -> None:
    """The end of the stream in the middle of the request is an end, whether or not it is read any more."""
    framing = WebSocketFraming(LIMIT)
    assert feed(framing, [data, b"", b""] if data else [b"", b""]) == [
        Ended("not a WebSocket request: the request breaks off")
    ]
    assert framing.close().startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_an_extension_is_offered_in_vain() -> None:
    """Compression is not agreed to: a small frame can never be a large message."""
    framing = WebSocketFraming(LIMIT)
    assert framing.receive(request({**HEADERS, b"Sec-WebSocket-Extensions": b"permessage-deflate"})) == [ACCEPTED]
    assert isinstance(framing.receive(frame(TEXT, b"x", reserved=4))[0], Ended)


BROKEN: dict[str, tuple[bytes, int]] = {
    "not masked": (frame(TEXT, b"{}", masked=False), 1002),
    "not masked, and longer": (frame(TEXT, b"x" * 126, masked=False), 1002),
    "reserved bits": (frame(TEXT, b"{}", reserved=4), 1002),
    "an unknown opcode": (frame(3, b"{}"), 1002),
    "a control frame in fragments": (frame(PING, fin=False), 1002),
    "a long control frame": (frame(PING, b"x" * 126), 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"{}"), 1002),
    "a message within another": (frame(TEXT, b"{", fin=False) + frame(TEXT, b"{}"), 1002),
    "a close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "a close code that nobody may send": (frame(CLOSE, b"\x03\xee"), 1002),
    "a length that is too long for itself": (b"\x81\xfe\x00\x01mask", 1002),
    "a length with the highest bit": (b"\x81\xff" + b"\xff" * 8 + b"mask", 1002),
    "text that is not UTF-8": (frame(TEXT, b"\xff"), 1007),
    "half a character at the end": (frame(TEXT, b"\xc3"), 1007),
    "a close reason that is not UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
}


@pytest.mark.parametrize(("data", "code"), BROKEN.values(), ids=BROKEN)
def test_a_broken_frame_ends_the_connection_with_its_code(data: bytes, code: int) -> None:
    """The messages before it count, the client can still be told of it, and the close code says what it was."""
    for pieces in ([frame(TEXT, b"1") + data], bytewise(frame(TEXT, b"1") + data)):
        framing = upgraded()
        message, ended = feed(framing, [*pieces, frame(TEXT, b"2"), b""])
        assert message == Message(b"1")
        assert isinstance(ended, Ended)
        assert str(ended.complaint).startswith("invalid WebSocket data: ")
        assert framing.send(b"{}") == b"\x81\x02{}"
        assert close_code(framing.close()) == code
        assert framing.close() == framing.send(b"{}") == b""


OVERSIZE: dict[str, bytes] = {
    "one frame": frame(TEXT, b"x" * (LIMIT + 1)),
    "fragments": frame(TEXT, b"x" * LIMIT, fin=False) + frame(CONTINUATION, b"x", fin=False),
    "binary": frame(BINARY, b"x" * (LIMIT + 1)),
    "characters of several bytes": frame(TEXT, "é".encode() * 151),
    "an announced terabyte": header(TEXT, 1 << 40) + b"mask" * 76,  # which is text: 304 masked NULs
}  # fmt: skip


@pytest.mark.parametrize("kind", OVERSIZE)
def test_a_message_over_the_limit_ends_the_connection(kind: str) -> None:
    """However it is cut, a message that is too large is refused when the limit is passed, with code 1009."""
    more = b"mask" if kind == "an announced terabyte" else frame(TEXT, b"1")
    for pieces in ([OVERSIZE[kind]], [OVERSIZE[kind] + more], bytewise(OVERSIZE[kind])):
        framing = upgraded()
        assert feed(framing, pieces) == [Ended(TOO_LARGE)]
        assert feed(framing, [b"x" * 99, b""]) == []
        assert framing.send(b"{}") == b"\x81\x02{}"
        assert close_code(framing.close()) == 1009
