"""How long one client may say nothing: before it has initialized itself, and before it is asked if it is there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accountd.config.limits import Limits


class Keepalive:
    """One client's. `deadline` is when something has to be done if nothing comes until then; mostly never."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.deadline = now + limits.handshake_seconds
        self._limits = limits
        self._initialized = False
        self._pinged = False

    def hear(self, now: float, *, answers_pings: bool) -> None:
        """Note that the client has said something, and is initialized; before that, nothing gains it time."""
        self._initialized = True
        self._pinged = False
        silence = self._limits.ping_seconds if answers_pings else 0
        self.deadline = now + silence if silence else math.inf

    def run_out(self, now: float) -> str | None:
        """Act on the deadline: give a complaint to end with, or None if the client is to be pinged."""
        if not self._initialized:
            return f"not initialized within {self._limits.handshake_seconds} seconds"
        if self._pinged:
            return f"no answer to a ping within {self._limits.pong_seconds} seconds"
        self._pinged = True
        self.deadline = now + self._limits.pong_seconds
        return None
