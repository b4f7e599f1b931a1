"""A WebSocket seen from a client: frames made by wsproto and by hand, whole and in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import wsproto
from hypothesis import given
from hypothesis import strategies as st
from wsproto import events as ws

from accountd.framing.base import Ended, Message, Rejected, Reply
from accountd.framing.websocket import WebSocketFraming
from fakes.frames import (
    ACCEPTED,
    BINARY,
    CLOSE,
    CONTINUATION,
    HEADERS,
    LIMIT,
    PING,
    PONG,
    TEXT,
    bytewise,
    close_code,
    feed,
    frame,
    request,
    upgraded,
)

if TYPE_CHECKING:
    from accountd.framing.base import Event

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


def test_the_limit_is_for_each_message() -> None:
    """Messages just under the limit may follow one another for ever."""
    assert feed(upgraded(), [frame(TEXT, b"x" * LIMIT)] * 5) == [Message(b"x" * LIMIT)] * 5
