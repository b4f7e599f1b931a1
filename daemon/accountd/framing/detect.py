"""Which framing a client speaks, from the first bytes that it sends; a bridge may have said a line before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from accountd.framing.base import MAX_MESSAGE, PORTION, Prelude
from accountd.framing.ndjson import NdjsonFraming
from accountd.framing.websocket import WebSocketFraming
from accountd.protocol.prelude import BEGINNING

if TYPE_CHECKING:
    from accountd.framing.base import Event, Framing

_UPGRADE: Final = b"GET "  # a WebSocket begins with an HTTP request (RFC 6455 section 4.1); JSON never does


_LONGEST_PRELUDE: Final = 1024
"""Bytes of the line of a bridge."""


def _is_begun(beginning: bytes, data: bytes) -> bool:
    return data.startswith(beginning) or beginning.startswith(data)


def detect_framing(first: bytes, max_message: int = MAX_MESSAGE) -> Framing | None:
    """Choose the framing for a connection that began with these bytes, or None if more must come first.

    Whatever is no HTTP GET is taken for JSON lines, so that rubbish gets an answer that a person can read.
    """
    if not first.startswith(_UPGRADE):
        return None if _UPGRADE.startswith(first) else NdjsonFraming(max_message)
    return WebSocketFraming(max_message)


class DetectedFraming:
    """A Framing that becomes one or the other when the first bytes have come."""

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self._max_message = max_message
        self._first = b""
        self._has_prelude = False
        self._framing: Framing | None = None

    @property
    def max_message(self) -> int:
        """See Framing."""
        return self._max_message

    @max_message.setter
    def max_message(self, size: int) -> None:
        self._max_message = size
        if self._framing is not None:
            self._framing.max_message = size

    @property
    def held(self) -> int:
        """See Framing.held."""
        return self._framing.held if self._framing is not None else len(self._first)

    @property
    def portion(self) -> int:
        """See Framing.portion."""
        return self._framing.portion if self._framing is not None else PORTION

    def open(self) -> bytes:
        """See Framing.open."""
        return b""

    @property
    def is_open(self) -> bool:
        """See Framing.is_open. False as long as it is not known what the client would understand."""
        return self._framing is not None and self._framing.is_open

    def receive(self, data: bytes) -> list[Event]:
        """See Framing.receive. A client that leaves before it can be told apart has sent nothing."""
        if self._framing is not None:
            return self._framing.receive(data)
        if not data:
            self._framing = NdjsonFraming()  # either would do: nothing follows its end
            begun = self._framing.receive(self._first) if self._first.startswith(BEGINNING[:1]) else []
            return begun + self._framing.receive(data)
        self._first += data
        prelude: list[Event] = []
        if not self._has_prelude and _is_begun(BEGINNING, self._first):
            line, end, rest = self._first.partition(b"\n")
            if not end and len(line) <= _LONGEST_PRELUDE:
                return []
            if end and line.startswith(BEGINNING):
                self._has_prelude, self._first = True, rest
                prelude = [Prelude(line)]
        if not self._first:
            return prelude
        self._framing = detect_framing(self._first, self._max_message)
        return prelude + (self._framing.receive(self._first) if self._framing is not None else [])

    def send(self, payload: bytes) -> bytes:
        """See Framing.send."""
        return self._framing.send(payload) if self._framing is not None else b""

    def close(self) -> bytes:
        """See Framing.close."""
        return self._framing.close() if self._framing is not None else b""

    @property
    def answers_pings(self) -> bool:
        """See Framing.answers_pings."""
        return self._framing is not None and self._framing.answers_pings

    def ping(self) -> bytes:
        """See Framing.ping."""
        return self._framing.ping() if self._framing is not None else b""
