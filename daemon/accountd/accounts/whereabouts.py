"""Where each account is: found out at the start, and again before each move, since it may have changed meanwhile.

Another daemon of this home moves accounts as well, other programs change auth.json, and a crash may have left a
record in two places, or a list without its records. What is found is brought in line; what is to be removed or
signed out is looked at once more with all locks held, as it may be on its way from one place to the other.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING, Final

import trio

from accountd.accounts.account_list import make_entry, sign_out
from accountd.accounts.identity import identify, is_same_login
from accountd.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from accountd.account.account import Account
    from accountd.accounts.account_list import Entry
    from accountd.accounts.accounts import Accounts
    from accountd.storage.base import AuthRecord

BRIEFLY: Final = 2.0
"""Seconds of waiting for the locks of what is mended; the next start, or move, mends it as well."""

_log = logging.getLogger(__name__)


class Whereabouts:
    """Finds out for the collection. What it does is done with `moving` held, but for the start."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def load(self) -> None:
        """Find out which accounts there are, and mend what a crash has left. For the start: nothing is raised."""
        accounts = self._accounts
        record = accounts.active.credential.record
        try:
            await accounts.roster.recover()
            await self._adopt_orphans(record)
        except StorageError as error:
            _log.warning("the other accounts are not known: %s", error)
        accounts.set_active(accounts.adopt_owner(record))
        if accounts.active_id is not None:
            await self.drop_copy(accounts.active_id)
        await self._bring_in_line()

    async def _adopt_orphans(self, active: AuthRecord | None) -> None:
        """Have records in the list that are not there: it may have been lost."""
        accounts = self._accounts
        for account_id in accounts.roster.find_records():
            if accounts.known.get(account_id) is not None:
                continue
            record = await accounts.roster.store(account_id).load()
            identity = identify(record)
            if record is None or identity is None:
                continue
            if active is not None and is_same_login(record, active):
                await self.drop_copy(account_id)
                continue
            entry = make_entry(account_id, identity, record, accounts.clock.now())
            await accounts.roster.update(methodcaller("with_entry", entry), active)

    async def drop_copy(self, account_id: str) -> None:
        """Remove the record of an account that is in auth.json, which wins. A failure leaves it to the next start.

        A crash has left it, or another program has logged in to the account. But another daemon of this home may
        move it there at any time: so it is looked at again with all locks held.
        """
        accounts, roster = self._accounts, self._accounts.roster
        store = roster.store(account_id)
        try:
            await store.recover()
            record = await store.load()
            if record is not None:
                async with self._still_soon(account_id):
                    stored = await accounts.read_active()
                    if stored is None:
                        return
                    if not is_same_login(stored, record) and accounts.owner_id(stored) != account_id:
                        return
                    await store.delete()
                    roster.retire(account_id)
            elif account_id in roster:
                roster.retire(account_id)
        except StorageError as error:
            _log.warning("what may be left of account %s is still there: %s", account_id, error)
            return
        await roster.close(account_id)

    async def look(self) -> None:
        """Find out what others have moved meanwhile. Raises StorageError."""
        accounts = self._accounts
        if accounts.active.store.describe().kind == "file":  # a keyring may take seconds, and is watched by nobody
            await accounts.active.store_watch.reload()
        record = accounts.active.credential.record
        account_id = accounts.owner_id(record)
        accounts.roster.list = await accounts.roster.read()
        accounts.set_active(accounts.adopt_owner(record, account_id))
        await accounts.displaced.settle_now()
        await self._bring_in_line()

    async def _bring_in_line(self) -> None:
        """Have those accounts open that are in the vault, and no others."""
        accounts, roster = self._accounts, self._accounts.roster
        for account_id in roster.ids:
            entry = accounts.known.get(account_id)
            if account_id == accounts.active_id:
                await self.drop_copy(account_id)
            elif entry is None or entry.signed_out:
                await roster.close(account_id)
        for entry in accounts.known.entries:
            if entry.id != accounts.active_id and not entry.signed_out:
                account = await roster.open(entry)
                account.credential.is_doubtful = entry.doubtful
                if await self._is_gone(account):
                    await self._sign_out(entry)

    async def _is_gone(self, account: Account) -> bool:
        """Return True if nothing is stored of an account of the vault, which is looked at where that is cheap."""
        credential = account.credential
        if credential.is_unsaved:
            return False
        if account.store.describe().kind != "file":
            return credential.record is None and credential.objection is None
        try:
            stored = await account.store.load()
        except StorageError:  # whoever means it is told
            return False
        if stored is not None and stored != credential.record:
            await account.store_watch.reload()
        return stored is None

    async def _sign_out(self, entry: Entry) -> None:
        """Have an account in the list alone, whose record is nowhere: somebody has logged it out.

        It may be on its way between auth.json and the vault, in another daemon's hands: that is waited for.
        """
        accounts, roster = self._accounts, self._accounts.roster
        try:
            async with self._still_soon(entry.id):
                if accounts.owner_id(await accounts.read_active()) == entry.id:
                    return  # whoever watches auth.json will say so
                if await roster.store(entry.id).load() is not None:
                    return
                roster.retire(entry.id)
        except StorageError as error:
            _log.warning("it is not known whether account %s is logged in: %s", entry.id, error)
            return
        await roster.close(entry.id)
        await accounts.update_leniently(partial(sign_out, account_id=entry.id))

    @asynccontextmanager
    async def _still_soon(self, account_id: str) -> AsyncIterator[None]:
        """Hold the locks of a move for what can be done another time as well. Raises StorageError."""
        async with AsyncExitStack() as held:
            with trio.move_on_after(BRIEFLY) as waiting:
                await held.enter_async_context(self._accounts.still({account_id}))
            if waiting.cancelled_caught:
                raise StorageError("another program holds its locks")
            yield
