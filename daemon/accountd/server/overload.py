"""What all clients together have the daemon do and keep: counted, and charged before it is done or kept.

Of the requests that may wait, and of the bytes that may be kept, a client may have as much as is left for the
others. So one alone gets half, eight get a ninth each, and however many have come before, there is something left:
nobody has to be found and robbed for it. One request of each client waits in any case. Switches share their memory
by this rule (Choudhury and Hahne, Dynamic Queue Length Thresholds, 1998).

Bytes that are kept are those of messages whose end has not come, of requests that wait, and of answers that have
not left. Of each, a client has SMALL for nothing, which all that is honest fits into; more is drawn from a pot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from accountd.errors import Overloaded

if TYPE_CHECKING:
    from accountd.config.limits import Limits

SMALL: Final = 8 << 10
"""Bytes of one kind that cost a client nothing: an answer has a few hundred, a set of tokens a few thousand."""

_WEIGHT: Final = 4
"""Bytes that a byte of a request may become: text is decoded to as many a character, if one of them needs it."""


class Load:
    """That of all clients. `requests` is how many wait for something, `spare` how many bytes are in the pot."""

    def __init__(self, limits: Limits) -> None:
        self.requests = 0
        self.spare = limits.kept_bytes
        self.limits = limits


class Share:
    """One client's part in the load. `most` is what it has had of the pot at once."""

    __slots__ = ("_drawn", "_load", "most")

    def __init__(self, load: Load) -> None:
        self._load = load
        self._drawn = 0
        self.most = 0

    def is_too_much(self, own: int, size: int) -> bool:
        """Say whether one more request of so many bytes may not wait, of a client that has `own` already."""
        limits = self._load.limits
        left = max(1, limits.requests - self._load.requests)
        return own >= min(limits.requests_per_connection, left) or (
            size > SMALL and not self.has_room(_WEIGHT * size)
        )

    def begin(self, size: int) -> None:
        """Charge a request that begins to wait. Small ones are bounded by their number."""
        self._load.requests += 1
        if size > SMALL:
            self.draw(_WEIGHT * size)

    def end(self, size: int) -> None:
        """Take back what `begin` has charged."""
        self._load.requests -= 1
        if size > SMALL:
            self.draw(-_WEIGHT * size)

    def close(self) -> None:
        """Give all of it back: the client is gone, and its requests have ended."""
        self.draw(-self._drawn)

    def has_room(self, size: int) -> bool:
        """Say whether so many bytes more are no more than what would then be left for the others."""
        return self._drawn + size <= self._load.spare - size

    def draw(self, size: int) -> None:
        """Take so many bytes more from the pot, or give them back."""
        self._drawn += size
        self._load.spare -= size
        self.most = max(self.most, self._drawn)


class Allowance:
    """The bytes of one kind that a client may have kept now: `size` of them."""

    __slots__ = ("_share", "size")

    def __init__(self, share: Share) -> None:
        self._share = share
        self.size = SMALL

    def grow(self, size: int) -> bool:
        """Have room for so many bytes in all; False, and all is as it was, if they cannot be had."""
        if not self._share.has_room(size - self.size):
            return False
        self.resize(size)
        return True

    def resize(self, size: int) -> None:
        """Have room for so many bytes in all, or for what costs nothing."""
        size = max(size, SMALL)
        self._share.draw(size - self.size)
        self.size = size


def overloaded() -> Overloaded:
    """Give the answer to whoever comes when all is taken, in Codex's words."""
    return Overloaded("Server overloaded; retry later.")
