"""What a framing is: a sans-IO translator between one connection's bytes and whole messages."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

MAX_MESSAGE: Final = 1 << 20
"""Bytes, where no other limit is set."""

PORTION: Final = 1024
"""Bytes to feed at once: sixteen requests as clients send them; a tenth of a millisecond, whatever they are."""


class Message(msgspec.Struct, frozen=True):
    """One whole message came in."""

    payload: bytes


class Reply(msgspec.Struct, frozen=True):
    """The framing itself has something to say: a handshake, a pong. Send these bytes as they are."""

    data: bytes


class Rejected(msgspec.Struct, frozen=True):
    """Input that is no message, though the connection can go on. `complaint` is for whoever sent it."""

    complaint: str


class Ended(msgspec.Struct, frozen=True):
    """No more messages will come. `complaint` says which rule the other side broke, if it did not just leave."""

    complaint: str | None = None


class Prelude(msgspec.Struct, frozen=True):
    """A bridge has said for whom it speaks, before its client has said anything. What answers it is no message."""

    line: bytes


Event = Message | Reply | Rejected | Ended | Prelude


class Framing(Protocol):
    """One side of one connection. Feed it every byte in order; nothing follows an Ended.

    `max_message` may be set to another number of bytes at any time.
    """

    max_message: int

    @property
    def held(self) -> int:
        """How many bytes are kept of a message whose end has not come."""
        ...

    @property
    def portion(self) -> int:
        """How many bytes to feed at once, at most, so that others have their turns soon, whatever these hold."""
        ...

    def open(self) -> bytes:
        """Return the first bytes of the connection; b"" if the other side speaks first, or nobody has to."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent: not before the handshake, and not after a close."""
        ...

    def receive(self, data: bytes) -> list[Event]:
        """Take what the other side sent, b"" when it has stopped sending. Never raises, whatever the bytes."""
        ...

    def send(self, payload: bytes) -> bytes:
        """Wrap one message for the other side; b"" if nothing can be sent."""
        ...

    def close(self) -> bytes:
        """Return the last bytes of the connection, whichever side ends it. Nothing may be sent after them."""
        ...

    @property
    def answers_pings(self) -> bool:
        """Whether there is something that everybody who speaks this framing answers."""
        ...

    def ping(self) -> bytes:
        """Return the bytes of that; b"" if there is nothing such, or if nothing can be sent now."""
        ...


def too_large(limit: int) -> str:
    """Say that a message is over the limit, which is in bytes."""
    return f"message is larger than {limit} bytes"
