"""What a bridge says before its client: a line that is none of either framing."""

from __future__ import annotations

import json

import pytest

from accountd.framing.base import Ended, Message, Prelude
from accountd.framing.detect import DetectedFraming
from accountd.framing.ndjson import NdjsonFraming
from accountd.framing.websocket import WebSocketFraming
from accountd.protocol.prelude import read_refusal, render_prelude

LINE = render_prelude("work")
UPGRADE = b"GET / HTTP/1.1\r\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(("then", "framing"), [(b'{"id":1}\n', NdjsonFraming), (UPGRADE, WebSocketFraming)])
def test_the_client_speaks_what_it_likes_behind_it(size: int, then: bytes, framing: type[object]) -> None:
    """However the bytes come."""
    detected, data, events = DetectedFraming(), LINE + then, []
    for start in range(0, len(data), size):
        events += detected.receive(data[start : start + size])
    assert events[0] == Prelude(LINE[:-1])
    assert isinstance(detected._framing, framing)


@pytest.mark.parametrize("first", [b'{"accountd":' + b" " * 2000, b'{"a":1}\n', b"{", b'{"accountd":', LINE * 2])
def test_what_is_none_is_of_the_client(first: bytes) -> None:
    """One that has no end, a message, a beginning, and a second one."""
    detected = DetectedFraming()
    events = detected.receive(first) + detected.receive(b"\n") + detected.receive(b"")
    assert isinstance(detected._framing, NdjsonFraming)
    assert [type(event) for event in events if not isinstance(event, Prelude)][:1] != []
    assert isinstance(events[-1], Ended | Message)


def test_an_answer_says_that_it_is_done_or_why_not() -> None:
    """An older server takes the line for a message that is none."""
    assert read_refusal(b'{"accountd":{"selectedId":"k3q7ab"}}\n') is None
    refused = {"code": -32600, "message": "no", "data": {"accountd": {"reason": "noSuchAccount"}}}
    assert read_refusal(json.dumps({"id": None, "error": refused}).encode()) == refused
    malformed = b'{"id":null,"error":{"code":-32600,"message":"no message"}}\n'
    for old in (b"", b"[]\n", b"HTTP/1.1 400\r\n", b"5\n", malformed):
        assert "older version" in (read_refusal(old) or {})["message"]
