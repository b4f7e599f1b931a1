"""Whatever a client sends: it is taken without an exception, and little of it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.framing.base import PORTION, Ended
from accountd.framing.websocket import WebSocketFraming
from fakes.frames import (
    ACCEPTED,
    BINARY,
    CONTINUATION,
    HEADERS,
    LIMIT,
    PING,
    PONG,
    TEXT,
    frame,
    header,
    request,
    upgraded,
)

if TYPE_CHECKING:
    from accountd.framing.base import Event


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


@pytest.mark.parametrize(
    "piece", [frame(PING), frame(BINARY), frame(TEXT, fin=False), frame(PONG, b"x" * 125, fin=False)]
)
def test_what_takes_long_is_taken_in_small_portions(piece: bytes) -> None:
    """Whatever is no whole text message goes through a state machine, frame by frame; it is few frames at once."""
    framing = upgraded()
    assert framing.portion == PORTION
    framing.receive(piece)
    assert framing.portion // len(frame(PING)) < 25


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
