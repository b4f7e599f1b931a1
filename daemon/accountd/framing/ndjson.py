"""Newline-delimited JSON: one object a line, as Codex speaks it over stdio."""

from __future__ import annotations

from accountd.framing.base import MAX_MESSAGE, PORTION, Ended, Event, Message, too_large


class NdjsonFraming:
    """Lines end with LF, CR before it is ignored, and blank lines are skipped. A last line needs no LF."""

    portion = PORTION

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self.max_message = max_message
        self._partial = bytearray()
        self._ended = False

    def open(self) -> bytes:
        """See Framing.open."""
        return b""

    @property
    def is_open(self) -> bool:
        """See Framing.is_open."""
        return True

    def receive(self, data: bytes) -> list[Event]:
        """See Framing.receive. A line over the limit ends the connection, whether or not its end has come."""
        if self._ended:
            return []
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = bytes(self._partial) + lines[0]
            self._partial.clear()
        self._partial += rest
        if not data:
            lines.append(bytes(self._partial))
        events: list[Event] = []
        for line in lines:
            if len(line) > self.max_message:
                return [*events, self._end(too_large(self.max_message))]
            if stripped := line.strip():
                events.append(Message(stripped))
        if len(self._partial) > self.max_message:
            events.append(self._end(too_large(self.max_message)))
        elif not data:
            events.append(self._end())
        return events

    @property
    def held(self) -> int:
        """See Framing.held."""
        return len(self._partial)

    def _end(self, complaint: str | None = None) -> Ended:
        self._ended = True
        self._partial.clear()
        return Ended(complaint=complaint)

    def send(self, payload: bytes) -> bytes:
        """See Framing.send. JSON has newlines between its tokens alone, where a space is as good."""
        return payload.replace(b"\n", b" ") + b"\n"

    def close(self) -> bytes:
        """See Framing.close."""
        return b""

    @property
    def answers_pings(self) -> bool:
        """See Framing.answers_pings."""
        return False

    def ping(self) -> bytes:
        """See Framing.ping. There is no line that every client answers."""
        return b""
