"""What guests may do: those who come by the token socket, from containers, and may have the token alone.

They are not trusted with what the daemon lives of. Each is read at a pace; all of them together, since one can
come as often as it likes, share the tokens that are handed out, and what they can have the issuer and the backend
asked for. Each refresh spends the refresh token, so that none is forced by a guest whose token is an older one than
the present, which is all that it needs.

Which token a guest has is known by what it was handed on its connection. One that comes anew and asks for nothing
but a refresh may have kept what was handed out before, so that it is taken to have what guests were handed last.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import trio

from accountd.errors import Overloaded
from accountd.server.token_bucket import TokenBucket

if TYPE_CHECKING:
    from accountd.config.limits import Limits
    from accountd.counters import GuestCounters
    from accountd.secret import Secret

REFRESH_INTERVAL: Final = 10.0
"""Seconds between two refreshes that are made for guests, all of them together. A token lasts for hours; a service
that refuses one before its time is rare, and one refresh is for all guests. When one that is due fails, it is
tried again no sooner."""

LOOK_UPS_PER_SECOND: Final = 1
LOOK_UPS_AT_ONCE: Final = 64
"""Questions to the backend that guests have asked, in which workspace the account is. The answer is known from then
on; while there is none, all that ask have the backend asked."""

MESSAGES_PER_SECOND: Final = 16
MESSAGES_AT_ONCE: Final = 32
"""Messages that are read of one guest. One asks about once a second. At this pace as many guests as there may be
take some hundredths of the daemon's time."""

MESSAGE_UNIT: Final = 1024
"""Bytes that count as a message, when they are none; so bytes without an end gain nobody anything."""

RECEIVE_SIZE: Final = 128
"""Bytes taken of a guest at once. It is little, since what they hold is answered before anybody else's turn."""

ARRIVALS_PER_SECOND: Final = 64
ARRIVALS_AT_ONCE: Final = 64
"""Guests that are let in; scripts connect anew each time. The others wait in the queue of the socket."""

_BURST: Final = 10.0
"""Seconds' worth of tokens that may be handed out at once: all containers may ask at the full minute."""


class Guests:
    """All guests together."""

    def __init__(self, limits: Limits, counters: GuestCounters) -> None:
        now = trio.current_time()
        per_second = limits.guest_tokens_per_minute / 60
        self.counters = counters
        self.tokens = TokenBucket(per_second, per_second * _BURST, now)
        self.refreshes = TokenBucket(1 / REFRESH_INTERVAL, 1, now)
        self.look_ups = TokenBucket(LOOK_UPS_PER_SECOND, LOOK_UPS_AT_ONCE, now)
        self.arrivals = TokenBucket(ARRIVALS_PER_SECOND, ARRIVALS_AT_ONCE, now)
        self.handed_out: int | None = None


class Turnstile(trio.abc.Listener[trio.SocketStream]):
    """A listener that lets guests in at their pace; so that no coming and going takes the time of the others."""

    def __init__(self, listener: trio.SocketListener, guests: Guests) -> None:
        self._listener = listener
        self._arrivals = guests.arrivals

    async def accept(self) -> trio.SocketStream:
        """Wait until the next may come in, and for it."""
        if delay := self._arrivals.wait(trio.current_time()):
            await trio.sleep(delay)
        stream = await self._listener.accept()
        self._arrivals.owe(1, trio.current_time())
        return stream

    async def aclose(self) -> None:
        """Close the listener."""
        await self._listener.aclose()


class Guest:
    """One guest, which is one connection."""

    def __init__(self, guests: Guests) -> None:
        self._guests = guests
        self._messages = TokenBucket(MESSAGES_PER_SECOND, MESSAGES_AT_ONCE, trio.current_time())
        self._handed_out: int | None = None

    def note_messages(self, number: int, size: int) -> None:
        """Count what was read of it, for `wait_turn`."""
        self._messages.owe(max(number, size / MESSAGE_UNIT), trio.current_time())

    async def wait_turn(self) -> None:
        """Wait until more may be read of it."""
        if delay := self._messages.wait(trio.current_time()):
            await trio.sleep(delay)

    def ask_token(self) -> None:
        """Ask whether it may be handed a token now. Raises Overloaded, which says when it may."""
        now, tokens = trio.current_time(), self._guests.tokens
        if not tokens.take(now):
            self._guests.counters.tokens_refused += 1
            raise _too_many("tokens were", tokens.wait(now))

    def ask_look_up(self) -> None:
        """Ask whether the backend may be asked for it now. Raises Overloaded."""
        now, look_ups = trio.current_time(), self._guests.look_ups
        if not look_ups.take(now):
            raise _too_many("accounts were", look_ups.wait(now))

    def note_token(self, token: Secret | None) -> None:
        """Remember what it was handed, by a hash of it: the text is not kept any longer for that."""
        self._guests.counters.tokens_handed_out += 1
        self._handed_out = self._guests.handed_out = hash(token)

    def may_refresh(self, present: Secret | None, *, is_due: bool) -> bool:
        """Say whether a refresh is to be made for it, because one is due, or because it asks for one.

        `present` is the token that there is now.
        """
        known = self._guests.handed_out if self._handed_out is None else self._handed_out
        is_older = known is not None and known != hash(present)
        granted = (is_due or not is_older) and self._guests.refreshes.take(trio.current_time())
        if granted:
            self._guests.counters.refreshes_made += 1
        else:
            self._guests.counters.refreshes_withheld += 1
        return granted


def _too_many(what: str, seconds: float) -> Overloaded:
    return Overloaded(f"too many {what} asked for on this socket; ask again in {math.ceil(seconds)} s")
