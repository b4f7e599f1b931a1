"""Target: what a server says on a connection, from the first byte of its status line to the last of a trailer."""

from __future__ import annotations

import re
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final, get_args

import h11
import pytest

from accountd.errors import RemoteUnreachable
from accountd.web import answer as bounds
from accountd.web.answer import HttpAnswer
from accountd.web.network import MAX_HEAD, MAX_HEAD_LINES, READ_SIZE
from fuzz.network import End, Server, ask
from fuzz.pieces import choose, chunkings

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_ANSWER: Final = 16 << 10
_MAX_PIECES: Final = 128
"""Less than the real ones, since a server that goes on for ever takes them whole."""

_MOST: Final = _MAX_PIECES * (MAX_HEAD + READ_SIZE) + _MAX_ANSWER
"""Bytes that a server may say before it is left. A piece of a body may have as much about it as a head."""

_OFTEN: Final = 256
"""Bytes of a read, at least, of what comes for ever: single ones would take their time."""

_TOO_MUCH: Final = (
    f"larger than {_MAX_ANSWER} bytes",
    f"in more than {_MAX_PIECES} pieces",
    f"a head of more than {MAX_HEAD_LINES} lines",
)
_REFUSALS: Final = re.compile(
    r"error sending request to 127\.0\.0\.1: (the connection was cut off(, or what came is not HTTP)?"
    r"|nothing came or went for 30 s)"
    rf"|the answer of 127\.0\.0\.1 (is|has) ({'|'.join(_TOO_MUCH)}|in an encoding that was not asked for"
    r"|not the gzip that it says it is)|the answer of 127\.0\.0\.1 ends in the middle"
)
"""All that is ever said of an answer: so nothing of it is quoted."""


def fuzz_answer(data: bytes) -> None:
    """Ask once: an answer comes, or RemoteUnreachable, however it is cut; what is behind `~~` may come for ever."""
    end, rest = choose(data, get_args(End))
    times, rest = choose(rest, (1, 30, None))
    cut, rest = choose(rest, range(256))
    begin, _, again = rest.partition(b"~~")
    if times != 1 and again:
        again *= _OFTEN // len(again) + 1
        _ask(chain([begin], repeat(again, times) if times else repeat(again)), end)
        return
    outcome = _ask([begin + again], end)
    if isinstance(outcome, HttpAnswer):
        _check_answer(outcome, begin + again, end)
    if cut:
        pieces, _ = chunkings(begin + again, cut)
        in_pieces = _ask(pieces, end)
        assert in_pieces == outcome or _is_too_much(in_pieces) or _is_too_much(outcome)


def _ask(pieces: Iterable[bytes], end: End) -> HttpAnswer | str:
    server = Server((piece for piece in pieces if piece), end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "MAX_ANSWER", _MAX_ANSWER)
        patch.setattr(bounds, "MAX_PIECES", _MAX_PIECES)
        try:
            answer = ask(server, lambda http: http.request("GET", "http://127.0.0.1/x"))
        except RemoteUnreachable as error:
            assert _REFUSALS.fullmatch(str(error)), str(error)
            assert error.__cause__ is None
            assert error.__suppress_context__ or error.__context__ is None
            return str(error)
        finally:
            assert server.said <= _MOST
    assert len(answer.body) <= _MAX_ANSWER
    return answer


def _is_too_much(outcome: HttpAnswer | str) -> bool:
    return isinstance(outcome, str) and outcome.endswith(_TOO_MUCH)


def _check_answer(answer: HttpAnswer, said: bytes, end: End) -> None:
    """Read what was said by h11 alone: it is the first answer that is none of 1xx, and its body is what it was."""
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    http.send(h11.Request(method="GET", target="/x", headers=[("Host", "127.0.0.1")]))
    http.send(h11.EndOfMessage())
    http.receive_data(said)
    if end == "close":
        http.receive_data(b"")
    while isinstance(response := http.next_event(), h11.InformationalResponse):
        pass
    assert isinstance(response, h11.Response)
    assert answer.status == response.status_code
    fields = [(name.lower(), value) for name, value in response.headers]
    cookies = [value for name, value in fields if name == b"set-cookie"]
    assert [cookie.encode("latin-1") for cookie in answer.set_cookies] == cookies or not said.isascii()
    body = b""
    while isinstance(event := http.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    if not any(name == b"content-encoding" for name, _ in fields):
        assert answer.body == body
