"""JSON that somebody else wrote: decoded by its type, within a bound, and nothing besides."""

from __future__ import annotations

import msgspec
import pytest

from accountd.foreign_json import ABSENT, Undecodable, decode, read_member


class Point(msgspec.Struct):
    """What is wanted."""

    x: int = 0
    other: msgspec.Raw = ABSENT


@pytest.mark.parametrize("rest", [b"1e308", b"1e999", b"[" * 100 + b"]" * 100, b'{"a":{}}', b"9" * 9000])
def test_what_is_not_asked_for_is_skipped(rest: bytes) -> None:
    """Whatever it is, as long as it is JSON; what may be anything stays as it was written."""
    assert decode(b'{"x":1,"y":%b}' % rest, Point, 10_000).x == 1
    assert bytes(decode(b'{"other": %b }' % rest, Point, 10_000).other) == rest


@pytest.mark.parametrize(
    "text", [b"", b"[]", b'{"x":"1"}', b'{"y":}', b'{"y":"\xff"}', b'{"y":"\\ud800"}', b"{}  " * 50, b"[" * 100_000]
)
def test_what_cannot_be_decoded_is_one_error(text: bytes) -> None:
    """No JSON, no text, another type, or more than there may be; and nothing of it is quoted."""
    with pytest.raises(Undecodable) as caught:
        decode(text, Point, 100)
    assert caught.value.args == ()
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_what_is_nested_without_end_cannot_be_decoded() -> None:
    """Where there is no limit, Python's own bound on depth is one."""
    with pytest.raises(Undecodable):
        decode(b'{"y":' + b"[" * 100_000, Point)


@pytest.mark.parametrize("member", [b"null", b"5", b"true", b"[]", b"{}"])
def test_a_member_of_another_type_is_absent(member: bytes) -> None:
    """As one that is not there."""
    assert read_member(msgspec.Raw(member), str) is None
    assert read_member(ABSENT, str) is None
    assert read_member(msgspec.Raw(b'"x"'), str) == "x"
