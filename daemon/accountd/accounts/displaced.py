"""What other programs have displaced: an account that was in auth.json, and is not there any more.

What they have stored there is the active account from then on. What was in its place is known here alone by then,
and goes into the vault, in doubt: whoever has displaced it may have it somewhere and use it. Another daemon of this
home displaces as well, and has put it away itself, or brings it back at once; so what was displaced is looked for
with all locks held, before anything is stored or removed.

What they have removed is revoked, since `codex logout` and `codex login` revoke first: no token of it is kept. But
both revoke what they have read, and remove what is there a request later. If a switch has come in between, that is
not the same: so what is removed soon after a move is kept, in doubt.
"""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

import trio

from accountd.accounts.account_list import doubt, sign_out
from accountd.errors import MalformedRecord, StorageError
from accountd.hub import Audience
from accountd.storage.leftovers import refreshed_at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from accountd.accounts.account_list import AccountList, Entry
    from accountd.accounts.accounts import Accounts
    from accountd.storage.base import AuthRecord

A_REQUEST: Final = 60.0
"""Seconds after a move in which a removal may be meant for what was there before: as long as a revocation takes."""

_RETRY: Final = 30.0
"""Seconds until the next try, where the disk does not take what was displaced."""

_AT_THE_END: Final = 2.0
"""Seconds for which the end of the daemon waits for other programs, to put away what they have displaced."""

_log = logging.getLogger(__name__)


class Displaced:
    """What is to be put away, in the order in which it was displaced."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._moved_at = float("-inf")
        self._waiting: deque[Callable[[], Awaitable[None]]] = deque()
        self._wanted = trio.Event()

    @property
    def active_id(self) -> str | None:
        """The id of the active account."""
        return self._accounts.active_id

    def name(self, account_id: str | None) -> str | None:
        """Return the id of an account; None while it is the only one, so that it need not be told apart."""
        return account_id if len(self._accounts.known.entries) > 1 else None

    def note_switched(self) -> None:
        """Take note that auth.json has another account by our own doing."""
        self._moved_at = self._accounts.clock.now()

    def note_displaced(self, stored: AuthRecord | None) -> Audience:
        """Take note of what another program has put in the place of the active account; say whom that concerns."""
        accounts = self._accounts
        was, active = accounts.active_id, accounts.active.credential
        record = active.record
        accounts.set_active(accounts.adopt_owner(stored))
        if was is None or was == accounts.active_id:
            return active.audience
        active.is_doubtful = False
        if stored is None and not 0 <= accounts.clock.now() - self._moved_at < A_REQUEST:
            record = None
        self._settle_later(partial(self._settle, was, record, accounts.active_id))
        return Audience(was if stored is None else None, followers=True)

    def note_moved(self, account_id: str | None, record: AuthRecord) -> None:
        """Take note that an account's login is in another workspace now: it is still the same entry."""
        accounts = self._accounts
        entry, was = accounts.known.get(account_id), accounts.get(account_id).credential.record
        if entry is None or account_id is None:
            return
        was_implied = accounts.known.is_implied(was)
        accounts.roster.list = accounts.known.with_entry(entry.seen_in(record))
        if not was_implied:
            self._settle_later(partial(self._settle_move, account_id, record))

    def note_refreshed(self, account_id: str | None) -> None:
        """Take note that an account's tokens are good: whoever else may have had them has not spent them."""
        credential = self._accounts.get(account_id).credential
        if credential.is_doubtful and account_id is not None:
            credential.is_doubtful = False
            self._settle_later(partial(self._settle_doubt, account_id))

    def _settle_later(self, work: Callable[[], Awaitable[None]]) -> None:
        self._waiting.append(work)
        self._wanted.set()

    async def settle(self) -> NoReturn:
        """Put away what is displaced, for ever: for the supervisor."""
        while True:
            await self._wanted.wait()
            try:
                async with self._accounts.moving:
                    await self.settle_now()
            except StorageError as error:
                _log.warning("an account that another program has displaced is in memory alone: %s", error)
                await trio.sleep(_RETRY)
            else:
                self._wanted = trio.Event()

    async def settle_now(self) -> None:
        """Put away what has been displaced by now. Raises StorageError, and what is left is tried again.

        Call it with `moving` held.
        """
        while self._waiting:
            await self._waiting[0]()
            self._waiting.popleft()

    async def settle_at_the_end(self) -> None:
        """Put away what is displaced, before the memory that has it ends."""
        with trio.CancelScope(deadline=trio.current_time() + _AT_THE_END, shield=True):
            try:
                async with self._accounts.moving:
                    await self.settle_now()
            except StorageError as error:
                _log.error("an account that another program has displaced is lost: %s", error)

    async def _settle_move(self, account_id: str, record: AuthRecord) -> None:
        accounts, now = self._accounts, self._accounts.clock.now()
        await accounts.update(lambda known: known.with_record(record, now, account_id)[0])
        accounts.tell("switched", account_id)

    async def _settle_doubt(self, account_id: str) -> None:
        await self._accounts.update(partial(doubt, account_id=account_id, doubtful=False))
        self._accounts.tell("healed", account_id)

    async def _settle(self, account_id: str, record: AuthRecord | None, by: str | None) -> None:
        """Keep what was known of an account that another program has displaced, by one that may be in the vault."""
        accounts = self._accounts
        entry = accounts.known.get(account_id)
        if by is not None and by in accounts.roster:
            await accounts.drop_copy(by)
        if account_id == accounts.active_id:  # it is there again
            return
        if record is not None:
            await self._put_away(account_id, record, entry)
        else:
            await accounts.update(partial(sign_out, account_id=account_id))
        accounts.audit.note("account.switched", **{"from": account_id, "to": by, "by": "foreign"})
        accounts.tell("foreign", account_id)

    async def _put_away(self, account_id: str, record: AuthRecord, entry: Entry | None) -> None:
        """Keep what was known of an account, unless another daemon of this home has moved it already."""
        accounts, now = self._accounts, self._accounts.clock.now()
        store = accounts.roster.store(account_id)

        def with_displaced(known: AccountList) -> AccountList:
            if known.get(account_id) is None and entry is not None:
                known = known.with_entry(entry)
            return doubt(known.with_record(record, now)[0], account_id, doubtful=True)

        async with accounts.still({account_id}):
            if accounts.owner_id(await accounts.read_active()) == account_id:
                return
            try:
                stored = await store.load()
            except MalformedRecord:  # the store keeps it aside
                stored = None
            if stored is None or refreshed_at(record) > refreshed_at(stored):
                await accounts.update(with_displaced)
                await store.save(record)
        if (known := accounts.known.get(account_id)) is not None:
            await accounts.roster.open(known)


class KeeperOfActive:
    """The active account's Keeper."""

    def __init__(self, displaced: Displaced) -> None:
        self._displaced = displaced

    @property
    def known_as(self) -> str | None:
        """See Keeper.known_as."""
        return self._displaced.name(self._displaced.active_id)

    def find_audience(self, stored: AuthRecord | None) -> Audience:
        """See Keeper.find_audience."""
        return self._displaced.note_displaced(stored)

    def note_moved(self, record: AuthRecord) -> None:
        """See Keeper.note_moved."""
        self._displaced.note_moved(self._displaced.active_id, record)

    def note_refreshed(self) -> None:
        """See Keeper.note_refreshed."""
        self._displaced.note_refreshed(self._displaced.active_id)


class KeeperOfStored:
    """The Keeper of another account, whose record nobody writes but daemons of this home."""

    def __init__(self, displaced: Displaced, account_id: str) -> None:
        self._displaced = displaced
        self._account_id = account_id

    @property
    def known_as(self) -> str | None:
        """See Keeper.known_as."""
        return self._displaced.name(self._account_id)

    def find_audience(self, stored: AuthRecord | None) -> Audience:
        """See Keeper.find_audience. There is none but those who mean it."""
        del stored
        return Audience(self._account_id)

    def note_moved(self, record: AuthRecord) -> None:
        """See Keeper.note_moved."""
        self._displaced.note_moved(self._account_id, record)

    def note_refreshed(self) -> None:
        """See Keeper.note_refreshed."""
        self._displaced.note_refreshed(self._account_id)
