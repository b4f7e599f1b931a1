"""How a target takes its input apart: choices first, which are single bytes, then the data itself.

It is so plain that a person can write an input with an editor, and a mutation changes one thing at a time.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from accountd.framing.base import Framing

ChoiceT = TypeVar("ChoiceT")

UNKNOWN: Final = object()
"""What `read_json` says of a text that only one of two parsers can be expected to take."""


_SHORT: Final = 48
"""Bytes that are fed one by one. It takes its time, of which there should be many tries."""


def choose(data: bytes, options: Sequence[ChoiceT]) -> tuple[ChoiceT, bytes]:
    """Choose by the first byte, counted from `0`, so that digits and letters do; give the rest, too."""
    number = data[0] - ord("0") if data else 0
    return options[number % len(options)], data[1:]


def chunkings(stream: bytes, cut: int) -> Iterator[list[bytes]]:
    """Cut a stream at one place; and a short one in single bytes, a long one in pieces."""
    place = cut % (len(stream) + 1)
    yield [piece for piece in (stream[:place], stream[place:]) if piece]
    size = 1 if len(stream) <= _SHORT else 2 + cut % 97
    yield [stream[i : i + size] for i in range(0, len(stream), size)]


def heard(
    framing: Framing, pieces: Sequence[bytes], count_held: Callable[[Any], int] = lambda _: 0, most: int = 0
) -> list[Any]:
    """Feed pieces, then the end of the stream; give the events, and last the farewell.

    No more than `most` bytes may be held at any time.
    """
    events: list[Any] = []
    for piece in [*pieces, b""]:
        events += framing.receive(piece)
        assert count_held(framing) <= most
    assert framing.receive(b"after the end") == []
    return [*events, framing.close()]


def read_json(data: bytes) -> Any:
    """Read JSON as RFC 8259 has it, by the standard library; UNKNOWN where that is no judge. Raises ValueError."""
    text = data.decode()
    if "\\u" in text:
        return UNKNOWN  # lone surrogates: the standard library lets them pass, msgspec does not
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_read_float, object_pairs_hook=_read_object)
    except (RecursionError, _UnsureError):
        return UNKNOWN


class _UnsureError(Exception):
    """A number beyond the range of a float, or a name that comes twice: parsers may differ (RFC 8259, 4 and 6)."""


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _UnsureError
    return members


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _read_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _UnsureError
    return number
