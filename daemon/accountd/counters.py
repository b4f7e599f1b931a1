"""What the daemon has done since it started, counted where it happens. It is begun anew with each start.

Numbers and times alone: no name, no address and no secret is ever here.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.errors import RefreshError

LoginKind = Literal["apiKey", "chatgpt", "chatgptDeviceCode", "chatgptAuthTokens"]
"""How one logs in: with a key, with a browser, with a code, with a client's own tokens."""

RefreshOutcome = Literal["done", "failed", "adopted"]
"""`adopted` is done by another program, whose tokens were taken over."""


class LastRefresh(msgspec.Struct, frozen=True):
    """How the last refresh of a login ended, at which Unix time; `error` says why it failed, `failure` how."""

    outcome: RefreshOutcome
    at: float
    error: str = ""
    failure: type[RefreshError] | None = None


class GuestCounters:
    """Of those who come by the token socket. Counts go up alone, but for `connections`, which are open now."""

    def __init__(self) -> None:
        self.connections = 0
        self.connections_refused = 0
        self.tokens_handed_out = 0
        self.tokens_refused = 0
        """Those that were too many."""
        self.refreshes_made = 0
        self.refreshes_withheld = 0
        """Those that were asked for when the present token was another one; or when there had just been one."""


class Counters:
    """Counts go up alone, but for `connections`, which are open now. `now` tells Unix time."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._started = time.monotonic()  # which goes on evenly when the clock is set
        self.started_at = now()
        self.connections = 0
        self.connections_accepted = 0
        self.connections_refused = 0
        self.clients_cut = 0
        self.requests_answered = 0
        self.requests_refused = Counter[int]()
        self.logins_started = Counter[LoginKind]()
        self.logins_completed = Counter[LoginKind]()
        self.logins_failed = Counter[LoginKind]()
        self.logins_cancelled = Counter[LoginKind]()
        self.refreshes = Counter[RefreshOutcome]()
        self.tokens_handed_out = 0
        self.notifications_sent = 0
        self.guests = GuestCounters()

    def uptime(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started

    def note_refresh(self, outcome: RefreshOutcome, error: RefreshError | None = None) -> LastRefresh:
        """Count a refresh, and say how it ended. The words of an error are for a person, and name no token."""
        self.refreshes[outcome] += 1
        return LastRefresh(outcome, self._now(), str(error or ""), type(error) if error is not None else None)
