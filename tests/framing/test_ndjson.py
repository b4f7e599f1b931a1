"""Lines in, messages out, in whatever pieces they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.framing.base import Ended, Event, Message
from accountd.framing.ndjson import NdjsonFraming

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMIT = 16
TOO_LARGE = Ended("message is larger than 16 bytes")

TRANSCRIPTS: list[tuple[bytes, list[Event]]] = [
    (b"{}\n", [Message(b"{}")]),
    (b'{"a":1}\n{"b":2}\n', [Message(b'{"a":1}'), Message(b'{"b":2}')]),
    (b'{"a":1}\r\n', [Message(b'{"a":1}')]),
    (b"\n\r\n  \n{}\n\n", [Message(b"{}")]),
    (b" \t{} \n", [Message(b"{}")]),
    (b"\xff\x00\n", [Message(b"\xff\x00")]),
    (b"x" * LIMIT + b"\n", [Message(b"x" * LIMIT)]),
]


def feed(framing: NdjsonFraming, pieces: Iterable[bytes]) -> list[Event]:
    """Give all the events that these pieces make."""
    return [event for piece in pieces for event in framing.receive(piece)]


def bytewise(data: bytes) -> list[bytes]:
    """Cut data into single bytes."""
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize(("data", "events"), TRANSCRIPTS)
def test_a_transcript_means_the_same_in_any_pieces(data: bytes, events: list[Event]) -> None:
    """A line is the same message whole, byte by byte, and with the beginning of another behind it."""
    assert feed(NdjsonFraming(LIMIT), [data]) == events
    assert feed(NdjsonFraming(LIMIT), bytewise(data)) == events
    for cut in range(1, len(data)):
        assert feed(NdjsonFraming(LIMIT), [data[:cut], data[cut:]]) == events
    tail = '{"tä"}\n'.encode()
    for cut in range(1, len(tail)):  # also within a character
        with_tail = NdjsonFraming(LIMIT)
        assert feed(with_tail, [data + tail[:cut]]) == events
        assert feed(with_tail, [tail[cut:]]) == [Message(tail.strip())]


@given(
    st.lists(st.binary(max_size=LIMIT).filter(lambda line: b"\n" not in line), max_size=8), st.data()
)  # the lines, and where the pieces end
def test_where_the_pieces_end_does_not_matter(lines: list[bytes], data: st.DataObject) -> None:
    """However a stream is cut, the messages are its lines without their white space, and no blank ones."""
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    ends = zip([0, *cuts], [*cuts, len(stream)], strict=True)
    pieces = [stream[start:end] for start, end in ends if start < end]
    assert feed(NdjsonFraming(LIMIT), pieces) == [Message(line.strip()) for line in lines if line.strip()]


def test_a_last_line_needs_no_end() -> None:
    """What stands before the end of the stream is a message, unless it is blank; then the stream has ended."""
    assert feed(NdjsonFraming(), [b"{}", b""]) == [Message(b"{}"), Ended()]
    assert feed(NdjsonFraming(), [b"{}\n ", b""]) == [Message(b"{}"), Ended()]
    assert feed(NdjsonFraming(), [b""]) == [Ended()]


@pytest.mark.parametrize(
    "data",
    [b"x" * (LIMIT + 1), b"x" * (LIMIT + 1) + b"\n", b"{}\n" + b"x" * 999 + b"\n{}\n" + b"x" * 999],
    ids=["without its end", "with its end", "between others"],
)
def test_a_line_over_the_limit_ends_the_connection_once(data: bytes) -> None:
    """What came before the long line counts; what comes after it does not, and is not kept."""
    before = [Message(b"{}")] if data.startswith(b"{}") else []
    for pieces in ([data], bytewise(data)):
        framing = NdjsonFraming(LIMIT)
        assert feed(framing, pieces) == [*before, TOO_LARGE]
        assert feed(framing, [b"{}\n", b"x" * 9999, b"", b""]) == []
        assert len(framing._partial) == 0


def test_nothing_follows_the_end() -> None:
    """Once the client has stopped sending, more bytes and more ends mean nothing."""
    assert feed(NdjsonFraming(), [b"", b"{}\n", b"", b"{}", b""]) == [Ended()]


@given(st.lists(st.binary(max_size=64), max_size=20))
def test_any_bytes_are_taken(pieces: list[bytes]) -> None:
    """Receiving never raises, ends once at most and with nothing after it, and keeps no more than the limit."""
    framing = NdjsonFraming(LIMIT)
    events: list[Event] = []
    for piece in pieces:
        events += framing.receive(piece)
        assert len(framing._partial) <= LIMIT
    assert not any(isinstance(event, Ended) for event in events[:-1])
    assert all(len(event.payload) <= LIMIT for event in events if isinstance(event, Message))


def test_a_message_is_sent_as_a_line() -> None:
    """Sending adds the line's end; what was written in several lines becomes one. There is no farewell."""
    framing = NdjsonFraming()
    assert framing.send(b"{}") == b"{}\n"
    assert framing.send(b'{\n"a": "\\n"\r\n}') == b'{ "a": "\\n"\r }\n'
    assert framing.close() == b""
