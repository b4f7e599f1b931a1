"""The first bytes of a connection choose its framing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from accountd.framing.base import Ended, Message, Reply
from accountd.framing.detect import DetectedFraming, detect_framing
from accountd.framing.ndjson import NdjsonFraming
from accountd.framing.websocket import WebSocketFraming
from fakes.frames import request

if TYPE_CHECKING:
    from accountd.framing.base import Framing

REQUEST = b"GET / HTTP/1.1\r\n"
UPGRADE = request()
TEXT, CLOSE = b"\x81\x82mask\x16\x1c", b"\x88\x80mask"


@pytest.mark.parametrize("end", range(len(REQUEST) + 1))
def test_a_get_is_a_websocket_as_soon_as_it_can_be_told(end: int) -> None:
    """Up to `GET` more must come; from the space on it is an upgrade."""
    framing = detect_framing(REQUEST[:end])
    assert framing is None if end < 4 else isinstance(framing, WebSocketFraming)


@pytest.mark.parametrize(
    "first",
    [
        b"{",
        b'{"id":1}\n',
        b"\n",
        b" GET ",
        b"get / HTTP/1.1",
        b"GETX",
        b"POST / HTTP/1.1",
        b"\x16\x03\x01",
        b"\xff",
    ],
)
def test_everything_else_is_lines(first: bytes) -> None:
    """JSON, other HTTP, TLS and rubbish are lines, so that they get an answer that a person can read."""
    assert isinstance(detect_framing(first), NdjsonFraming)


def test_the_bytes_that_were_looked_at_are_still_to_be_fed() -> None:
    """Detection consumes nothing."""
    framing = detect_framing(b"{}\n")
    assert framing is not None
    assert framing.receive(b"{}\n") == [Message(b"{}")]


def test_a_framing_detects_itself() -> None:
    """Byte by byte or whole, what was looked at is not lost, and an answer goes out in the client's framing."""
    lines = DetectedFraming()
    assert lines.send(b"{}") == lines.ping() == lines.close() == b""
    assert [event for byte in b"{}\n" for event in lines.receive(bytes([byte]))] == [Message(b"{}")]
    assert lines.send(b"{}") == b"{}\n"
    assert (lines.answers_pings, lines.ping()) == (False, b"")
    websocket = DetectedFraming()
    [accepted] = [event for byte in UPGRADE for event in websocket.receive(bytes([byte]))]
    assert isinstance(accepted, Reply)
    assert DetectedFraming().receive(UPGRADE) == [accepted]
    assert websocket.send(b"{}") == b"\x81\x02{}"
    assert (websocket.answers_pings, websocket.ping()) == (True, b"\x89\x00")
    assert websocket.close() == b"\x88\x02\x03\xe8"
    assert websocket.ping() == b""


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1}\n{"b"',
        b"\n\xc3\xa9\n\xc3",
        b"GETX\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        UPGRADE + b"\x81\x82mask\x16\x1c\x81",
        UPGRADE + b"\x81\x82mask\xae\xc8\x81\x82mask\xae",
    ],
    ids=[
        "lines",
        "half a character",
        "no get",
        "a post",
        "no upgrade",
        "half a frame",
        "half a character in a frame",
    ],
)
def test_a_transcript_means_the_same_in_any_pieces(data: bytes) -> None:
    """Whole, cut in two anywhere, and byte by byte: as if it had been known all along what is spoken."""
    known: Framing = WebSocketFraming() if data.startswith(b"GET ") else NdjsonFraming()
    events = known.receive(data)
    assert events
    for pieces in (
        [data],
        *([data[:cut], data[cut:]] for cut in range(1, len(data))),
        [bytes([byte]) for byte in data],
    ):
        framing = DetectedFraming()
        assert [event for piece in pieces for event in framing.receive(piece)] == events


@pytest.mark.parametrize("first", [b"", b"G", b"GET"])
def test_a_client_that_leaves_early_has_sent_nothing(first: bytes) -> None:
    """Before it can be told what a client speaks, its end is the end: nothing follows, nothing is sent."""
    framing = DetectedFraming()
    assert first == b"" or framing.receive(first) == []
    assert framing.receive(b"") == [Ended()]
    assert framing.receive(b"") == framing.receive(b"{}\n") == []
    assert framing.close() == b""


@pytest.mark.process
def test_wsproto_is_imported_for_frames_that_are_no_text() -> None:
    """A daemon whose clients write lines or whole text messages never loads the WebSocket library, nor h11."""
    program = (
        "import sys; from accountd.framing.detect import DetectedFraming\n"
        "DetectedFraming().receive(b'{}\\n')\n"
        "framing = DetectedFraming()\n"
        f"framing.receive({UPGRADE + TEXT!r})\n"
        "assert framing.send(b'{}')\n"
        "assert not {'wsproto', 'h11'} & sys.modules.keys()\n"
        f"framing.receive({CLOSE!r}); assert 'wsproto' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
