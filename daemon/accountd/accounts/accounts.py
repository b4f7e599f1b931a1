"""A person's accounts, and what moves a login from where to where.

**A refresh token is in one file.** That of the active account is in `auth.json`, which stock clients share; that of
each other account in a record of the vault. So nothing old can come back: whoever copied a login, to put the copy
back later, has sent a refresh token for the second time, and the issuer has ended the login.

**The rename of auth.json is the commit.** All that leads to it can be undone, and what follows can be found out:

    1  the list has both accounts
    2  the record that leaves is in the vault, on the disk
    3  the record that comes is renamed over auth.json          ← from here on it is so
    4  the record that has come is removed from the vault
    5  known, announced, answered

Killed after 2 or 3, the next daemon finds one login in both places, with the same bytes: auth.json wins, and the
other is removed. There is no journal.

**Locks** are taken in one order, so that nobody waits in a circle: one move at a time; what refreshes either
account here; the records of both, by the order of their ids; the credential locks, which Codex knows as well; and
last, for a moment, the list. A refresh of either, here or in another daemon, is waited for by that.

**Login adds, switch moves, logout ends one.** A login is the active account from then on, and who was it goes into
the vault; the same account again takes the place of its older login. After a logout nobody is active: no other
account takes the place of the one that somebody wanted to be gone.

**Others write auth.json too.** If they have stored another account there, what was known of the one before goes
into the vault, as doubtful: they may have it somewhere and use it. If they have removed it, they have revoked it
first, as `codex logout` does: it stays in the list, without tokens, so that its name and its folders are there
again with the next login.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec
import trio

from accountd.account.credential import find_objection
from accountd.account.external import EXTERNAL_IS_ACTIVE
from accountd.accounts.account_list import make_entry
from accountd.accounts.identity import identify, is_same_login
from accountd.accounts.roster import Roster
from accountd.errors import (
    InvalidRequest,
    KeyringError,
    LoginFailed,
    MalformedRecord,
    RefreshError,
    StorageError,
)
from accountd.hub import Audience
from accountd.protocol.accounts import AccountsChanged
from accountd.supervisor import supervise

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from accountd.account.account import Account, Shared
    from accountd.accounts.account_list import AccountList, Entry
    from accountd.protocol.accounts import Change
    from accountd.storage.base import AuthRecord
    from accountd.storage.vault import Vault

SOON: Final = 600.0
"""Seconds: tokens that are due within them are refreshed before their account leaves auth.json, so that no program
that has read it there does so afterwards."""

_CHANGED: Final = "the accounts have changed"

_log = logging.getLogger(__name__)


class Accounts:
    """The collection. `active` is the account in auth.json, and `active_id` its id, None where nobody is."""

    def __init__(self, active: Account, vault: Vault, shared: Shared, nursery: trio.Nursery) -> None:
        self.active = active
        self.active_id: str | None = None
        self.roster = Roster(vault, shared, nursery, self._prepare)
        self._policy = shared.policy
        self._clock = shared.clock
        self._audit = shared.audit
        self._hub = shared.hub
        self._moving = trio.Lock()
        self._is_implied = True
        self._to_settle: deque[Callable[[], Awaitable[None]]] = deque()
        self._wanted = trio.Event()
        active.credential.keeper = _KeeperOfActive(self)

    def __iter__(self) -> Iterator[Account]:
        yield self.active
        yield from self.roster

    def get(self, account_id: str | None) -> Account:
        """Return an account: for None the active one, and for one that is gone one in which nobody is logged in."""
        if account_id is None or account_id == self.active_id:
            return self.active
        return self.roster.get(account_id) or self.roster.nobody

    @property
    def known(self) -> AccountList:
        """The list, as it is known: in the order in which they came."""
        return self.roster.list

    def _prepare(self, entry: Entry, account: Account) -> None:
        """Set up an account of the vault before it begins."""
        account.credential.keeper = _KeeperOfStored(self, entry.id)
        account.credential.requires_openai_auth = self.active.credential.requires_openai_auth

    # What is there

    async def load(self) -> None:
        """Find out which accounts there are, and mend what a crash has left. For the start: nothing is raised."""
        record = self.active.credential.record
        try:
            await self.roster.recover()
            await self._adopt_orphans(record)
        except StorageError as error:
            _log.warning("the other accounts are not known: %s", error)
        self._set_active(self._find_owner(record))
        for entry in self.known.entries:
            if entry.id == self.active_id:
                await self._remove_copy(entry.id)
            elif not entry.signed_out:
                await self._open_or_sign_out(entry)
        self._is_implied = self.known.is_implied()

    def _find_owner(self, record: AuthRecord | None, account_id: str | None = None) -> Entry | None:
        """Return the entry of what is in auth.json, and have the list know it."""
        if record is None:
            return None
        self.roster.list, entry = self.known.with_record(record, self._clock.now(), account_id)
        return entry

    def _find_id(self, record: AuthRecord | None) -> str | None:
        """Return the id by which an account is known here, whatever the disk has."""
        entry = self.known.find_owner(record) if record is not None else None
        return entry.id if entry is not None else None

    async def _adopt_orphans(self, active: AuthRecord | None) -> None:
        """Have records in the list that are not there: it may have been lost."""
        for account_id in self.roster.find_records():
            if self.known.get(account_id) is not None:
                continue
            store = self.roster.store(account_id)
            record = await store.load()
            identity = identify(record)
            if record is None or identity is None or (active is not None and is_same_login(record, active)):
                continue
            entry = make_entry(account_id, identity, record, self._clock.now())
            await self.roster.update(methodcaller("with_entry", entry))

    async def _remove_copy(self, account_id: str) -> None:
        """Remove a record of the account that is in auth.json: a crash has left it, and auth.json wins."""
        store = self.roster.store(account_id)
        try:
            if await store.load() is not None:
                async with store.locked():
                    await store.delete()
        except StorageError as error:
            _log.warning("what a crash may have left of account %s is still there: %s", account_id, error)

    async def _open_or_sign_out(self, entry: Entry) -> None:
        """Open an account of the vault; one whose record is nowhere has been logged out by somebody."""
        account = await self.roster.open(entry)
        if account.credential.record is None and account.credential.objection is None:
            await self.roster.close(entry.id)
            await self._update_leniently(lambda accounts: _signed_out(accounts, entry.id))

    async def reread(self) -> None:
        """Have the list as another daemon of this home may have written it. Raises StorageError."""
        async with self._moving:
            await self._reread()

    async def _reread(self) -> None:
        record = self.active.credential.record
        account_id = self._find_id(record)
        self.roster.list = await self.roster.read()
        self._set_active(self._find_owner(record, account_id))
        for entry in self.known.entries:
            if entry.id != self.active_id and not entry.signed_out and entry.id not in self.roster:
                await self._open_or_sign_out(entry)

    async def update(self, change: Callable[[AccountList], AccountList]) -> None:
        """Change the list, which knows the active account in any case. Raises StorageError, and what it raises."""
        record = self.active.credential.record
        account_id = self._find_id(record)

        def with_active(accounts: AccountList) -> AccountList:
            if record is not None:
                accounts, _ = accounts.with_record(record, self._clock.now(), account_id)
            return change(accounts)

        await self.roster.update(with_active)

    async def _update_leniently(self, change: Callable[[AccountList], AccountList]) -> None:
        """Change the list, where what it is about has happened already, so that a failure cannot undo it."""
        try:
            await self.update(change)
        except StorageError as error:
            _log.warning("the list of accounts is behind: %s", error)
            self.roster.list = change(self.known)

    def tell(self, reason: Change, account_id: str | None) -> None:
        """Tell those who follow the list that it is another one. No name is told, and nothing of one account."""
        was_implied, self._is_implied = self._is_implied, self.known.is_implied()
        if was_implied and self._is_implied:
            return
        self._hub.publish(AccountsChanged(self.known.revision, self.active_id, account_id, reason))

    # Moves

    async def log_in(
        self, record: AuthRecord, announce: Callable[[], None], *, alias: str | None = None, activate: bool = True
    ) -> None:
        """Make what a login has brought the active account, or with `activate` false one of the others.

        Stored, known, announced; all of it, or nothing and StorageError. Raises LoginFailed while a client's own
        tokens are in use, which may have come while this one waited; InvalidRequest for an alias that is taken.
        Shielded: once begun it is seen through, and the stores bound their wait for other programs.
        `announce` is called when it is done, right before `account/updated`.
        """
        with trio.CancelScope(shield=True):
            async with self._moving:
                if activate:
                    await self._put_in_use(record, announce, alias=alias)
                else:
                    await self._put_beside(record, announce, alias=alias)

    async def switch(self, account_id: str, announce: Callable[[], None]) -> None:
        """Make another account the active one, for everybody who means none by name.

        Raises InvalidRequest where it cannot be, and StorageError; then nothing has happened. Both accounts are
        refreshed first, outside the locks, if they are due. Cancellable until the locks are had.
        """
        entry = self.known.get(account_id)
        if entry is None:
            raise InvalidRequest(_CHANGED)
        if account_id == self.active_id:
            announce()
            return
        self._require_usable(entry)
        await self._refresh_before(self.get(account_id), 0.0)
        await self._refresh_before(self.active, SOON)
        async with self._moving:
            if account_id == self.active_id:  # somebody was faster
                announce()
                return
            await self._put_in_use(None, announce, coming=account_id)

    def _require_usable(self, entry: Entry) -> None:
        """Raise InvalidRequest, or WorkspaceForbidden, for an account that nobody could use if it were active."""
        account = self.roster.get(entry.id)
        record = account.credential.record if account is not None else None
        if account is None or record is None or account.credential.refusal is not None:
            raise InvalidRequest(f'"{entry.label}" has to be logged in again')
        if (objection := find_objection(record, self._policy.current)) is not None:
            raise InvalidRequest(str(objection)) from objection

    async def _refresh_before(self, account: Account, within: float) -> None:
        """Refresh an account that is due within so many seconds. A failure leaves it as it is."""
        due = account.credential.due_time
        if due is not None and due <= self._clock.now() + within and not account.credential.is_external:
            try:
                await account.refresher.refresh("proactive_expiry")
            except RefreshError as error:
                _log.info("an account is moved without a refresh: %s", error)

    async def _put_in_use(
        self,
        record: AuthRecord | None,
        announce: Callable[[], None],
        *,
        coming: str | None = None,
        alias: str | None = None,
    ) -> None:
        """Have a record in auth.json, the one given or that of the vault, and put away what is there."""
        if record is not None:
            entry = self.known.with_record(record, self._clock.now())[1]
            coming = entry.id if entry is not None else None
        async with self._all_still({coming, self.active_id} - {None}, self.active_id != coming):
            with trio.CancelScope(shield=True):
                await self._exchange(record, coming, announce, alias)

    @asynccontextmanager
    async def _all_still(self, ids: set[str | None], several: bool) -> AsyncIterator[None]:
        """Hold all locks of a move between auth.json and these records. Raises StorageError."""
        async with AsyncExitStack() as held:
            await held.enter_async_context(self.active.kept_still())
            named = sorted(each for each in ids if each is not None)
            for each in named:
                if (stored := self.roster.get(each)) is not None:
                    await held.enter_async_context(stored.kept_still())
            for each in named if several else ():
                await held.enter_async_context(self.roster.store(each).locked())
            await held.enter_async_context(self.active.store.locked())
            yield

    async def _exchange(
        self, record: AuthRecord | None, coming: str | None, announce: Callable[[], None], alias: str | None
    ) -> None:
        """Do what is done under the locks. See the head for the order, which is all there is to it."""
        active = self.active.credential
        if active.is_external:
            raise LoginFailed(EXTERNAL_IS_ACTIVE)
        is_new, target = record is not None, self.roster.get(coming or "")
        if record is None:
            record = await self._take_from_vault(coming)
        leaving, here = await self._find_leaving(coming)
        now = self._clock.now()

        def with_both(accounts: AccountList) -> AccountList:
            if leaving is not None:
                accounts, _ = accounts.with_record(leaving, now, here)
            accounts, entry = accounts.with_record(record, now, coming)
            if entry is not None:
                accounts = accounts.with_entry(msgspec.structs.replace(entry, last_used_at=round(now)))
                accounts = accounts.renamed(entry.id, alias) if alias is not None else accounts
            return accounts

        await self.roster.update(with_both)
        if leaving is not None and here is not None:
            await self.roster.store(here).save(leaving)
        try:
            await self.active.store.save(record)
        except BaseException:
            if leaving is not None and here is not None:
                await self._drop_record(here)
            raise
        if target is not None and coming is not None:
            await self._drop_record(coming)
        entry = self.known.get(here)
        if leaving is not None and entry is not None:
            await self.roster.open(entry, active.refusal)
        refusal = target.credential.refusal if target is not None and not is_new else None
        was, doubtful = self.active_id, target is not None and not is_new and target.credential.is_doubtful
        self._set_active(self.known.get(coming))
        active.is_doubtful = doubtful
        to = Audience(coming if is_new else None, followers=True)
        active.become(record, announce, refusal=refusal, to=to)
        if target is not None and coming is not None:
            await self.roster.close(coming)
        if was != coming and was is not None:
            self._audit.note("account.switched", **{"from": was, "to": coming, "by": "client"})
        if was != coming and coming is not None:
            self.tell("added" if is_new and target is None else "switched", coming)

    async def _take_from_vault(self, account_id: str | None) -> AuthRecord:
        """Read the record of an account as it is now: another daemon of this home may have moved it."""
        account = self.roster.get(account_id or "")
        if account is None:
            raise InvalidRequest(_CHANGED)
        record = account.credential.record if account.credential.is_unsaved else await account.store.load()
        if record is None:
            raise InvalidRequest(_CHANGED)
        if (objection := find_objection(record, self._policy.current)) is not None:
            raise InvalidRequest(str(objection)) from objection
        return record

    async def _find_leaving(self, coming: str | None) -> tuple[AuthRecord | None, str | None]:
        """Return what is in auth.json by now, as somebody may have refreshed it, and the id of its account.

        Neither, where the account that comes takes its place, or where it is nothing that anybody could use.
        """
        credential = self.active.credential
        try:
            stored = await self.active.store.load()
        except (MalformedRecord, KeyringError):  # the store keeps it aside, or `auto` takes the file instead
            return None, None
        if credential.is_newer_than(stored):
            stored = credential.record
        elif stored != credential.record and (
            stored is None or credential.record is None or not is_same_login(stored, credential.record)
        ):
            credential.give_way(stored)  # what was known before is put away as another program's doing
        if stored is None:
            return None, None
        self.roster.list, entry = self.known.with_record(stored, self._clock.now())
        return (None, None) if entry is None or entry.id == coming else (stored, entry.id)

    async def _put_beside(self, record: AuthRecord, announce: Callable[[], None], alias: str | None) -> None:
        """Have a record in the vault, and the active account as it is, unless it is that one again."""
        now = self._clock.now()
        entry = self.known.with_record(record, now)[1]
        if entry is None or entry.id == self.active_id:
            await self._put_in_use(record, announce, alias=alias)
            return

        def with_new(accounts: AccountList) -> AccountList:
            accounts, found = accounts.with_record(record, now)
            return accounts.renamed(found.id, alias) if found is not None and alias is not None else accounts

        is_new = entry.id not in self.roster
        account = await self.roster.open(entry)
        async with account.kept_still(), account.store.locked():
            await self.update(with_new)
            await account.store.save(record)
            account.credential.is_doubtful = False
            account.credential.become(record, announce)
        self.tell("added" if is_new else "healed", entry.id)

    async def log_out(self, account: Account, announce: Callable[[], None], *, revoke: bool = True) -> None:
        """Log an account out, and nobody takes its place. See Account.log_out; another one's record is removed."""
        account_id = account.credential.audience.account_id
        async with self._moving:
            await account.log_out(announce, revoke=revoke)
            if account_id is None:
                return
            with trio.CancelScope(shield=True):
                if account is self.active:
                    self._set_active(None)
                else:
                    await self.roster.close(account_id)
                await self._update_leniently(lambda accounts: accounts.without(account_id))
                self.tell("removed", account_id)

    async def remove(self, account_id: str, announce: Callable[[], None], *, revoke: bool) -> None:
        """Forget an account that is not active, with its tokens if it has any. See `log_out`."""
        account = self.roster.get(account_id)
        if account is not None:
            await self.log_out(account, announce, revoke=revoke)
            return
        async with self._moving:
            await self.update(lambda accounts: accounts.without(account_id))
            announce()
            self.tell("removed", account_id)

    async def _drop_record(self, account_id: str) -> None:
        """Remove a record whose login is in auth.json, which is what counts: the next start would do so as well."""
        try:
            await self.roster.store(account_id).delete()
        except StorageError as error:
            _log.warning("the record of account %s is still there as well: %s", account_id, error)

    def _set_active(self, entry: Entry | None) -> None:
        self.active_id = entry.id if entry is not None else None
        self.active.credential.audience = Audience(self.active_id, followers=True)

    # What others do

    def note_displaced(self, stored: AuthRecord | None) -> Audience:
        """Take note of what another program has put in the place of the active account; say whom that concerns."""
        was, record = self.active_id, self.active.credential.record
        entry = self._find_owner(stored)
        self._set_active(entry)
        if was is None or was == self.active_id:
            return self.active.credential.audience
        self._settle_later(partial(self._settle, was, record if stored is not None else None, self.active_id))
        return Audience(was if stored is None else None, followers=True)

    def note_moved(self, account_id: str | None, record: AuthRecord) -> None:
        """Take note that an account's login is in another workspace now: it is still the same entry."""
        entry, was_implied = self.known.get(account_id), self.known.is_implied()
        if entry is None or account_id is None:
            return
        self.roster.list = self.known.with_entry(entry.seen_in(record))
        if not was_implied:
            self._settle_later(partial(self._settle_move, account_id, record))

    def note_refreshed(self, account_id: str | None) -> None:
        """Take note that an account's tokens are good: whoever else may have had them has not spent them."""
        credential = self.get(account_id).credential
        if credential.is_doubtful and account_id is not None:
            credential.is_doubtful = False
            self._settle_later(partial(self._settle_doubt, account_id))

    def _settle_later(self, work: Callable[[], Awaitable[None]]) -> None:
        self._to_settle.append(work)
        self._wanted.set()

    async def settle(self) -> NoReturn:
        """Put away what other programs have displaced, for ever: for the supervisor, who has it tried again."""
        while True:
            await self._wanted.wait()
            while self._to_settle:
                async with self._moving:
                    await self._to_settle[0]()
                self._to_settle.popleft()
            self._wanted = trio.Event()

    async def _settle_move(self, account_id: str, record: AuthRecord) -> None:
        await self.update(lambda accounts: accounts.with_record(record, self._clock.now(), account_id)[0])
        self.tell("switched", account_id)

    async def _settle_doubt(self, account_id: str) -> None:
        await self.update(lambda accounts: _in_doubt(accounts, account_id, doubtful=False))
        self.tell("healed", account_id)

    async def _settle(self, account_id: str, record: AuthRecord | None, by: str | None) -> None:
        """Keep what was known of an account that another program has displaced, by one that may be in the vault."""
        known = self.known.get(account_id)
        self.roster.list = await self.roster.read()
        entry = self.known.get(account_id) or known
        if by is not None and by in self.roster:
            async with self.roster.store(by).locked():
                await self._drop_record(by)
            await self.roster.close(by)
        if entry is None or account_id == self.active_id:  # or it is there again
            return
        if record is None:
            await self.update(lambda accounts: _signed_out(accounts, account_id))
        else:
            await self._put_away_displaced(entry, record)
        self._audit.note("account.switched", **{"from": account_id, "to": by, "by": "foreign"})
        self.tell("foreign", account_id)

    async def _put_away_displaced(self, entry: Entry, record: AuthRecord) -> None:
        """Keep what was known of an account, unless another daemon of this home has put it away already."""
        store, now = self.roster.store(entry.id), self._clock.now()
        async with store.locked():
            stored = await store.load()
            if stored is None or not is_same_login(stored, record):
                await self.update(
                    lambda accounts: _in_doubt(accounts.with_record(record, now)[0], entry.id, doubtful=True)
                )
                await store.save(record)
        await self.roster.open(self.known.get(entry.id) or entry)


class _KeeperOfActive:
    """The active account's Keeper."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def find_audience(self, stored: AuthRecord | None) -> Audience:
        """See Keeper.find_audience."""
        return self._accounts.note_displaced(stored)

    def note_moved(self, record: AuthRecord) -> None:
        """See Keeper.note_moved."""
        self._accounts.note_moved(self._accounts.active_id, record)

    def note_refreshed(self) -> None:
        """See Keeper.note_refreshed."""
        self._accounts.note_refreshed(self._accounts.active_id)


class _KeeperOfStored:
    """The Keeper of another account, whose record nobody writes but daemons of this home."""

    def __init__(self, accounts: Accounts, account_id: str) -> None:
        self._accounts = accounts
        self._account_id = account_id

    def find_audience(self, stored: AuthRecord | None) -> Audience:
        """See Keeper.find_audience. There is none but those who mean it."""
        del stored
        return Audience(self._account_id)

    def note_moved(self, record: AuthRecord) -> None:
        """See Keeper.note_moved."""
        self._accounts.note_moved(self._account_id, record)

    def note_refreshed(self) -> None:
        """See Keeper.note_refreshed."""
        self._accounts.note_refreshed(self._account_id)


def _signed_out(accounts: AccountList, account_id: str) -> AccountList:
    entry = accounts.get(account_id)
    if entry is None:
        return accounts
    if entry.alias is None and account_id not in accounts.pins.values() and len(accounts.entries) == 1:
        return accounts.without(account_id)
    return accounts.with_entry(msgspec.structs.replace(entry, signed_out=True, doubtful=False))


def _in_doubt(accounts: AccountList, account_id: str, *, doubtful: bool) -> AccountList:
    entry = accounts.get(account_id)
    return accounts if entry is None else accounts.with_entry(msgspec.structs.replace(entry, doubtful=doubtful))


@asynccontextmanager
async def open_accounts(active: Account, vault: Vault, shared: Shared) -> AsyncIterator[Accounts]:
    """Give the collection, with what is in the vault; leaving the block lets refreshes that were sent come home."""
    async with trio.open_nursery() as nursery:
        accounts = Accounts(active, vault, shared, nursery)
        await accounts.load()
        nursery.start_soon(supervise, "putting accounts away", accounts.settle)
        yield accounts
        nursery.cancel_scope.cancel()
