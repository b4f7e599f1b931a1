"""The frames that nearly all frames are, against a library that knows all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol

from accountd.framing.text_frame import render_text_frame, split_text_frames

LIMIT = 1 << 20
SIZES = (0, 1, 3, 4, 5, 125, 126, 127, 65535)


def make_frame(payload: bytes, key: bytes = b"\x01\x02\x03\x04", first: int = 0x81) -> bytes:
    """Write a client's frame by hand."""
    size = len(payload)
    head = bytes([first, 0x80 | size]) if size < 126 else bytes([first, 0xFE]) + size.to_bytes(2)
    return head + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


@pytest.mark.parametrize("size", SIZES)
def test_messages_of_every_size_are_read(size: int) -> None:
    """Those whose length is in the second byte, and those that have two bytes for it, one after the other."""
    message = b"x" * size
    assert split_text_frames(make_frame(message) * 3, LIMIT) == ([message] * 3, b"", True)


@given(st.lists(st.text(max_size=200)), st.binary(min_size=4, max_size=4), st.data())
def test_a_stream_is_read_alike_wherever_it_is_cut(texts: list[str], key: bytes, data: st.DataObject) -> None:
    """What is left over is the beginning of the next message, and nothing is lost or read twice."""
    stream = b"".join(make_frame(text.encode(), key) for text in texts)
    read: list[bytes] = []
    rest = b""
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        messages, rest, plain = split_text_frames(rest + stream[:cut], LIMIT)
        assert plain
        read += messages
        stream = stream[cut:]
    assert rest == b""
    assert read == [text.encode() for text in texts]


@pytest.mark.parametrize(
    "other",
    [
        make_frame(b"ping", first=0x89),
        make_frame(b"close", first=0x88),
        make_frame(b"binary", first=0x82),
        make_frame(b"first of many", first=0x01),
        make_frame(b"compressed", first=0xC1),
        b"\x81\x04text",
        b"\x81\xff" + (70_000).to_bytes(8) + b"....",
        b"\x81\xfe\x00\x05....12345",
        make_frame(b"\xff\xfe"),
        make_frame(b"over the limit" * 10),
        make_frame(b"too long a pong" * 10, first=0x8A),
        b"\x8a\x04pong",
        b"\x8a\xfe",
    ],
    ids=[
        "ping",
        "close",
        "binary",
        "part",
        "reserved",
        "bare",
        "long",
        "wasteful",
        "no UTF-8",
        "too large",
        "pong",
        "bare pong",
        "length of a long pong",
    ],
)
def test_everything_else_is_left_alone(other: bytes) -> None:
    """From its first byte on, and with what came before it read."""
    assert split_text_frames(make_frame(b"before") + other, 100) == ([b"before"], other, False)


def test_pongs_are_dropped() -> None:
    """Wherever they come, whole or in part; nothing is different for the messages around them."""
    pong, message = make_frame(b"are you there?", first=0x8A), make_frame(b"message")
    stream = pong + message + make_frame(b"", first=0x8A) + message + pong
    assert split_text_frames(stream, LIMIT) == ([b"message"] * 2, b"", True)
    for end in range(1, len(pong)):
        assert split_text_frames(message + pong[:end], LIMIT) == ([b"message"], pong[:end], True)


@given(st.binary(max_size=64))
def test_no_bytes_raise(data: bytes) -> None:
    """Whatever comes, what is read and what is left over are all of it."""
    messages, rest, _ = split_text_frames(data, LIMIT)
    assert data.endswith(rest)
    assert messages or rest == data or b"\x8a" in data  # a pong is dropped


@pytest.mark.parametrize("size", [*SIZES, 65536, 200_000])
def test_what_is_written_is_what_the_library_writes(size: int) -> None:
    """A message of ours is, byte for byte, a frame of wsproto's."""
    payload = b"y" * size
    expected = FrameProtocol(client=False, extensions=[]).send_data(payload.decode(), fin=True)
    assert render_text_frame(payload) == expected
