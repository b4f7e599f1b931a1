"""The frames that nearly all frames are: one whole text message, masked, below 64 KiB (RFC 6455 section 5.2).

And pongs, so that a client that is pinged now and then is no exception. They are read and written here without a
state machine, in a tenth of the time that one takes. Anything else, be it legal or not, is left to one.
"""

from __future__ import annotations

from typing import Final

PING: Final = b"\x89\x00"
"""A ping without a payload; whoever is there answers it with a pong."""

_WHOLE_TEXT: Final = 0x81  # FIN and the opcode for text
_PONG: Final = 0x8A  # says that the client is there, as any byte does; dropped, whether or not we pinged
_EXPECTED: Final = (_WHOLE_TEXT, _PONG)
_MASKED: Final = 0x80
_TWO_BYTES: Final = 126  # the length follows in two bytes; 127 would be eight, and is none of ours


def split_text_frames(data: bytes, limit: int) -> tuple[list[bytes], bytes, bool]:
    """Take whole text messages off the beginning of a stream; give them, the rest, and what the rest may be.

    True: nothing, or the beginning of one more such frame. False: something else, from its first byte on; so is
    a message over `limit` bytes, or one that is no UTF-8.
    """
    messages: list[bytes] = []
    start = 0
    while True:
        head = data[start : start + 4]
        if len(head) < 2:
            return messages, head, not head or head[0] in _EXPECTED
        length, body = head[1] & ~_MASKED, start + 6
        if length == _TWO_BYTES and head[0] == _WHOLE_TEXT:  # a pong is never so long
            if len(head) < 4:
                return messages, head, True
            length, body = head[2] << 8 | head[3], start + 8
            minimal = length >= _TWO_BYTES
        else:
            minimal = length < _TWO_BYTES
        if head[0] not in _EXPECTED or not head[1] & _MASKED or not minimal or length > limit:
            return messages, data[start:], False
        if len(data) < body + length:
            return messages, data[start:], True
        if head[0] == _PONG:
            start = body + length
            continue
        message = _unmask(data[body : body + length], data[body - 4 : body])
        try:
            message.decode()
        except UnicodeDecodeError:
            return messages, data[start:], False
        messages.append(message)
        start = body + length


def _unmask(data: bytes, key: bytes) -> bytes:
    """Undo a client's masking (RFC 6455 section 5.3), all bytes at once, as one long number."""
    size = len(data)
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data) ^ int.from_bytes(mask)).to_bytes(size)


def render_text_frame(payload: bytes) -> bytes:
    """Write a whole text message, as a server does: without a mask."""
    size = len(payload)
    if size < _TWO_BYTES:
        return bytes((_WHOLE_TEXT, size)) + payload
    if size < 1 << 16:
        return bytes((_WHOLE_TEXT, _TWO_BYTES)) + size.to_bytes(2) + payload
    return bytes((_WHOLE_TEXT, 127)) + size.to_bytes(8) + payload
