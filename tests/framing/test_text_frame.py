"""The frames that nearly all frames are, against a library that knows all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol

from accountd.framing.text_frame import MAX_FRAME, render_ping, render_text_frames, split_text_frames

LIMIT = 1 << 20
SIZES = (0, 1, 3, 4, 5, 125, 126, 127, 65535, 65536, 600_000)


def make_frame(payload: bytes, key: bytes = b"\x01\x02\x03\x04", first: int = 0x81) -> bytes:
    """Write a client's frame by hand; a server's without a key."""
    size, masked = len(payload), 0x80 if key else 0
    if size < 126:
        head = bytes([first, masked | size])
    else:
        head = bytes([first, masked | (126 if size < 1 << 16 else 127)]) + size.to_bytes(2 if size < 1 << 16 else 8)
    return head + key + (bytes(byte ^ key[index % 4] for index, byte in enumerate(payload)) if key else payload)


@pytest.mark.parametrize("key", [b"\x01\x02\x03\x04", b""], ids=["masked", "bare"])
@pytest.mark.parametrize("size", SIZES)
def test_messages_of_every_size_are_read(size: int, key: bytes) -> None:
    """Whatever has their length, one after the other; of a part it is known how much it lacks."""
    message = b"x" * size
    whole = make_frame(message, key)
    assert split_text_frames(whole * 3, LIMIT, masked=bool(key)) == ([message] * 3, b"", 2)
    assert split_text_frames(whole + whole[:-1], LIMIT, masked=bool(key))[2] in (len(whole), 2)


@given(st.lists(st.text(max_size=200)), st.binary(min_size=4, max_size=4), st.data())
def test_a_stream_is_read_alike_wherever_it_is_cut(texts: list[str], key: bytes, data: st.DataObject) -> None:
    """What is left over is the beginning of the next message, and nothing is lost or read twice."""
    stream = b"".join(make_frame(text.encode(), key) for text in texts)
    read: list[bytes] = []
    rest = b""
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        messages, rest, wanted = split_text_frames(rest + stream[:cut], LIMIT, masked=True)
        assert wanted > len(rest)
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
        b"\x81\xff" + (1 << 40).to_bytes(8) + b"....",
        b"\x81\xff" + (50).to_bytes(8) + b"....",
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
        "very wasteful",
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
    assert split_text_frames(make_frame(b"before") + other, 100, masked=True) == ([b"before"], other, 0)


def test_a_client_takes_no_masked_frame() -> None:
    """Nor does it lose the bare one before it."""
    bare, masked = make_frame(b"before", b""), make_frame(b"after")
    assert split_text_frames(bare + masked, 100, masked=False) == ([b"before"], masked, 0)


def test_pongs_are_dropped() -> None:
    """Wherever they come, whole or in part; nothing is different for the messages around them."""
    pong, message = make_frame(b"are you there?", first=0x8A), make_frame(b"message")
    stream = pong + message + make_frame(b"", first=0x8A) + message + pong
    assert split_text_frames(stream, LIMIT, masked=True) == ([b"message"] * 2, b"", 2)
    for end in range(1, len(pong)):
        messages, rest, wanted = split_text_frames(message + pong[:end], LIMIT, masked=True)
        assert (messages, rest) == ([b"message"], pong[:end])
        assert wanted in (2, len(pong))


@given(st.binary(max_size=64))
def test_no_bytes_raise(data: bytes) -> None:
    """Whatever comes, what is read and what is left over are all of it."""
    messages, rest, _ = split_text_frames(data, LIMIT, masked=True)
    assert data.endswith(rest)
    assert messages or rest == data or b"\x8a" in data  # a pong is dropped


@pytest.mark.parametrize("size", SIZES)
def test_what_is_written_is_what_the_library_writes(size: int) -> None:
    """A message of ours is, byte for byte, a frame of wsproto's."""
    payload = b"y" * size
    expected = FrameProtocol(client=False, extensions=[]).send_data(payload.decode(), fin=True)
    assert render_text_frames(payload, masked=False) == expected


@pytest.mark.parametrize("size", SIZES)
def test_what_a_client_writes_is_masked_anew_each_time(size: int) -> None:
    """It is read as it was, and nobody can tell beforehand what will be on the wire."""
    payload = b"y" * size
    frames = [render_text_frames(payload, masked=True) for _ in range(3)]
    assert len({frame[:14] for frame in frames}) == 3
    assert split_text_frames(b"".join(frames), LIMIT, masked=True) == ([payload] * 3, b"", 2)
    assert render_ping(masked=True)[:2] == b"\x89\x80"


@pytest.mark.parametrize("masked", [False, True])
def test_a_very_long_message_is_several_frames(masked: bool) -> None:
    """Each has 16 MiB at most, which is what the real app-server takes; the library puts them together."""
    payload = b"a" * (2 * MAX_FRAME + 1)
    peer = FrameProtocol(client=not masked, extensions=[])
    peer.receive_bytes(render_text_frames(payload, masked=masked))
    frames = list(peer.received_frames())
    assert [frame.frame_finished for frame in frames] == [True] * 3
    assert [frame.message_finished for frame in frames] == [False, False, True]
    assert "".join(str(frame.payload) for frame in frames).encode() == payload
    assert len(render_text_frames(payload[:MAX_FRAME], masked=masked)) == MAX_FRAME + (14 if masked else 10)
