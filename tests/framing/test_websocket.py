"""A WebSocket seen from a client: frames made by wsproto and by hand, whole and in pieces."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import h11
import pytest
import wsproto
from hypothesis import given
from hypothesis import strategies as st
from wsproto import events as ws

from accountd.framing.base import Ended, Event, Message, Rejected, Reply
from accountd.framing.websocket import WebSocketFraming

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMIT = 300
TOO_LARGE = "message is larger than 300 bytes"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

HEADERS = {
    b"Host": b"localhost",
    b"Connection": b"Upgrade",
    b"Upgrade": b"websocket",
    b"Sec-WebSocket-Key": b"dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version": b"13",
}
ACCEPTED = Reply(
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
"""The answer to HEADERS; RFC 6455 section 1.3 has the two keys as its example."""


def request(headers: dict[bytes, bytes] = HEADERS, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    """Write an HTTP request."""
    lines = [b"%b / HTTP/%b" % (method, version), *(b"%b: %b" % header for header in headers.items())]
    return b"\r\n".join([*lines, b"", b""])


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
    """Write a frame by hand (RFC 6455 section 5.2)."""
    return header(opcode, len(payload), fin=fin, reserved=reserved, masked=masked) + (
        bytes(byte ^ b"mask"[i % 4] for i, byte in enumerate(payload)) if masked else payload
    )


def header(opcode: int, length: int, *, fin: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
    """Write the head of a frame, with its mask."""
    if length < 126:
        short, more = length, b""
    elif length < 1 << 16:
        short, more = 126, struct.pack("!H", length)
    else:
        short, more = 127, struct.pack("!Q", length)
    first = fin << 7 | reserved << 4 | opcode
    return bytes([first, masked << 7 | short]) + more + (b"mask" if masked else b"")


def close_code(data: bytes) -> int:
    """Read the code of the close frame that a server sent, which must be the whole of the data."""
    assert data[0] == 0x80 | CLOSE
    assert data[1] == len(data) - 2
    return int.from_bytes(data[2:4], "big")


def upgraded() -> WebSocketFraming:
    """Open a connection."""
    framing = WebSocketFraming(LIMIT)
    assert framing.receive(request()) == [ACCEPTED]
    return framing


def feed(framing: WebSocketFraming, pieces: Iterable[bytes]) -> list[Event]:
    """Give all the events that these pieces make."""
    return [event for piece in pieces for event in framing.receive(piece)]


def bytewise(data: bytes) -> list[bytes]:
    """Cut data into single bytes."""
    return [data[i : i + 1] for i in range(len(data))]


REJECTED = Rejected("binary messages are not supported; send text")

TRANSCRIPTS: dict[str, tuple[bytes, list[Event]]] = {
    "a message": (frame(TEXT, b'{"a":1}'), [Message(b'{"a":1}')]),
    "two messages": (frame(TEXT, b"1") + frame(TEXT, b"2"), [Message(b"1"), Message(b"2")]),
    "an empty message": (frame(TEXT), [Message(b"")]),
    "three lengths": (
        b"".join(frame(TEXT, b"x" * size) for size in (125, 126, LIMIT)),
        [Message(b"x" * size) for size in (125, 126, LIMIT)],
    ),
    "fragments": (
        frame(TEXT, b'{"a"', fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION, b":1}"),
        [Message(b'{"a":1}')],
    ),
    "a ping between fragments": (
        frame(TEXT, b"a", fin=False) + frame(PING, b"?") + frame(CONTINUATION, b"b"),
        [Reply(b"\x8a\x01?"), Message(b"ab")],
    ),
    "a character over two fragments": (
        frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"\xa9"),
        [Message("é".encode())],
    ),
    "a pong that nobody asked for": (frame(PONG, b"!") + frame(TEXT, b"1"), [Message(b"1")]),
    "a binary message": (frame(BINARY, b"\xff") + frame(TEXT, b"1"), [REJECTED, Message(b"1")]),
    "binary fragments": (frame(BINARY, b"\xff", fin=False) + frame(CONTINUATION, b"\xff"), [REJECTED]),
}


@pytest.mark.parametrize(("data", "events"), TRANSCRIPTS.values(), ids=TRANSCRIPTS)
def test_a_transcript_means_the_same_in_any_pieces(data: bytes, events: list[Event]) -> None:
    """Frames mean the same whole, byte by byte, behind the upgrade in one piece, and with a tail."""
    assert feed(upgraded(), [data]) == events
    assert feed(upgraded(), bytewise(data)) == events
    assert feed(WebSocketFraming(LIMIT), [request() + data]) == [ACCEPTED, *events]
    assert feed(WebSocketFraming(LIMIT), bytewise(request() + data)) == [ACCEPTED, *events]
    for cut in range(1, len(data)):
        assert feed(upgraded(), [data[:cut], data[cut:]]) == events
    tail = frame(TEXT, "tä".encode())
    for cut in range(1, len(tail)):  # in the head of a frame, in its mask, and within a character
        with_tail = upgraded()
        assert feed(with_tail, [data + tail[:cut], tail[cut:]]) == [*events, Message("tä".encode())]


@pytest.mark.parametrize("end", [b"", b"\xef", frame(TEXT, "é".encode())[:-1], frame(TEXT, b"x", fin=False)])
def test_the_upgrade_means_the_same_in_any_two_pieces(end: bytes) -> None:
    """Wherever it is cut, in a line's end or in the first frame, and with whatever has begun behind it."""
    data = request() + frame(TEXT, b'{"a":1}') + end
    for cut in range(1, len(data)):
        assert feed(WebSocketFraming(LIMIT), [data[:cut], data[cut:]]) == [ACCEPTED, Message(b'{"a":1}')]


def test_a_head_may_be_as_large_as_the_limit() -> None:
    """The blank line is a part of it, and what comes behind is not."""
    largest = request({**HEADERS, b"A": b"x" * ((16 << 10) - len(request()) - len(b"A: \r\n"))})
    assert len(largest) == 16 << 10
    for pieces in ([largest + frame(TEXT, b"1")], bytewise(largest + frame(TEXT, b"1"))):
        assert feed(WebSocketFraming(LIMIT), pieces) == [ACCEPTED, Message(b"1")]


@given(st.lists(st.tuples(st.text(max_size=40), st.integers(1, 5)), max_size=6), st.data())
def test_a_wsproto_client_is_understood_however_its_bytes_are_cut(
    texts: list[tuple[str, int]], data: st.DataObject
) -> None:
    """What a client of another make sends, in fragments and pieces of any size, arrives as it was."""
    client = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    server = WebSocketFraming(LIMIT)
    [accepted] = server.receive(client.send(ws.Request(host="localhost", target="/")))
    assert isinstance(accepted, Reply)
    client.receive_data(accepted.data)
    assert [type(event) for event in client.events()] == [ws.AcceptConnection]

    stream = b""
    for text, parts in texts:
        size = len(text) // parts + 1
        fragments = [text[start : start + size] for start in range(0, len(text), size)] or [""]
        for index, fragment in enumerate(fragments, start=1):
            stream += client.send(ws.TextMessage(fragment, message_finished=index == len(fragments)))
            stream += client.send(ws.Ping(b"?"))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    ends = zip([0, *cuts], [*cuts, len(stream)], strict=True)
    events = feed(server, [stream[start:end] for start, end in ends if start < end])
    assert [event for event in events if not isinstance(event, Reply)] == [
        Message(text.encode()) for text, _ in texts
    ]

    client.receive_data(b"".join(event.data for event in events if isinstance(event, Reply)))
    assert {type(event) for event in client.events()} <= {ws.Pong}


def test_a_wsproto_client_understands_this_server() -> None:
    """A message and the farewell reach a client of another make."""
    client = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    server = WebSocketFraming()
    [accepted] = server.receive(client.send(ws.Request(host="localhost", target="/")))
    assert isinstance(accepted, Reply)
    client.receive_data(accepted.data + server.send('{"é":1}'.encode()) + server.close())
    _, message, farewell = client.events()
    assert message == ws.TextMessage('{"é":1}')
    assert farewell == ws.CloseConnection(1000, "")
    assert server.receive(client.send(farewell.response())) == [Ended()]
    assert server.close() == b""


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


@pytest.mark.parametrize(
    ("payload", "code"), [(b"", None), (b"\x03\xe8bye", 1000), (b"\x03\xe9", 1001), (b"\x0f\xa0", 4000)]
)
def test_a_close_is_answered_with_its_own_code(payload: bytes, code: int | None) -> None:
    """A client that closes hears its code again, then nothing; what it sends after its close is not read."""
    framing = upgraded()
    assert framing.receive(frame(CLOSE, payload) + frame(TEXT, b"1") + frame(PING)) == [Ended()]
    assert feed(framing, [frame(TEXT, b"1"), b"", b""]) == []
    assert framing.send(b"{}") == b""
    farewell = framing.close()
    assert farewell == b"\x88\x00" if code is None else close_code(farewell) == code
    assert framing.close() == b""


def test_the_end_of_the_stream_needs_no_farewell() -> None:
    """A client that is gone without a close ends the connection; nothing can be sent, not even a close."""
    for last in (frame(TEXT, b"a", fin=False), frame(TEXT, b"a")[:-1]):
        framing = upgraded()
        assert feed(framing, [last, b"", b"", frame(TEXT, b"1")]) == [Ended()]
        assert framing.send(b"{}") == framing.ping() == b""
        assert framing.close() == b""


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


def test_the_limit_is_for_each_message() -> None:
    """Messages just under the limit may follow one another for ever."""
    assert feed(upgraded(), [frame(TEXT, b"x" * LIMIT)] * 5) == [Message(b"x" * LIMIT)] * 5


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (header(TEXT, 1 << 40), b"m"),
        (header(BINARY, 1 << 40), b"m"),
        (frame(TEXT, fin=False), frame(CONTINUATION, fin=False)),
        (frame(TEXT, fin=False), frame(CONTINUATION, b"x", fin=False)),
        (b"", frame(PING, b"x" * 125)),
        (b"", frame(PONG, b"x" * 125)),
    ],
    ids=["text", "binary", "empty fragments", "small fragments", "pings", "pongs"],
)
def test_what_is_kept_is_bounded(start: bytes, piece: bytes) -> None:
    """A frame that goes on for ever, empty fragments and pings do not add up in memory."""
    framing = upgraded()
    framing.receive(start)
    for _ in range(1000):
        framing.receive(piece)
        assert held(framing) <= LIMIT + len(piece)


def held(framing: WebSocketFraming) -> int:
    """Count the bytes that are kept: ours, and those in wsproto's buffer."""
    frames = framing._frames
    if frames is None:
        return len(framing._rest)
    assert not framing._rest
    assert not frames._ws._events
    return len(frames._partial) + len(frames._ws._proto._frame_decoder.buffer)


def pieces_of_anything() -> st.SearchStrategy[list[bytes]]:
    """Mix good and bad frames with rubbish."""
    frames = st.builds(
        frame,
        st.integers(0, 15),
        st.binary(max_size=140),
        fin=st.booleans(),
        reserved=st.sampled_from([0, 0, 0, 4]),
        masked=st.sampled_from([True, True, True, False]),
    )
    return st.lists(st.one_of(frames, st.binary(max_size=20), st.sampled_from([b"", request()])), max_size=12)


def check_any(framing: WebSocketFraming, pieces: list[bytes], close_after: int) -> None:
    """Feed anything, with a close by this side in between: no exception, one end, and bounded memory."""
    events: list[Event] = []
    for index, piece in enumerate(pieces):
        if index == close_after:
            framing.close()
        events += framing.receive(piece)
        assert isinstance(framing.send(b"{}"), bytes)
        assert len(framing._head or b"") <= 16 << 10
        assert framing._frames is None or len(framing._frames._partial) <= LIMIT
    assert not any(isinstance(event, Ended) for event in events[:-1])
    assert isinstance(framing.close(), bytes)


@given(pieces_of_anything(), st.integers(0, 20))
def test_any_frames_are_taken(pieces: list[bytes], close_after: int) -> None:
    """Receiving never raises after the upgrade, also when this side has closed, and nothing follows an end."""
    check_any(upgraded(), pieces, close_after)


@given(st.lists(st.binary(max_size=60), max_size=12), st.integers(0, 20))
def test_any_bytes_are_taken_before_the_upgrade(pieces: list[bytes], close_after: int) -> None:
    """Receiving never raises on a head of any bytes."""
    check_any(WebSocketFraming(LIMIT), [b"GET ", *pieces, b"\r\n\r\n", *pieces], close_after)


@given(
    st.dictionaries(
        st.sampled_from([*HEADERS, b"Content-Length", b"Transfer-Encoding", b"Sec-WebSocket-Protocol", b"Expect"]),
        st.one_of(
            st.binary(max_size=12).filter(lambda value: not set(value) & set(b"\r\n")),
            st.sampled_from([b"5", b"chunked", b"100-continue", b"xn--a", b"websocket", b",,", b"\xc3\xa9"]),
        ),
    ),
    st.sampled_from([b"1.0", b"1.1", b"2.0", b"9"]),
)
def test_any_headers_are_taken(headers: dict[bytes, bytes], version: bytes) -> None:
    """Receiving never raises on headers of any value; the answer is an upgrade or an end."""
    framing = WebSocketFraming(LIMIT)
    answer = framing.receive(request(HEADERS | headers, version=version))[0]
    assert isinstance(answer, Ended) or answer == ACCEPTED or b"Sec-WebSocket-Key" in headers
