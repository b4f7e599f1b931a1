"""What a message is, against those who read all of it."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.protocol.jsonrpc import Malformed, Request, parse_message
from accountd.rpc.peek import peek

MEMBERS = ("id", "method", "params", "result", "error", "x")
VALUES = st.recursive(
    st.one_of(st.none(), st.integers(-5, 1 << 70), st.text(), st.sampled_from(["method", '"id":1', "\\", "}"])),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.sampled_from(MEMBERS), inner)),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.sampled_from(MEMBERS), VALUES), max_size=6), st.booleans())
def test_it_is_what_whoever_reads_it_says(members: list[tuple[str, object]], ascii_only: bool) -> None:
    """In any order of the members, nested ones of the same name, twice the same, escapes or none."""
    text = ", ".join(
        f"{json.dumps(name)} : {json.dumps(value, ensure_ascii=ascii_only)}" for name, value in members
    )
    payload = f"{{{text}}}".encode(errors="surrogatepass")
    envelope, message = peek(payload), parse_message(payload)
    if isinstance(message, Malformed):
        assert envelope is None
        return
    assert envelope is not None
    whole = json.loads(payload)
    assert envelope.id == message.id or (message.id is None and "id" not in whole)
    if isinstance(message, Request):
        assert envelope.method == message.method == whole["method"]
        assert envelope.kind == ("request" if "id" in whole else "notification")
    else:
        assert envelope.kind == "response"


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b'{"params":{"method":"a","id":2},"\\u0069d":"\\"x","m\\u0065thod":"b"}', "request"),
        (b' {"method":"m"}\r', "notification"),
        (b'{"result":null,"id":1}', "response"),
        (b'{"id":null,"error":{}}', "response"),
        (b'{"id":1}', None),
        (b'{"id":1.5,"method":"m"}', None),
        (b'{"id":null,"method":"m"}', None),
        (b'{"method":"m"}{}', None),
        (b'{"method":"m","params":"\xff"}', None),
        (b"[" * 100_000, None),
        (b"", None),
    ],
)
def test_the_three_kinds_and_none(payload: bytes, kind: str | None) -> None:
    """A request has an id, a notification none, a response no method; bytes that nobody could read are nothing."""
    envelope = peek(payload)
    assert (envelope and envelope.kind) == kind


@pytest.mark.parametrize("filling", [b'"' + b"y" * (40 << 20) + b'"', b"[" + b'{"a":[1,"b"]},' * 2_900_000 + b"1]"])
def test_forty_megabytes_are_skipped(filling: bytes) -> None:
    """An image in a turn, and many small things, cost some nanoseconds a byte; the members are not copied."""
    payload = b'{"params":%b,"id":1,"method":"m"}' % filling
    began = time.process_time()
    envelope = peek(payload)
    assert time.process_time() - began < 1  # it takes a twentieth of that; a decoding takes several seconds
    assert envelope is not None
    assert envelope.kind == "request"
