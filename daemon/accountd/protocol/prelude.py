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
    if isinstance(answer, dict) and "accountd" in answer:
        return None
    error = answer.get("error") if isinstance(answer, dict) else None
    return error if isinstance(error, dict) else {"message": "the daemon is too old to know of several accounts"}
