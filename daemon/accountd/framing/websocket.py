"""WebSocket (RFC 6455) over a stream that has just been accepted: the upgrade, then a message a text frame.

Three take turns, and never go back: `upgrade` answers the request that it begins with, `text_frame` reads whole
text messages for as long as nothing else comes, and then `frames` reads everything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from accountd.framing.base import MAX_MESSAGE, PORTION, Ended, Event, Message, Reply
from accountd.framing.text_frame import PING, render_text_frame, split_text_frames
from accountd.framing.upgrade import Refused, answer_upgrade

if TYPE_CHECKING:
    from accountd.framing.frames import Frames

_MAX_HEAD: Final = 16 << 10  # bytes, as h11 has it; a client's whole upgrade is a few hundred
_HEAD_END: Final = re.compile(rb"\n\r?\n")


class WebSocketFraming:
    """The server's side of one WebSocket. No extension is agreed to, so a frame is as large as its message."""

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self.portion = PORTION
        self._max_message = max_message
        self._head: bytearray | None = bytearray()  # of the request; None when that has been answered
        self._rest = b""  # the beginning of one more text frame
        self._frames: Frames | None = None  # reads all from the first frame on that is none
        self._ended = False
        self._open = False
        self._refusal = b""  # in HTTP; a connection that was never upgraded ends with it

    @property
    def max_message(self) -> int:
        """See Framing."""
        return self._max_message

    @max_message.setter
    def max_message(self, size: int) -> None:
        self._max_message = size
        if self._frames is not None:
            self._frames.max_message = size

    @property
    def held(self) -> int:
        """See Framing.held."""
        return len(self._head or b"") + len(self._rest) + (self._frames.held if self._frames is not None else 0)

    def receive(self, data: bytes) -> list[Event]:
        """See Framing.receive. After a broken frame, `close` gives the close code that RFC 6455 has for it."""
        if self._ended:
            return []
        events = self._receive_frames(data) if self._head is None else self._receive_head(self._head, data)
        self._ended = bool(events) and isinstance(events[-1], Ended)
        return events

    def _receive_head(self, head: bytearray, data: bytes) -> list[Event]:
        """Collect the HTTP request and answer it; a client that does not wait for that may send frames with it."""
        head += data
        blank_line = _HEAD_END.search(head, max(0, len(head) - len(data) - 2))
        if blank_line is None and not data:
            return [self._refuse(Refused("the request breaks off"))]
        if (len(head) if blank_line is None else blank_line.end()) > _MAX_HEAD:
            return [self._refuse(Refused(f"the request's head is larger than {_MAX_HEAD} bytes", 431))]
        if blank_line is None:
            return []
        answer = answer_upgrade(bytes(head[: blank_line.end()]))
        if isinstance(answer, Refused):
            return [self._refuse(answer)]
        frames = bytes(head[blank_line.end() :])
        self._head, self._open = None, True
        return [Reply(answer), *(self._receive_frames(frames) if frames else [])]

    def _refuse(self, refused: Refused) -> Ended:
        self._refusal, self._head = refused.render(), bytearray()
        return Ended(f"not a WebSocket request: {refused.complaint}")

    def _receive_frames(self, data: bytes) -> list[Event]:
        if self._frames is not None:
            return self._frames.receive(data)
        messages, rest, plain = split_text_frames(self._rest + data, self._max_message)
        events: list[Event] = [Message(message) for message in messages]
        if not data:  # the client has left, be it in the middle of a frame; it will not hear a farewell
            self._open = False
            return [*events, Ended()]
        self._rest = rest
        return events if plain else events + self._hand_over()

    def _hand_over(self) -> list[Event]:
        """Leave all that follows, and what has come of it, to `frames`."""
        from accountd.framing.frames import Frames  # which most clients never need

        rest, self._rest = self._rest, b""
        self._frames = Frames(self._max_message)
        self.portion = self._frames.portion
        return self._frames.receive(rest) if rest else []

    def send(self, payload: bytes) -> bytes:
        """See Framing.send. Nothing before the upgrade, and nothing after a close."""
        return render_text_frame(payload) if self._is_open else b""

    def close(self) -> bytes:
        """See Framing.close."""
        refusal, self._refusal = self._refusal, b""
        if self._open and self._frames is None:
            self._hand_over()
        return self._frames.close() if self._frames is not None else refusal

    @property
    def answers_pings(self) -> bool:
        """See Framing.answers_pings."""
        return True

    def ping(self) -> bytes:
        """See Framing.ping. Nothing before the upgrade, and nothing after a close."""
        return PING if self._is_open else b""

    @property
    def _is_open(self) -> bool:
        return self._open if self._frames is None else self._frames.is_open
