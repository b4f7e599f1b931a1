"""What a bridge says before its client does: which account the connection means.

A client that knows nothing of several accounts is so bound to one: a line before its first byte, whatever framing
it speaks, which is answered with a line before anything else is. It needs no capability, and whoever declares the
accountd extension may still select another account. On a socket for one account it is refused.

    → {"accountd":{"account":"work"}}
    ← {"accountd":{"selectedId":"k3q7ab"}}    or    ← {"error":{"code":-32600,"message":"…","data":{…}}}
"""

from __future__ import annotations

import json
from typing import Any, Final

BEGINNING: Final = b'{"accountd":'
"""By which the line is known: no message of the protocol begins so."""


def render_prelude(account: str) -> bytes:
    """Write the line."""
    return json.dumps({"accountd": {"account": account}}, separators=(",", ":")).encode() + b"\n"


def read_refusal(line: bytes) -> dict[str, Any] | None:
    """Return the error in an answer; None for one that says that it is done. An old server says neither."""
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    match answer:
        case {"accountd": _}:
            return None
        case {"error": {"code": int(), "message": str(), "data": {"accountd": _}} as error}:
            refusal: dict[str, Any] = error
            return refusal
    return {"code": -32600, "message": "the daemon is of an older version, which knows one account alone"}
