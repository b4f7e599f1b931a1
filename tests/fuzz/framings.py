"""Targets: bytes to messages. The same bytes mean the same however they are cut, and what is kept is bounded."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from typing import Any, Final

import h11

from accountd.framing.base import Ended, Event, Message, Rejected, Reply, too_large
from accountd.framing.detect import DetectedFraming
from accountd.framing.ndjson import NdjsonFraming
from accountd.framing.websocket import WebSocketFraming
from fakes.frames import request
from fuzz.pieces import choose, chunkings, heard

LIMIT: Final = 200
"""Bytes of a message. Small, so that inputs come to it; beyond 125, so that lengths of two bytes do."""

UPGRADE: Final = request()
_MAX_HEAD: Final = 16 << 10


def fuzz_ndjson(data: bytes) -> None:
    """Hold lines to a second reading of them, in three lines of Python."""
    cut, stream = choose(data, range(256))
    expected = [*_read_lines(stream), b""]
    for pieces in ([stream] if stream else [], *chunkings(stream, cut)):
        assert heard(NdjsonFraming(LIMIT), pieces, lambda it: len(it._partial), LIMIT) == expected
    messages = [event for event in expected if isinstance(event, Message)]
    sent = b"".join(NdjsonFraming().send(message.payload) for message in messages)
    assert NdjsonFraming(LIMIT).receive(sent or b"\n") == messages


def _read_lines(stream: bytes) -> list[Event]:
    events: list[Event] = []
    for line in stream.split(b"\n"):
        if len(line) > LIMIT:
            return [*events, Ended(too_large(LIMIT))]
        events += [Message(line.strip())] if line.strip() else []
    return [*events, Ended()]


def fuzz_frames(data: bytes) -> None:
    """Hold frames, after an upgrade, to the library that knows all of them, without our shorter way."""
    cut, stream = choose(data, range(256))
    library = _upgraded()
    library._hand_over()
    expected = heard(library, [stream] if stream else [])
    for pieces in ([stream] if stream else [], *chunkings(stream, cut)):
        events = heard(_upgraded(), pieces, _count_held, LIMIT + 14)
        assert _agree(events, expected)
        _check_events(events[:-1])


def _upgraded() -> WebSocketFraming:
    """Open a connection without the handshake, which takes longer than all that comes after it."""
    framing = WebSocketFraming(LIMIT)
    framing._head, framing._open = None, True
    return framing


def _count_held(framing: WebSocketFraming) -> int:
    """Count the bytes that are kept: ours, and those in wsproto's buffer."""
    kept = len(framing._head or b"") + len(framing._rest)
    if (frames := framing._frames) is not None and not framing._ended:
        kept += len(frames._partial) + len(frames._ws._proto._frame_decoder.buffer)
    return kept


def _agree(events: list[Any], others: list[Any]) -> bool:
    """Compare all that was heard; but of an end whose reason depends on what is found first, what came before it.

    A frame may be over the limit, and no text, and break off. Each ends the connection, at the same frame.
    """
    if any(_is_one_reason_of_several(each) for each in (*events, *others)):
        return _before_the_end(events) == _before_the_end(others)
    return events == others


def _is_one_reason_of_several(event: Any) -> bool:
    complaint = str(event.complaint) if isinstance(event, Ended) else ""
    return complaint == too_large(LIMIT) or "utf-8" in complaint.lower()


def _before_the_end(events: list[Any]) -> list[Any]:
    return [*itertools.takewhile(lambda event: not isinstance(event, Ended), events)]


def _check_events(events: list[Any]) -> None:
    for event in events:
        match event:
            case Message(payload):
                assert len(payload) <= LIMIT
                payload.decode()
            case Reply(data):
                assert data[0] == 0x8A  # pongs are all that is said unasked
                assert data[1] == len(data) - 2 <= 125
            case Rejected() | Ended():
                pass
    assert not any(isinstance(event, Ended) for event in events[:-1])


def fuzz_upgrade(data: bytes) -> None:
    """Hold the head of a connection to h11 and RFC 6455: an upgrade is what has all that it needs."""
    cut, stream = choose(data, range(256))
    expected = heard(WebSocketFraming(LIMIT), [stream] if stream else [])
    for pieces in chunkings(stream, cut):
        assert heard(WebSocketFraming(LIMIT), pieces, lambda it: len(it._head or b""), _MAX_HEAD) == expected
    match expected[0]:
        case Reply(accepted):
            headers = _read_head(stream)
            assert b"websocket" in [value.lower() for value in headers["upgrade"]]
            assert b"upgrade" in b",".join(headers["connection"]).lower()
            assert b"13" in headers["sec-websocket-version"]
            [proof] = re.findall(rb"\r\nSec-WebSocket-Accept: (\S+)\r\n", accepted)
            assert proof == _accept(b", ".join(headers["sec-websocket-key"]))  # of two as of one (RFC 9110, 5.3)
            assert b"extensions" not in accepted.lower()
            assert b"protocol:" not in accepted.lower()
        case Ended(complaint):
            assert str(complaint).startswith("not a WebSocket request: ")
            _check_refusal(expected[-1])
        case other:
            raise AssertionError(other)


def _accept(key: bytes) -> bytes:
    """Prove to have read a key (RFC 6455 section 4.2.2)."""
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
    return base64.b64encode(digest)


def _read_head(stream: bytes) -> dict[str, list[bytes]]:
    server = h11.Connection(h11.SERVER)
    server.receive_data(stream)
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert request.method == b"GET"
    headers: dict[str, list[bytes]] = {}
    for name, value in request.headers:
        headers.setdefault(name.decode(), []).append(value)
    return headers


def _check_refusal(data: bytes) -> None:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    answer = client.next_event()
    assert isinstance(answer, h11.Response)
    assert answer.status_code in (400, 426, 431, 505)
    assert isinstance(client.next_event(), h11.Data)
    assert isinstance(client.next_event(), h11.EndOfMessage)
    assert client.trailing_data == (b"", False)


def fuzz_detect(data: bytes) -> None:
    """Hold the choice of a framing to the framings themselves: it takes nothing away and adds nothing."""
    cut, stream = choose(data, range(256))
    if b"GET".startswith(stream):
        expected: list[Any] = [Ended(), b""]
    else:
        chosen = WebSocketFraming(LIMIT) if stream.startswith(b"GET ") else NdjsonFraming(LIMIT)
        expected = heard(chosen, [stream])
    for pieces in ([stream] if stream else [], *chunkings(stream, cut)):
        assert _agree(heard(DetectedFraming(LIMIT), pieces), expected)
