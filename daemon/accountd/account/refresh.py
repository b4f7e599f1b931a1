"""When an account's access token is refreshed: on request, when it is due, when it is refused, and ahead of time.

One refresh is under way at most, in the account's nursery: callers wait for its outcome and may leave, and it
goes on. How it is made is `rotation`, and what its bytes mean `oauth.refresh`.
"""

from __future__ import annotations

import logging
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

import trio

from accountd.errors import ClientFailed, LoginFailed, RefreshError, RefreshFailed, RefreshRefused
from accountd.system.clock import describe_skew
from accountd.unforeseen import INTERNAL_ERROR, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.account.credential import Credential
    from accountd.account.rotation import Rotation
    from accountd.account.store_watch import StoreWatch
    from accountd.oauth.refresh import Reason
    from accountd.storage.base import ChatgptLogin
    from accountd.system.clock import Clock

AHEAD: Final = 120.0
"""Seconds before a refresh is due in which it is made by itself; when exactly, chance decides, so that many
machines that logged in together do not ask together."""

PAUSE: Final = 30.0
"""Seconds after a refresh in which none is made on need, however short-lived the issuer's tokens are. Doubled with
each in a row whose token had expired when it came, up to LONGEST_RETRY: another one would be no better."""

FIRST_RETRY: Final = 30.0
LONGEST_RETRY: Final = 15 * 60.0
"""Seconds until the next try by itself, after a failure; doubled with each failure in a row."""

_MOVED: Final = "the account has been moved or removed meanwhile; ask again"

_log = logging.getLogger(__name__)


class _Flight:
    """One refresh: `landed` is set when it is over, and `error` tells how. It has failed until it has gone well.

    Its callers leave by `exit`, one after the other: a thousand may have waited, and all have something to do.
    """

    def __init__(self) -> None:
        self.landed = trio.Event()
        self.exit = trio.Lock()
        self.error: RefreshError | None = RefreshFailed(INTERNAL_ERROR)


class Refresher:
    """The refreshes of one account, in its nursery."""

    def __init__(
        self,
        nursery: trio.Nursery,
        credential: Credential,
        store_watch: StoreWatch,
        *,
        rotation: Rotation,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._nursery = nursery
        self._credential = credential
        self._store_watch = store_watch
        self._rotation = rotation
        self._clock = clock
        self._chance = chance
        self._flight: _Flight | None = None
        self._refreshed_at = float("-inf")
        self._pause = PAUSE
        self._next_time: float | None = None

    def is_due(self) -> bool:
        """Say whether a token should be refreshed before it is handed out."""
        now = self._clock.now()
        return self._credential.is_due(now) and not self.has_just_refreshed(now)

    def has_just_refreshed(self, now: float | None = None) -> bool:
        """Say whether a refresh was made so lately that another one would bring no better token."""
        return 0 <= (self._clock.now() if now is None else now) - self._refreshed_at < self._pause

    def is_as_good_as_it_gets(self) -> bool:
        """Say whether the access token was just issued, and lasts for longer than we can tell.

        Nobody outside has told the time, or it had expired by their own clock when it came: another would be alike.
        """
        left = self.seconds_left()
        unclear = left is not None and (left <= 0 or self._clock.ahead() is None)
        return unclear and self.has_just_refreshed()

    def describe_skew(self) -> str | None:
        """Say how wrong the machine's clock is; None if it is right, or nobody has told."""
        return describe_skew(self._clock.ahead())

    def seconds_left(self) -> float | None:
        """Give how long the access token is good for, negative if it is not; None if it does not say."""
        login = self._credential.login
        expiry = login.expires_at if login is not None else None
        return expiry - self._clock.now() if expiry is not None else None

    @property
    def next_time(self) -> float | None:
        """When a refresh will be made by itself, in Unix seconds; None if there is nothing to refresh."""
        return self._next_time if self._credential.upkeep_time is not None else None

    @property
    def is_under_way(self) -> bool:
        """Whether a refresh is, so that `refresh` would wait for its outcome and ask for no other."""
        return self._flight is not None

    async def refresh(self, reason: Reason) -> None:
        """Have the token refreshed, or wait for the refresh that is under way. Raises RefreshError.

        Cancelling this stops the waiting and nothing else.
        """
        if self._credential.is_retired:
            raise RefreshFailed(_MOVED)
        if self._flight is None:
            flight = _Flight()
            self._nursery.start_soon(self._fly, flight, reason)
            self._flight = flight
        flight = self._flight
        await flight.landed.wait()
        async with flight.exit:
            pass  # others have their turns meanwhile
        if flight.error is not None:
            # Raising changes an exception, and several may wait: each gets its own.
            raise type(flight.error)(str(flight.error))

    async def refresh_if_due(self, *, forced: bool = False) -> None:
        """Refresh if it is due, or asked for. A failure is not raised: the old token may still be good.

        A store that could not be read before is read first.
        """
        await self._store_watch.read_if_unread()
        if forced or self.is_due():
            with suppress(RefreshError):
                await self.refresh("forced" if forced else "proactive_expiry")

    async def may_ask_again(self, login: ChatgptLogin, refusals: int) -> bool:
        """Return True if a request that the backend has refused so many times, with a 401, is to be sent again.

        As in Codex, one refusal may pass, and costs no refresh; the second means the tokens, which are refreshed;
        the third is final. Of a client's own tokens, others are asked for at the first, and the second is final.
        """
        if self._credential.is_external:
            refusals += 1
        may_refresh = refusals == 2 and not self._credential.is_spared
        return refusals == 1 or (may_refresh and await self._refresh_refused(login))

    async def _refresh_refused(self, login: ChatgptLogin) -> bool:
        """Have other tokens than these. Return True if there are."""
        credential = self._credential
        external, record = credential.external, credential.current
        try:
            if external is not None and record is not None:
                await external.refresh(record)
                credential.adopt(credential.record)
            else:
                await self._rotation.refresh("unauthorized_recovery", instead_of=login)
        except (RefreshError, ClientFailed, LoginFailed) as error:
            _log.warning("tokens that the backend refuses were not refreshed: %s", error)
        return credential.login is not None and credential.login is not login

    async def save_again(self) -> None:
        """Have the store take what a refresh gave and it would not take, unless it has something else by now."""
        await self._rotation.save_again()

    async def _fly(self, flight: _Flight, reason: Reason) -> None:
        try:
            await self._rotation.refresh(reason)
            self._refreshed_at = self._clock.now()
            self._note_lifetime()
            flight.error = None
        except RefreshError as error:
            flight.error = error
            _log.warning("the access token was not refreshed: %s", error)
        except Exception as error:  # noqa: BLE001 - a bug fails its refresh, not the daemon
            flight.error = RefreshFailed(report(_log, "a refresh", error))
        except trio.Cancelled:
            if self._credential.is_retired:
                flight.error = RefreshFailed(_MOVED)
            raise
        finally:
            self._flight = None
            flight.landed.set()

    def _note_lifetime(self) -> None:
        left = self.seconds_left()
        if left is None or left > 0:
            self._pause = PAUSE
            return
        self._pause = min(2 * self._pause, LONGEST_RETRY)
        told = "the issuer does not say what time it is" if self._clock.ahead() is None else "by the issuer's clock"
        _log.warning("the access token had expired %.0f s before it came: %s; it is used", -left, told)

    async def refresh_ahead(self) -> NoReturn:
        """Refresh ahead of time, for ever: one wake-up for the next time that it is due, and none besides."""
        retry = FIRST_RETRY
        while True:
            changed = self._credential.changed
            due = self._credential.upkeep_time
            again = self._clock.now() + FIRST_RETRY
            if self._credential.is_unsaved and (due is None or again < due):
                await self._sleep_until(again, changed)
                await self.save_again()
                continue
            self._next_time = None
            if due is None:
                await changed.wait()
                continue
            ahead = AHEAD * self._chance()
            paused = self._refreshed_at + self._pause if self._refreshed_at <= self._clock.now() else due
            self._next_time = max(due - ahead, paused)  # the clock may have been set back since that refresh
            if not await self._sleep_until(self._next_time, changed) or self._credential.upkeep_time is None:
                continue  # another credential, or another time of day
            try:
                await self.refresh("proactive_expiry")
                retry = FIRST_RETRY
            except RefreshRefused:
                await changed.wait()
            except RefreshError:
                self._next_time = self._clock.now() + retry * (1 + self._chance()) / 2
                await self._sleep_until(self._next_time, changed)
                retry = min(retry * 2, LONGEST_RETRY)

    async def _sleep_until(self, moment: float, changed: trio.Event) -> bool:
        """Sleep until a time of day, or until the account changes. Say whether it is that time."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_when, changed, nursery.cancel_scope)
            await self._clock.sleep_until(moment)
            nursery.cancel_scope.cancel()
        return not changed.is_set() and self._clock.now() >= moment


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
