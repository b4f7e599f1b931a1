"""What all connections use together, counted where it is used: what one has, another cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.errors import Overloaded

if TYPE_CHECKING:
    from accountd.limits import Limits


class Load:
    """The requests of all clients that wait for something."""

    def __init__(self, limits: Limits) -> None:
        self.requests = 0
        self._limits = limits

    def is_too_much(self, own: int) -> bool:
        """Say whether a client that has so many of them may not have one more."""
        return own >= self._limits.requests_per_connection or self.requests >= self._limits.requests


def overloaded() -> Overloaded:
    """Give the answer to whoever comes when all is taken, in Codex's words."""
    return Overloaded("Server overloaded; retry later.")
