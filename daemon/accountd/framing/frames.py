"""Frames of every kind, as wsproto reads them: fragments, pings, closes, and what breaks the rules of RFC 6455.

What nearly all clients send, and most send nothing else, are whole text messages, which `text_frame` reads. So
this is imported when the first other frame comes; it takes tens of milliseconds and a megabyte.
"""

from __future__ import annotations

from typing import Final

from wsproto import events as ws
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.utilities import LocalProtocolError

from accountd.framing.base import Ended, Event, Message, Rejected, Reply, too_large

_TOO_LARGE: Final = 1009  # RFC 6455 section 7.4.1: message too big
_NORMAL: Final = 1000


class Frames:
    """One side of an open WebSocket, between two frames. No extension is agreed to."""

    portion: Final = 128
    """Bytes to feed at once: twenty frames without a payload, each of which takes ten times as long as a line."""

    def __init__(self, *, is_client: bool) -> None:
        self._ws = Connection(ConnectionType.CLIENT if is_client else ConnectionType.SERVER)
        self._partial = bytearray()  # of a fragmented message
        self._farewell = ws.CloseConnection(_NORMAL)

    @property
    def held(self) -> int:
        """How many bytes are kept of a message whose end has not come."""
        return len(self._partial)

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent."""
        return self._ws.state is ConnectionState.OPEN

    def receive(self, data: bytes, max_message: int) -> list[Event]:
        """Take some bytes, b"" when no more will come; nothing follows an Ended."""
        events: list[Event] = []
        self._ws.receive_data(data or None)
        for event in self._ws.events():
            translated = self._translate(event, max_message)
            if translated is not None:
                events.append(translated)
            if isinstance(translated, Ended):
                break
        return events

    def close(self) -> bytes:
        """Return the close frame that has not been sent yet: the other's own code, what it broke, or good-bye."""
        return self._send(self._farewell)

    def _translate(self, event: ws.Event, max_message: int) -> Event | None:
        match event:
            case ws.TextMessage() | ws.BytesMessage():
                return self._collect(event, max_message)
            case ws.Ping():
                pong = self._send(event.response())
                return Reply(pong) if pong else None
            case ws.CloseConnection():
                # Bytes that are no frame are told as a close as well; only the other's own changes the state.
                broken = self._ws.state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING)
                complaint = f"invalid WebSocket data: {event.reason}" if broken else None
                return self._end(complaint, event.response())
            case _:
                return None

    def _collect(self, event: ws.TextMessage | ws.BytesMessage, max_message: int) -> Event | None:
        self._partial += event.data.encode() if isinstance(event, ws.TextMessage) else event.data
        if len(self._partial) > max_message:
            complaint = too_large(max_message)
            return self._end(complaint, ws.CloseConnection(_TOO_LARGE, complaint))
        if not event.message_finished:
            return None
        payload = bytes(self._partial)
        self._partial.clear()
        if isinstance(event, ws.BytesMessage):
            return Rejected("binary messages are not supported; send text")
        return Message(payload)

    def _end(self, complaint: str | None, farewell: ws.CloseConnection) -> Ended:
        self._farewell = farewell
        self._partial.clear()
        return Ended(complaint)

    def _send(self, event: ws.Event) -> bytes:
        try:
            return self._ws.send(event)
        except LocalProtocolError:
            return b""  # after a close there is nothing that could be said
