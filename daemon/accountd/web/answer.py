"""A whole answer of a server, however it comes: bounded in its size and its pieces, and unfolded."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from accountd.errors import RemoteUnreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

MAX_ANSWER: Final = 4 << 20
"""Bytes of an answer; the largest known is an organisation's policy, well under one megabyte."""

MAX_PIECES: Final = MAX_ANSWER // 256
"""Pieces of an answer. A network gives hundreds of bytes at a time; a server that sends single ones means harm."""


class HttpAnswer(msgspec.Struct, frozen=True):
    """A whole answer, whatever its status."""

    status: int
    content_type: str
    body: bytes
    date: str = ""
    """When the server answered, by its own clock and in its words."""
    set_cookies: tuple[str, ...] = ()
    """The cookies that it asks to be kept, each in its own words."""


def parse_date(date: str) -> float | None:
    """Read when an answer was made (RFC 9110 section 6.6.1), in Unix seconds; None where it does not say."""
    from email.utils import parsedate_to_datetime  # as httpx has it by then

    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


async def read_body(stream: AsyncIterable[bytes], encoding: str, host: str) -> bytes:
    """Read a body as it comes, and unfold it. Raises RemoteUnreachable for one that is too large.

    Between two pieces others have a turn, since many may be there already.
    """
    body, pieces = bytearray(), 0
    # Cancelled, not left: that unwinds the generators within httpx, which nobody else would close in time.
    with trio.CancelScope() as too_much:
        async for piece in stream:
            body += piece
            pieces += 1
            if len(body) > MAX_ANSWER or pieces > MAX_PIECES:
                too_much.cancel()
            await trio.lowlevel.cancel_shielded_checkpoint()
    if pieces > MAX_PIECES:
        raise RemoteUnreachable(f"the answer of {host} is in more than {MAX_PIECES} pieces")
    unfolded = unfold(bytes(body), encoding.lower(), host)
    if len(unfolded) > MAX_ANSWER:
        raise RemoteUnreachable(f"the answer of {host} is larger than {MAX_ANSWER} bytes")
    return unfolded


def unfold(body: bytes, encoding: str, host: str) -> bytes:
    """Undo the one compression that a proxy may have added; no further than what is too large.

    httpx would undo any number of them, one in another, and so make gigabytes of some kilobytes.
    """
    if encoding == "identity" or not body:
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise RemoteUnreachable(f"the answer of {host} is in an encoding that was not asked for")
    unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        unpacked = unpacking.decompress(body, MAX_ANSWER + 1)
    except zlib.error:
        raise RemoteUnreachable(f"the answer of {host} is not the gzip that it says it is") from None
    if not unpacking.eof and len(unpacked) <= MAX_ANSWER:
        raise RemoteUnreachable(f"the answer of {host} ends in the middle")
    return unpacked
