"""WebSocket (RFC 6455) over a stream that has just been opened: the upgrade, then a message a text frame.

Three take turns, and never go back: `upgrade` has the request that it begins with and the answer, `text_frame`
reads whole text messages for as long as nothing else comes, and then `frames` reads everything. Both sides are
here: one asks for the upgrade and masks what it sends, the other one answers and does not.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from typing import TYPE_CHECKING, ClassVar, Final

from accountd.framing.base import MAX_MESSAGE, PORTION, Ended, Event, Message, Reply
from accountd.framing.text_frame import render_ping, render_text_frames, split_text_frames
from accountd.framing.upgrade import Refused, answer_upgrade, find_refusal, render_upgrade

if TYPE_CHECKING:
    from accountd.framing.frames import Frames

_MAX_HEAD: Final = 16 << 10  # bytes, as h11 has it; a client's whole upgrade is a few hundred
_HEAD_END: Final = re.compile(rb"\n\r?\n")


class _WebSocket:
    """What both sides have in common. No extension is agreed to, so a message is as large as its frames."""

    _is_client: ClassVar[bool]
    _head_is: ClassVar[str]
    """What the other side's head is: a request or an answer."""

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self.portion = PORTION
        self.max_message = max_message
        self._head: bytearray | None = bytearray()  # of the other side; None when it has been taken
        self._rest = bytearray()  # the beginning of one more text frame
        self._wanted = 0  # bytes that it must have before it is looked at again
        self._frames: Frames | None = None  # reads all from the first frame on that is none
        self._ended = False
        self._open = False

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
        """Collect the other side's head and take it; frames may come right behind it."""
        head += data
        blank_line = _HEAD_END.search(head, max(0, len(head) - len(data) - 2))
        if blank_line is None and not data:
            return [self._refuse(Refused(f"the {self._head_is} breaks off"))]
        if (len(head) if blank_line is None else blank_line.end()) > _MAX_HEAD:
            return [self._refuse(Refused(f"the {self._head_is}'s head is larger than {_MAX_HEAD} bytes", 431))]
        if blank_line is None:
            return []
        answer = self._take_head(bytes(head[: blank_line.end()]))
        if isinstance(answer, Refused):
            return [self._refuse(answer)]
        frames = bytes(head[blank_line.end() :])
        self._head, self._open = None, True
        replies: list[Event] = [Reply(answer)] if answer else []
        return [*replies, *(self._receive_frames(frames) if frames else [])]

    def _take_head(self, head: bytes) -> bytes | Refused:
        """Return what is said to a head, or what is wrong with it."""
        raise NotImplementedError

    def _refuse(self, refused: Refused) -> Ended:
        self._head = bytearray()
        return Ended(f"not a WebSocket {self._head_is}: {refused.complaint}")

    def _receive_frames(self, data: bytes) -> list[Event]:
        if self._frames is not None:
            return self._frames.receive(data, self.max_message)
        if self._rest:
            self._rest += data
            if data and len(self._rest) < self._wanted:
                return []
            stream = bytes(self._rest)
        else:
            stream = data
        messages, rest, self._wanted = split_text_frames(stream, self.max_message, masked=not self._is_client)
        events: list[Event] = [Message(message) for message in messages]
        if not data:  # the other side has left, be it in the middle of a frame; it will not hear a farewell
            self._open = False
            return [*events, Ended()]
        if rest or self._rest:
            self._rest = bytearray(rest)
        return events if self._wanted else events + self._hand_over()

    def _hand_over(self) -> list[Event]:
        """Leave all that follows, and what has come of it, to `frames`."""
        from accountd.framing.frames import Frames  # which most connections never need

        rest, self._rest = bytes(self._rest), bytearray()
        self._frames = Frames(is_client=self._is_client)
        self.portion = self._frames.portion
        return self._frames.receive(rest, self.max_message) if rest else []

    def send(self, payload: bytes) -> bytes:
        """See Framing.send."""
        return render_text_frames(payload, masked=self._is_client) if self.is_open else b""

    def close(self) -> bytes:
        """See Framing.close."""
        if self._open and self._frames is None:
            self._hand_over()
        return self._frames.close() if self._frames is not None else b""

    @property
    def answers_pings(self) -> bool:
        """See Framing.answers_pings."""
        return True

    def ping(self) -> bytes:
        """See Framing.ping."""
        return render_ping(masked=self._is_client) if self.is_open else b""

    @property
    def is_open(self) -> bool:
        """See Framing.is_open."""
        return self._open if self._frames is None else self._frames.is_open


class WebSocketFraming(_WebSocket):
    """The server's side of one WebSocket. Whoever is no client of one is told so in HTTP, when it is closed."""

    _is_client = False
    _head_is = "request"
    _refusal = b""  # a connection that was never upgraded ends with it

    def open(self) -> bytes:
        """See Framing.open."""
        return b""

    def _take_head(self, head: bytes) -> bytes | Refused:
        return answer_upgrade(head)

    def _refuse(self, refused: Refused) -> Ended:
        self._refusal = refused.render()
        return super()._refuse(refused)

    def close(self) -> bytes:
        """See Framing.close."""
        refusal, self._refusal = self._refusal, b""
        return refusal or super().close()


class WebSocketClientFraming(_WebSocket):
    """The client's side of one WebSocket, which asks for `target`."""

    _is_client = True
    _head_is = "answer"

    def __init__(self, max_message: int = MAX_MESSAGE, *, target: bytes = b"/rpc") -> None:
        super().__init__(max_message)
        self._target = target
        self._key = b64encode(os.urandom(16))

    def open(self) -> bytes:
        """See Framing.open."""
        return render_upgrade(self._target, self._key)

    def _take_head(self, head: bytes) -> bytes | Refused:
        refusal = find_refusal(head, self._key)
        return b"" if refusal is None else Refused(refusal)
