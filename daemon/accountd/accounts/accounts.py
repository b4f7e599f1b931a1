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
from contextlib import AsyncExitStack, asynccontextmanager
from operator import methodcaller
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from accountd.account.credential import find_objection
from accountd.accounts.displaced import Displaced, KeeperOfActive, KeeperOfStored
from accountd.accounts.moves import Moves, judge
from accountd.accounts.roster import Roster
from accountd.accounts.whereabouts import Whereabouts
from accountd.errors import (
    InvalidRequest,
    KeyringError,
    MalformedRecord,
    RefreshError,
    RequestFailed,
    StorageError,
    UnreadableRecord,
    WorkspaceForbidden,
)
from accountd.hub import Audience
from accountd.protocol.accounts import AccountsChanged
from accountd.supervisor import supervise

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator

    from accountd.account.account import Account, Shared
    from accountd.accounts.account_list import AccountList, Entry
    from accountd.protocol.accounts import Change, ImportOutcome
    from accountd.storage.base import AuthRecord
    from accountd.storage.vault import Vault

SOON: Final = 600.0
"""Seconds: tokens that are due within them are refreshed before their account leaves auth.json, so that no program
that has read it there does so afterwards."""

_CHANGED: Final = "the accounts have changed"
_log = logging.getLogger(__name__)


class Accounts:
    """The collection. `active` is the account in auth.json, and `active_id` its id, None where nobody is.

    `moving` is held by whoever moves a login, or finds out where each is.
    """

    def __init__(self, active: Account, vault: Vault, shared: Shared, nursery: trio.Nursery) -> None:
        self.active = active
        self.active_id: str | None = None
        self.roster = Roster(vault, shared, nursery, self._prepare)
        self.policy = shared.policy
        self.clock = shared.clock
        self.audit = shared.audit
        self.moving = trio.Lock()
        self.displaced = Displaced(self)
        self._vault = vault
        self._hub = shared.hub
        self._moves = Moves(self)
        self._whereabouts = Whereabouts(self)
        self._is_implied = True
        active.credential.keeper = KeeperOfActive(self.displaced)

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
        return self.named(self.roster.list)

    def named(self, accounts: AccountList) -> AccountList:
        """Return a list with the names of workspaces that the backend has told, by which accounts are found."""
        for entry in accounts.entries:
            account = self.active if entry.id == self.active_id else self.roster.get(entry.id)
            login = account.credential.login if account is not None else None
            found = account.routing.find(login) if account is not None and login is not None else None
            if found is not None and found.name not in (None, entry.workspace_name):
                accounts = accounts.with_entry(msgspec.structs.replace(entry, workspace_name=found.name))
        return accounts

    def _prepare(self, entry: Entry, account: Account) -> None:
        """Set up an account of the vault before it begins."""
        account.credential.keeper = KeeperOfStored(self.displaced, entry.id)
        account.credential.requires_openai_auth = self.active.credential.requires_openai_auth

    # What is there

    async def load(self) -> None:
        """Find out which accounts there are. For the start: nothing is raised."""
        await self._whereabouts.load()
        self._is_implied = self.known.is_implied(self.active.credential.record)

    async def drop_copy(self, account_id: str) -> None:
        """See Whereabouts.drop_copy."""
        await self._whereabouts.drop_copy(account_id)

    def adopt_owner(self, record: AuthRecord | None, account_id: str | None = None) -> Entry | None:
        """Return the entry of what is in auth.json, and have the list know it. See AccountList.with_record."""
        if record is None:
            return None
        self.roster.list, entry = self.known.with_record(record, self.clock.now(), account_id)
        return entry

    def set_active(self, entry: Entry | None) -> None:
        """Have an account be the active one, or with None nobody."""
        self.active_id = entry.id if entry is not None else None
        self.active.credential.audience = Audience(self.active_id, followers=True)

    def owner_id(self, record: AuthRecord | None) -> str | None:
        """Return the id of the account that a record is of; None for one that the list does not know."""
        owner = self.known.find_owner(record) if record is not None else None
        return owner.id if owner is not None else None

    async def read_active(self) -> AuthRecord | None:
        """Return what is in auth.json, with its locks held. Raises StorageError.

        Of what is no credential nothing is left; of one that may not be read, what was known.
        """
        credential = self.active.credential
        try:
            stored = await self.active.store.load()
        except MalformedRecord:  # the store keeps it aside
            return None
        except (UnreadableRecord, KeyringError):  # kept aside as well; and `auto` takes the file instead
            return credential.record
        return credential.record if credential.is_newer_than(stored) else stored

    @asynccontextmanager
    async def still(self, ids: Collection[str]) -> AsyncIterator[None]:
        """Hold all locks of a move between auth.json and these records. Raises StorageError; cancellable."""
        async with AsyncExitStack() as held:
            await held.enter_async_context(self.active.kept_still())
            for each in sorted(ids):
                if (stored := self.roster.get(each)) is not None:
                    await held.enter_async_context(stored.kept_still())
            for each in sorted(ids):
                await held.enter_async_context(self.roster.store(each).locked())
            await held.enter_async_context(self.active.store.locked())
            yield

    async def reread(self) -> None:
        """Know the accounts as another daemon of this home may have left them. Raises StorageError.

        A move that is under way is not waited for: it reads the list itself, and may wait for others' locks.
        """
        if self.moving.locked():
            return
        async with self.moving:
            await self._whereabouts.look()

    async def update(self, change: Callable[[AccountList], AccountList]) -> None:
        """Change the list, which knows the active account in any case. Raises StorageError, and what it raises."""
        record = self.active.credential.record
        account_id = self.owner_id(record)

        def with_active(accounts: AccountList) -> AccountList:
            if record is not None:
                accounts, _ = accounts.with_record(record, self.clock.now(), account_id)
            return change(self.named(accounts))

        await self.roster.update(with_active, record)

    async def update_leniently(self, change: Callable[[AccountList], AccountList]) -> None:
        """Change the list, where what it is about has happened already, so that a failure cannot undo it."""
        try:
            await self.update(change)
        except StorageError as error:
            _log.warning("the list of accounts is behind: %s", error)
            self.roster.list = change(self.known)

    def tell(self, reason: Change, account_id: str | None) -> None:
        """Tell those who follow the list that it is another one. No name is told, and nothing of one account."""
        was_implied, self._is_implied = self._is_implied, self.known.is_implied(self.active.credential.record)
        if was_implied and self._is_implied:
            return
        self._hub.publish(AccountsChanged(self.known.revision, self.active_id, account_id, reason))

    # What clients ask for

    def select(self, name: str, *, once: bool = False) -> str:
        """Return the id of the account that a client means by a name, from now on or for one request.

        Raises NoSuchAccount, AmbiguousAccount, and InvalidRequest for one that policy does not permit.
        """
        entry = self.known.find(name)
        self._require_permitted(self.get(entry.id).credential.record)
        if not once:
            self.audit.note("account.selected", account=entry.id)
        return entry.id

    def _require_permitted(self, record: AuthRecord | None) -> None:
        if record is not None and (objection := find_objection(record, self.policy.current)) is not None:
            raise InvalidRequest(str(objection)) from objection

    async def rehearse(self) -> None:
        """Raise RequestFailed, naming the place and a remedy, if a login could not be stored now.

        That is one of whoever is not active yet, so that the one who is would go into the vault.
        """
        await self.active.rehearse()
        if self.active.credential.record is not None:
            try:
                await self._vault.rehearse()
            except StorageError as error:
                raise RequestFailed(f"the login could not be stored beside the one there is: {error}") from error

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
            async with self.moving:
                await self._whereabouts.look()
                if activate:
                    await self._moves.put_in_use(record, announce, alias=alias)
                else:
                    await self._moves.put_beside(record, announce, alias=alias)

    async def take_in(self, record: AuthRecord, *, dry_run: bool) -> tuple[ImportOutcome, str]:
        """Have a login beside the others, in doubt, that another program keeps; of an account, the newer one.

        Return what has become of it, or would with `dry_run`, and the id of its account. Raises as `log_in`.
        """
        async with self.moving:
            with trio.CancelScope(shield=True):
                await self._whereabouts.look()
                owner = self.known.with_record(record, self.clock.now())[1]
                account_id = owner.id if owner is not None else ""
                entry = self.known.get(account_id)
                current = self.get(account_id).credential.record if entry is not None else None
                outcome = judge(record, current)
                if outcome in ("added", "replaced") and not dry_run:
                    await self._moves.put_beside(record, lambda: None, alias=None, by="import", doubtful=True)
        return outcome, account_id

    async def trust(self, account_id: str) -> None:
        """Have no doubt in an account any more: nobody else has its tokens now. Raises StorageError."""
        async with self.moving:
            self.displaced.note_refreshed(account_id)
            await self.displaced.settle_now()

    async def switch(self, account_id: str, announce: Callable[[], None]) -> None:
        """Make another account the active one, for everybody who means none by name.

        Raises InvalidRequest where it cannot be, and StorageError; then nothing has happened. Both accounts are
        refreshed first, outside the locks, if they are due. Cancellable until the locks are had.
        """
        if account_id != self.active_id:
            await self._refresh_before(self.get(account_id), 0.0)
            await self._refresh_before(self.active, SOON)
        async with self.moving:
            await self._whereabouts.look()
            if account_id != self.active_id and not self._is_usable(account_id):
                await self._whereabouts.look()  # another daemon may have been in the middle of moving it
            if account_id == self.active_id:  # somebody was faster
                announce()
                return
            self.require_usable(account_id)
            await self._moves.put_in_use(None, announce, coming=account_id)

    def _is_usable(self, account_id: str) -> bool:
        try:
            self.require_usable(account_id)
        except (InvalidRequest, WorkspaceForbidden):
            return False
        return True

    def require_usable(self, account_id: str) -> None:
        """Raise InvalidRequest, or WorkspaceForbidden, for an account that nobody could use if it were active."""
        entry, account = self.known.get(account_id), self.roster.get(account_id)
        if entry is None:
            raise InvalidRequest(_CHANGED)
        credential = account.credential if account is not None else None
        if credential is not None and credential.record is None and credential.objection is not None:
            raise InvalidRequest(f'"{entry.label}" cannot be used: {credential.objection}')
        if credential is None or credential.record is None or credential.refusal is not None:
            raise InvalidRequest(f'"{entry.label}" has to be logged in again')
        self._require_permitted(credential.record)

    async def _refresh_before(self, account: Account, within: float) -> None:
        """Refresh an account that is due within so many seconds. A failure leaves it as it is."""
        due = account.credential.due_time
        if due is not None and due <= self.clock.now() + within and not account.credential.is_external:
            try:
                await account.refresher.refresh("proactive_expiry")
            except RefreshError as error:
                _log.info("an account is moved without a refresh: %s", error)

    async def log_out(self, account: Account, announce: Callable[[], None], *, revoke: bool = True) -> None:
        """Log an account out, and nobody takes its place. See Account.log_out; another one's record is removed.

        It is the account that this one was when it was asked for, wherever a switch has moved that meanwhile.
        """
        account_id = account.credential.audience.account_id
        async with self.moving:
            if account_id is not None:
                try:
                    await self._whereabouts.look()
                except StorageError as error:
                    _log.warning("logging out of what is known: %s", error)
                account = self.get(account_id)
            await self._log_out(account, account_id, announce, revoke=revoke)

    async def _log_out(
        self, account: Account, account_id: str | None, announce: Callable[[], None], *, revoke: bool
    ) -> None:
        await account.log_out(announce, revoke=revoke)
        if account_id is None:
            return
        with trio.CancelScope(shield=True):
            if account is self.active:
                self.set_active(None)
            else:
                await self.roster.close(account_id)
                self.audit.note("account.removed", account=account_id, revoked=revoke)
            await self.update_leniently(methodcaller("without", account_id))
            self.tell("removed", account_id)

    async def remove(self, account_id: str, announce: Callable[[], None], *, revoke: bool) -> None:
        """Forget an account that is not active, with its tokens if it has any. Raises InvalidRequest for others."""
        async with self.moving:
            await self._whereabouts.look()
            if account_id == self.active_id:
                raise InvalidRequest("the active account is logged out, not removed")
            account = self.roster.get(account_id)
            if account is not None:
                await self._log_out(account, account_id, announce, revoke=revoke)
                return
            await self.update(methodcaller("without", account_id))
            self.audit.note("account.removed", account=account_id, revoked=False)
            announce()
            self.tell("removed", account_id)


@asynccontextmanager
async def open_accounts(active: Account, vault: Vault, shared: Shared) -> AsyncIterator[Accounts]:
    """Give the collection, with what is in the vault; leaving the block lets refreshes that were sent come home."""
    async with trio.open_nursery() as nursery:
        accounts = Accounts(active, vault, shared, nursery)
        await accounts.load()
        nursery.start_soon(supervise, "putting accounts away", accounts.displaced.settle)
        try:
            yield accounts
        finally:
            await accounts.displaced.settle_at_the_end()
            nursery.cancel_scope.cancel()
