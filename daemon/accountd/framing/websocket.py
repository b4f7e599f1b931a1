"""WebSocket (RFC 6455) over a stream that has just been accepted: the upgrade, then a message a text frame.

wsproto knows the protocol; this module adds the size limits and what this server will not take. As long as a
client sends nothing but whole text messages, `text_frame` reads them, in a fraction of the time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import wsproto
from wsproto import events as ws
from wsproto.connection import ConnectionState
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from accountd.errors import describe_status
from accountd.framing.base import MAX_MESSAGE, Ended, Event, Message, Rejected, Reply, too_large
from accountd.framing.text_frame import render_text_frame, split_text_frames

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_HEAD: Final = 16 << 10  # bytes, as h11 has it; a client's whole upgrade is a few hundred
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_TOO_LARGE: Final = 1009  # RFC 6455 section 7.4.1: message too big
_NORMAL: Final = 1000


class WebSocketFraming:
    """The server's side of one WebSocket. No extension is agreed to, so a frame is as large as its message."""

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self._max_message = max_message
        self._ws = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
        self._partial = bytearray()  # of the request's head, then of a fragmented message
        self._plain = True  # nothing but whole text messages has come, so wsproto has seen no frame
        self._rest = b""  # the beginning of one more
        self._ended = False
        self._refusal = b""  # in HTTP; a connection that was never upgraded ends with it
        self._farewell = ws.CloseConnection(_NORMAL)

    def receive(self, data: bytes) -> list[Event]:
        """See Framing.receive. After a broken frame, `close` gives the close code that RFC 6455 has for it."""
        if self._ended:
            return []
        return self._receive_head(data) if self._ws.connection is None else self._receive_frames(data)

    def _receive_head(self, data: bytes) -> list[Event]:
        """Collect the HTTP request and answer it. wsproto would lose frames that came in one piece with it."""
        self._partial += data
        blank_line = _HEAD_END.search(self._partial, max(0, len(self._partial) - len(data) - 2))
        if blank_line is None and not data:
            return [self._refuse(400, "the request breaks off")]
        if (len(self._partial) if blank_line is None else blank_line.end()) > _MAX_HEAD:
            return [self._refuse(431, f"the request's head is larger than {_MAX_HEAD} bytes")]
        if blank_line is None:
            return []
        head, frames = bytes(self._partial[: blank_line.end()]), bytes(self._partial[blank_line.end() :])
        self._partial.clear()
        try:
            self._ws.receive_data(head)
            accepted = Reply(self._ws.send(ws.AcceptConnection()))
        except RemoteProtocolError as error:
            hint = error.event_hint if isinstance(error.event_hint, ws.RejectConnection) else ws.RejectConnection()
            return [self._refuse(hint.status_code, str(error), hint.headers)]
        except UnicodeError:
            return [self._refuse(400, "a header is not ASCII")]
        return [accepted, *(self._receive_frames(frames) if frames else [])]

    def _receive_frames(self, data: bytes) -> list[Event]:
        if not self._plain:
            return self._receive_other(data or None)
        messages, self._rest, plain = split_text_frames(self._rest + data, self._max_message)
        events: list[Event] = [Message(message) for message in messages]
        self._plain = plain and bool(data)
        if self._plain:
            return events
        rest, self._rest = self._rest, b""
        if rest:
            events += self._receive_other(rest)
        if not data and not self._ended:
            events += self._receive_other(None)
        return events

    def _receive_other(self, data: bytes | None) -> list[Event]:
        """Receive frames of every kind by wsproto, which has had none before or all since; None is the end."""
        events: list[Event] = []
        self._ws.receive_data(data)
        for event in self._ws.events():
            translated = self._translate(event)
            if translated is not None:
                events.append(translated)
            if self._ended:
                break
        return events

    def _translate(self, event: ws.Event) -> Event | None:
        match event:
            case ws.TextMessage() | ws.BytesMessage():
                return self._collect(event)
            case ws.Ping():
                pong = self._send(event.response())
                return Reply(pong) if pong else None
            case ws.CloseConnection():
                # Bytes that are no frame are told as a close as well; only the client's own changes the state.
                broken = self._ws.state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING)
                complaint = f"invalid WebSocket data: {event.reason}" if broken else None
                return self._end(complaint, event.response())
            case _:
                return None

    def _collect(self, event: ws.TextMessage | ws.BytesMessage) -> Event | None:
        self._partial += event.data.encode() if isinstance(event, ws.TextMessage) else event.data
        if len(self._partial) > self._max_message:
            complaint = too_large(self._max_message)
            return self._end(complaint, ws.CloseConnection(_TOO_LARGE, complaint))
        if not event.message_finished:
            return None
        payload = bytes(self._partial)
        self._partial.clear()
        if isinstance(event, ws.BytesMessage):
            return Rejected("binary messages are not supported; send text")
        return Message(payload)

    def _refuse(self, status: int, complaint: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> Ended:
        """Answer a request that is no upgrade in plain HTTP, so that curl or a browser shows the reason."""
        body = f"This is a WebSocket (RFC 6455): {complaint}.\n".encode()
        lines = [
            f"HTTP/1.1 {describe_status(status)}".encode(),
            *(b"%b: %b" % header for header in headers),
            b"Connection: close",
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Length: %d" % len(body),
        ]
        self._refusal = b"\r\n".join([*lines, b"", body])
        return self._end(f"not a WebSocket request: {complaint}", self._farewell)

    def _end(self, complaint: str | None, farewell: ws.CloseConnection) -> Ended:
        self._ended = True
        self._farewell = farewell
        self._partial.clear()
        return Ended(complaint)

    def _send(self, event: ws.Event) -> bytes:
        try:
            return self._ws.send(event)
        except LocalProtocolError:
            return b""  # before the upgrade or after a close there is nothing that could be said

    def send(self, payload: bytes) -> bytes:
        """See Framing.send. Nothing before the upgrade, and nothing after a close."""
        return render_text_frame(payload) if self._ws.state is ConnectionState.OPEN else b""

    def close(self) -> bytes:
        """See Framing.close."""
        refusal, self._refusal = self._refusal, b""
        return refusal or self._send(self._farewell)

    @property
    def answers_pings(self) -> bool:
        """See Framing.answers_pings."""
        return True

    def ping(self) -> bytes:
        """See Framing.ping. Nothing before the upgrade, and nothing after a close."""
        return self._send(ws.Ping()) if self._ws.state is ConnectionState.OPEN else b""
