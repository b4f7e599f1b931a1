"""Who has no place is told so, in a framing that they understand."""

from __future__ import annotations

import json

import pytest
import trio
import trio.testing

from accountd.server.rejection import PATIENCE, render_no_place, turn_away
from fakes.client import HELLO, OVERLOADED, rest_of
from fakes.frames import request


@pytest.mark.parametrize(
    ("first", "request_id"),
    [
        (HELLO + b"\n", 0),
        (b'{"id":"a","method":"x"}\n{"id":2', "a"),
        (b"rubbish", None),
        (b'{"id":1,"result":{}}\n', None),
    ],
)
def test_who_has_no_place_is_told_so(first: bytes, request_id: object) -> None:
    """With the id of what was asked, where it has one."""
    answer = render_no_place(first)
    assert answer.endswith(b"\n")
    assert json.loads(answer) == {"id": request_id, "error": OVERLOADED}


def test_a_websocket_that_has_no_place_is_told_so_in_http() -> None:
    """The upgrade is refused, with the reason as its page."""
    head, _, body = render_no_place(request()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n")
    assert body == b"Server overloaded; retry later.\n"
    assert b"Content-Length: %d" % len(body) in head


async def test_who_has_no_place_and_says_nothing_is_hung_up_on(autojump_clock: trio.testing.MockClock) -> None:
    """After a second; nothing is said to who says nothing, as nobody knows which framing they speak."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn_away, theirs)
        assert await rest_of(ours) == b""
    assert trio.current_time() == pytest.approx(PATIENCE)
