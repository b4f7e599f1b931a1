"""What a message is, and whose: read off its top level, whatever it says and however long it is.

A relay sends bytes on as they came, and has to know the method and the id of them alone. To skip the rest costs a
nanosecond for some bytes of it, where to decode it would cost a hundred times that, and make another text of it.
So the members that say something are views of the bytes, which nobody has looked into. Of a member that comes twice
the last one counts, as for whoever decodes the message.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from accountd.foreign_json import UNDECODABLE
from accountd.protocol.jsonrpc import RequestId


class Envelope(msgspec.Struct, frozen=True):
    """A message that has not been opened. Its raw members are JSON text, as it came."""

    method: str | UnsetType = UNSET
    id: RequestId | UnsetType | None = UNSET
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET

    @property
    def kind(self) -> Literal["request", "notification", "response"]:
        """Return its kind. A complaint about what could not be read is a response with a null id."""
        if self.method is UNSET:
            return "response"
        return "notification" if self.id is UNSET else "request"


_decoder: Final = msgspec.json.Decoder(Envelope)


def peek(payload: bytes) -> Envelope | None:
    """Read what a message is, exactly as `parse_message` does; None for what is none. Never raises."""
    try:
        if not payload.isascii():  # which is seen in a tenth of the time
            payload.decode()
        envelope = _decoder.decode(payload)
    except UNDECODABLE:
        return None
    if envelope.method is UNSET:
        return envelope if envelope.result is not UNSET or envelope.error is not UNSET else None
    return envelope if envelope.id is not None else None
