"""What a line of the daemon's is, for the clients on the standard library alone. Pure."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Notification(NamedTuple):
    """What the daemon says unasked."""

    method: str
    params: dict[str, Any]


class NotTheProtocol(ValueError):
    """Nothing that comes after this can be trusted. The text says what it was, of the daemon."""


def parse_line(line: bytes | bytearray) -> Notification | dict[str, Any] | None:
    """Return a notification, an answer, or None for what is no client's on these. Raises NotTheProtocol."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise NotTheProtocol("sent something that is not JSON; is it an accountd?") from None
    match message:
        case {"method": str(method), **rest} if "id" not in rest:
            params = rest.get("params")
            return Notification(method, params if isinstance(params, dict) else {})
        case {"method": str()}:
            return None  # a request of the daemon's: only clients that gave it tokens of their own are asked
        case {"id": int(), "result": dict()} | {"id": int(), "error": {"code": int(), "message": str()}}:
            answer: dict[str, Any] = message
            return answer
        case {"id": None, "error": {"message": str(text)}}:
            raise NotTheProtocol(f"could not read what it was sent: {text}")
    raise NotTheProtocol("sent a message that is none of the protocol's; is it an accountd?")
