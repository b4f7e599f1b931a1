"""The frames that nearly all frames are: one whole text message, masked by a client (RFC 6455 section 5.2).

And pongs, so that a client that is pinged now and then is no exception. They are read and written here without a
state machine, in a tenth of the time that one takes. Anything else, be it legal or not, is left to one.
"""

from __future__ import annotations

import os
from typing import Final

MAX_FRAME: Final = 16 << 20
"""Bytes in a frame that is sent; a longer message is several. Codex ends a connection over larger frames."""

_WHOLE_TEXT: Final = 0x81  # FIN and the opcode for text
_FIRST, _MORE, _LAST = 0x01, 0x00, 0x80  # the frames of a text message that is several
_PING: Final = 0x89
_PONG: Final = 0x8A  # says that somebody is there, as any byte does; dropped, whether or not we pinged
_EXPECTED: Final = (_WHOLE_TEXT, _PONG)
_MASKED: Final = 0x80
_PIECE: Final = 1 << 18  # bytes that are masked at once, so that a long message takes little memory besides
_TWO_BYTES: Final = 126  # the length follows in two bytes; 127: in eight


def split_text_frames(data: bytes, limit: int, *, masked: bool) -> tuple[list[bytes], bytes, int]:
    """Take whole text messages off the beginning of a stream; give them, the rest, and how long the rest must be.

    The rest is nothing, or the beginning of one more such frame, and with fewer bytes than that nothing new can be
    said of it. 0: the rest is something else, from its first byte on; so is a message over `limit` bytes, or one
    that is no UTF-8.
    """
    messages: list[bytes] = []
    start = 0
    mask_bit, mask_size = (_MASKED, 4) if masked else (0, 0)
    while True:
        head = data[start : start + 10]
        if len(head) < 2:
            return messages, head, 0 if head and head[0] not in _EXPECTED else 2
        first, length = head[0], head[1] ^ mask_bit
        if length < _TWO_BYTES:
            body = start + 2 + mask_size
        elif first == _WHOLE_TEXT and length < _MASKED:
            size, least = (4, _TWO_BYTES) if length == _TWO_BYTES else (10, 1 << 16)
            if len(head) < size:
                return messages, head, size
            length = int.from_bytes(head[2:size])
            if length < least:
                return messages, data[start:], 0
            body = start + size + mask_size
        else:  # a pong is never so long; or the mask is missing, or should be
            return messages, data[start:], 0
        if first not in _EXPECTED or length > limit:
            return messages, data[start:], 0
        end = body + length
        if len(data) < end:
            return messages, data[start:], end - start
        if first == _PONG:
            start = end
            continue
        message = _mask(data[body:end], data[body - 4 : body]) if masked else data[body:end]
        try:
            message.decode()
        except UnicodeDecodeError:
            return messages, data[start:], 0
        messages.append(message)
        start = end


def _mask(data: bytes, key: bytes) -> bytes:
    """Mask, or undo it, which is the same (RFC 6455 section 5.3): many bytes at once, as one long number."""
    size = len(data)
    if size > _PIECE:
        return b"".join(_mask(data[start : start + _PIECE], key) for start in range(0, size, _PIECE))
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data) ^ int.from_bytes(mask)).to_bytes(size)


def render_text_frames(payload: bytes, *, masked: bool) -> bytes:
    """Write a text message: as one frame, or as several if it is very long."""
    if len(payload) <= MAX_FRAME:
        return _render(_WHOLE_TEXT, payload, masked)
    parts = [payload[start : start + MAX_FRAME] for start in range(0, len(payload), MAX_FRAME)]
    opcodes = [_FIRST, *[_MORE] * (len(parts) - 2), _LAST]
    return b"".join(_render(opcode, part, masked) for opcode, part in zip(opcodes, parts, strict=True))


def render_ping(*, masked: bool) -> bytes:
    """Write a ping without a payload; whoever is there answers it with a pong."""
    return _render(_PING, b"", masked)


def _render(first: int, payload: bytes, masked: bool) -> bytes:
    """Write a frame. A client's has a mask that nobody can know before (RFC 6455 section 10.3)."""
    size = len(payload)
    bit = _MASKED if masked else 0
    if size < _TWO_BYTES:
        head = bytes((first, bit | size))
    elif size < 1 << 16:
        head = bytes((first, bit | _TWO_BYTES, size >> 8, size & 0xFF))
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + _mask(payload, key)
