"""The accounts that are not active: each open for whoever means it, and the list of all, in step with the vault.

The list is read again, under its lock, before each change: two daemons may share a home, and the copy of one must
not win over what the other has written. While nobody means an account it is at rest: nothing is fetched for it, and
its tokens are refreshed as seldom as keeps the login alive.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
import trio

from accountd.account.account import Account, open_account
from accountd.accounts.account_list import AccountList, parse_list, render_list
from accountd.errors import MalformedRecord
from accountd.hub import Audience
from accountd.storage.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accountd.account.account import Shared
    from accountd.accounts.account_list import Entry
    from accountd.errors import RefreshRefused
    from accountd.storage.base import AuthRecord, AuthStore
    from accountd.storage.vault import Vault

    Prepare = Callable[[Entry, Account], None]

_log = logging.getLogger(__name__)


class _Open:
    """An account that is open until `closing` is set."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.users = 0
        self.closing = trio.Event()
        self.closed = trio.Event()


class Roster:
    """The list, and the accounts in the vault, each with its store. `nursery` outlives whoever uses them."""

    def __init__(self, vault: Vault, shared: Shared, nursery: trio.Nursery, prepare: Prepare) -> None:
        self.list = AccountList()
        self._vault = vault
        self._shared = shared
        self._nursery = nursery
        self._prepare = prepare
        self._stores: dict[str, AuthStore] = {}
        self._open: dict[str, _Open] = {}
        self._users: dict[str, int] = {}
        self._nobody: Account | None = None

    def __iter__(self) -> Iterator[Account]:
        return iter([each.account for each in self._open.values()])

    def __contains__(self, account_id: object) -> bool:
        return account_id in self._open

    @property
    def ids(self) -> list[str]:
        """The ids of the accounts that are open."""
        return list(self._open)

    @property
    def nobody(self) -> Account:
        """The account of who means one that is gone: nobody is logged in."""
        if self._nobody is None:
            self._nobody = Account(MemoryStore(), self._shared, self._nursery, is_active=False)
            self._nobody.credential.audience = Audience()
        return self._nobody

    def get(self, account_id: str) -> Account | None:
        """Return an account of the vault."""
        found = self._open.get(account_id)
        return found.account if found is not None else None

    def store(self, account_id: str) -> AuthStore:
        """Return the store of a record, whether or not it is there: always the same, since it has a lock."""
        if account_id not in self._stores:
            self._stores[account_id] = self._vault.open_record(account_id)
        return self._stores[account_id]

    def find_records(self) -> list[str]:
        """Return the ids of records that are there. Raises StorageError."""
        return self._vault.find_records()

    async def open(self, entry: Entry, refusal: RefreshRefused | None = None) -> Account:
        """Open an account of the vault, if it is not. What its store has is read; it may be nothing."""
        if entry.id not in self._open:
            await self._nursery.start(self._keep, entry, refusal)
        return self._open[entry.id].account

    def retire(self, account_id: str) -> None:
        """Have an account refreshed and stored no more: its login is elsewhere. Call it with its lock held."""
        if (account := self.get(account_id)) is not None:
            account.credential.retire()

    async def close(self, account_id: str) -> None:
        """Close an account, if it is open. Returns when a refresh that has been sent has come home.

        Call it without the account's lock, which that may wait for.
        """
        found = self._open.pop(account_id, None)
        if found is not None:
            found.account.credential.retire()
            found.closing.set()
            await found.closed.wait()

    @property
    def users(self) -> int:
        """How many connections and requests mean an account of their own, and not whichever is active."""
        return sum(self._users.values())

    def use(self, account_id: str, users: int) -> None:
        """Take note of how many more mean an account, or with a negative number fewer."""
        self._users[account_id] = self._users.get(account_id, 0) + users
        if not self._users[account_id]:
            del self._users[account_id]
        if (account := self.get(account_id)) is not None:
            account.credential.rest(at_rest=account_id not in self._users)

    async def _keep(
        self,
        entry: Entry,
        refusal: RefreshRefused | None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        def prepare(account: Account) -> None:
            credential = account.credential
            credential.audience = Audience(entry.id)
            credential.is_at_rest = entry.id not in self._users
            credential.is_doubtful = entry.doubtful
            self._prepare(entry, account)

        store = self.store(entry.id)
        async with open_account(store, self._shared, prepare, is_active=False) as account:
            if refusal is not None and (login := account.credential.login) is not None:
                account.credential.recall_refusal(login, refusal)
            found = self._open[entry.id] = _Open(account)
            task_status.started()
            await found.closing.wait()
        found.closed.set()

    async def read(self) -> AccountList:
        """Read the list as it is on disk. Raises StorageError."""
        document = await self._vault.read_list()
        return parse_list(document) if document is not None else AccountList(revision=self.list.revision)

    async def recover(self) -> None:
        """Put a list aside that nobody can read; it is made anew of the records that are there. For the start.

        Raises StorageError, as for one that the disk does not let be read now: it stays.
        """
        try:
            self.list = await self.read()
        except MalformedRecord as error:
            async with self._vault.locked():
                aside = await self._vault.put_list_aside()
                await self._vault.write_list(None)
            _log.error("%s; it is kept as %s, and made anew, without aliases and folders", error.problem, aside)

    async def update(self, change: Callable[[AccountList], AccountList], active: AuthRecord | None) -> None:
        """Change the list as it is on disk by then; stored if it says more than auth.json, which has `active`.

        Raises StorageError, and what `change` raises; then nothing has changed.
        """
        old = await self.read()
        new = change(old)
        if not old.entries and new.is_implied(active):  # there is no file, and none is needed
            self.list = msgspec.structs.replace(new, revision=old.revision + 1)
            return
        async with self._vault.locked():
            old = await self.read()
            new = msgspec.structs.replace(change(old), revision=old.revision + 1)
            await self._vault.write_list(None if new.is_implied(active) else render_list(new))
        self.list = new
