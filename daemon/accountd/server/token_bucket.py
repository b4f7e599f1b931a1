"""A token bucket: how often something may be done, in bursts and in the long run. It keeps no time by itself."""

from __future__ import annotations


class TokenBucket:
    """Holds what may be done at once, `burst`, is full at first, and fills by `per_second`. `now` is in seconds."""

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left = float(burst)
        self._at = now

    def take(self, now: float) -> bool:
        """Take one, and say whether there was one to take."""
        if self.wait(now):
            return False
        self._left -= 1
        return True

    def owe(self, amount: float, now: float) -> None:
        """Take what has been used already; what is not there has to come in before anything is."""
        self._fill(now)
        self._left -= amount

    def wait(self, now: float) -> float:
        """Give the seconds until there is one to take."""
        self._fill(now)
        return max(0.0, (1 - self._left) / self._per_second)

    def _fill(self, now: float) -> None:
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
