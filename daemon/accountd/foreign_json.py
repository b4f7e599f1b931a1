"""JSON that somebody else wrote: no more of it is decoded than is read, by its type, and within a bound.

To skip a value costs some nanoseconds, whatever it is. To decode it may cost a thousand times that: msgspec makes a
float of `1e308` by long arithmetic, in 9 µs for five bytes, so that a megabyte of them stops everything for two
seconds; and lists and objects that nobody reads take twenty times the memory of their text. So nothing is decoded
without a type. A member that may be anything is left as the text that it is, and decoded as what it should be.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

ABSENT: Final = msgspec.Raw(b"null")
"""What a member is that is not there."""

UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for what is no JSON, or not of the type. It may quote it, so it is no cause to be kept."""


class Undecodable(ValueError):
    """A text is no JSON, is not of the type, or has more bytes than it may have. Nothing of it is quoted."""


def decode(text: bytes, wanted: type[T], limit: int | None = None) -> T:
    """Decode a text of so many bytes at most. Raises Undecodable.

    A type of texts and `msgspec.Raw` alone needs no limit: a megabyte of whatever else takes four milliseconds.
    """
    if limit is None or len(text) <= limit:
        try:
            return msgspec.json.decode(text.decode(), type=wanted)  # msgspec looks at no text that it skips
        except UNDECODABLE:
            pass
    raise Undecodable


def read_member(member: msgspec.Raw, wanted: type[T]) -> T | None:
    """Decode a member that may be anything; one of another type counts as absent."""
    try:
        return msgspec.json.decode(member, type=wanted)
    except UNDECODABLE:
        return None
