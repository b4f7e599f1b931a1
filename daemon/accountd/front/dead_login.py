"""A login that the issuer has refused for good, as a turn tells of it: in Codex's own words, and at once.

An agent whose tokens come from us tries for 13 seconds to get others, and then says that a request of its own has
failed. So at the first such try the turn is interrupted, and what is told of its end is what Codex tells of a login
of its own that is dead. What would be sent to the model afterwards is refused with the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from accountd.front.child import Child
    from accountd.front.feed import Feed
    from accountd.rpc.peek import Envelope

_SYMPTOM: Final = b"auth refresh request failed: code="
"""What the agent says when it was given no other token."""


class DeadLogin:
    """What one client has been told of turns that ended so."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._ended: dict[str, str] = {}  # turns that are interrupted, and the words for it

    def retell(self, child: Child, said: Envelope, payload: bytes) -> bytes:
        """Give what a client is told in place of what the agent has said; mostly that, as it came."""
        if said.method == "error" and _SYMPTOM in payload and self._feed.refusal is not None:
            return self._end(child, payload, self._feed.refusal)
        if said.method == "turn/completed" and self._ended:
            return self._complete(payload)
        return payload

    def _end(self, child: Child, payload: bytes, words: str) -> bytes:
        message = msgspec.json.decode(payload, type=dict[str, Any])
        params = message["params"]
        turn = params["turnId"]
        if turn not in self._ended:
            self._ended[turn] = words
            self._feed.interrupt(child, params["threadId"], turn)
        params |= {"error": _render_error(params["error"], words), "willRetry": False}
        return msgspec.json.encode(message)

    def _complete(self, payload: bytes) -> bytes:
        message = msgspec.json.decode(payload, type=dict[str, Any])
        turn = message["params"]["turn"]
        words = self._ended.pop(turn["id"], None)
        if words is None:
            return payload
        turn |= {"status": "failed", "error": _render_error(turn["error"] or {}, words)}
        return msgspec.json.encode(message)


def _render_error(error: dict[str, Any], words: str) -> dict[str, Any]:
    return {
        "misalignment": None,
        **error,
        "message": words,
        "codexErrorInfo": "unauthorized",
        "additionalDetails": None,
    }
