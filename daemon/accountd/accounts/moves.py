"""Moves a login between auth.json and the vault. The head of `accounts` has the order, and the reasons.

Everything here is done with `moving` held. Which records a move is about is known when auth.json has been looked at
with its locks held, and theirs come before those: so it is looked at, and if it is about another one by then, all
locks are let go of and taken again.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from accountd.account.credential import find_objection
from accountd.account.external import EXTERNAL_IS_ACTIVE
from accountd.accounts.account_list import doubt
from accountd.accounts.identity import is_same_login
from accountd.errors import InvalidRequest, LoginFailed, StorageError
from accountd.hub import Audience
from accountd.storage.leftovers import refreshed_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.accounts.account_list import AccountList, Entry
    from accountd.accounts.accounts import Accounts
    from accountd.protocol.accounts import ImportOutcome
    from accountd.storage.base import AuthRecord

_CHANGED: Final = "the accounts have changed"
_UNKNOWN_KIND: Final = (
    "auth.json has a credential of a kind that accountd cannot keep beside others; log out of it first, with the "
    "program that has stored it"
)

_log = logging.getLogger(__name__)


def judge(record: AuthRecord, current: AuthRecord | None) -> ImportOutcome:
    """Say what becomes of a login of an account of which that one is here: the newer one is kept."""
    if current is None:
        return "added"
    if (record.chatgpt and record.chatgpt.tokens) == (current.chatgpt and current.chatgpt.tokens):
        return "known"
    return "replaced" if refreshed_at(record) > refreshed_at(current) else "older"


class Moves:
    """The moves of one collection."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def put_in_use(
        self,
        record: AuthRecord | None,
        announce: Callable[[], None],
        *,
        coming: str | None = None,
        alias: str | None = None,
    ) -> None:
        """Have a record in auth.json, the one given or that of the vault, and put away what is there.

        Raises what `Accounts.log_in` and `switch` do. Cancellable until the locks are had.
        """
        ids = self._concerned(record, coming)
        while True:
            async with self._accounts.still(ids):
                with trio.CancelScope(shield=True):
                    stored = await self._look()
                    needed = self._concerned(record, coming)
                    if needed <= ids:
                        await self._exchange(record, stored, coming, announce, alias)
                        break
            ids = needed
        if (moved := self._accounts.active_id) is not None:
            with trio.CancelScope(shield=True):
                await self._accounts.roster.close(moved)

    def _concerned(self, record: AuthRecord | None, coming: str | None) -> set[str]:
        """Return whose records in the vault a move reads, writes or removes."""
        accounts = self._accounts
        if record is not None:
            coming = accounts.owner_id(record)
        ids = {coming} if coming in accounts.roster else set()
        if coming != accounts.active_id:
            ids.add(accounts.active_id)
        return {each for each in ids if each is not None}

    async def _look(self) -> AuthRecord | None:
        """Return what is in auth.json by now; of another account, it is that one's from now on."""
        credential = self._accounts.active.credential
        stored, known = await self._accounts.read_active(), credential.record
        if stored != known and (stored is None or known is None or not is_same_login(stored, known)):
            credential.give_way(stored)  # what was known before is put away as another program's doing
        return stored

    async def _exchange(
        self,
        given: AuthRecord | None,
        stored: AuthRecord | None,
        coming: str | None,
        announce: Callable[[], None],
        alias: str | None,
    ) -> None:
        """Do what is done under the locks: see the head of `accounts` for the order, which is all there is."""
        accounts, roster = self._accounts, self._accounts.roster
        active, here, now = accounts.active.credential, accounts.active_id, accounts.clock.now()
        if active.is_external:
            raise LoginFailed(EXTERNAL_IS_ACTIVE)
        if given is None and here == coming:  # another program was first
            announce()
            return
        if given is None and stored is not None and here is None:
            raise InvalidRequest(_UNKNOWN_KIND)
        record = given if given is not None else await self._take(coming)
        owner = accounts.known.find_owner(record)
        coming = owner.id if owner is not None else None
        leaving = stored if here not in (None, coming) else None
        target = roster.get(coming) if coming is not None else None

        def with_both(known: AccountList) -> AccountList:
            known = accounts.named(known)
            if leaving is not None and here is not None:
                known = doubt(known.with_record(leaving, now, here)[0], here, doubtful=active.is_doubtful)
            known, entry = known.with_record(record, now, coming)
            if entry is None:
                return known
            in_doubt = entry.doubtful and given is None
            known = known.with_entry(msgspec.structs.replace(entry, last_used_at=round(now), doubtful=in_doubt))
            return known.renamed(entry.id, alias) if alias is not None else known

        await roster.update(with_both, record)
        try:
            if leaving is not None and here is not None:
                await roster.store(here).save(leaving)
            await accounts.active.store.save(record)
        except BaseException:  # whatever it is, and it goes on
            await self._undo(leaving, here, record, owner)
            raise
        accounts.displaced.note_switched()
        if target is not None and coming is not None:
            target.credential.retire()
            await self._drop_record(coming)
        if leaving is not None and here is not None:
            await self._open_leaving(here, leaving)
        entry = accounts.known.find_owner(record)
        accounts.set_active(entry)
        active.is_doubtful = entry is not None and entry.doubtful
        refusal = target.credential.refusal if target is not None and given is None else None
        to = Audience(accounts.active_id if given is not None else None, followers=True)
        active.become(record, announce, refusal=refusal, to=to)
        if here != accounts.active_id:
            self._tell(here, is_added=given is not None and target is None, is_known=owner is not None)

    def _tell(self, was: str | None, *, is_added: bool, is_known: bool) -> None:
        accounts = self._accounts
        if is_added and not is_known and len(accounts.known.entries) > 1:
            accounts.audit.note("account.added", account=accounts.active_id, by="login")
        if was is not None:
            accounts.audit.note("account.switched", **{"from": was, "to": accounts.active_id, "by": "client"})
        if accounts.active_id is not None:
            accounts.tell("added" if is_added else "switched", accounts.active_id)

    async def _take(self, account_id: str | None) -> AuthRecord:
        """Read the record of an account as it is now: another daemon of this home may have moved it."""
        account = self._accounts.roster.get(account_id or "")
        if account is None:
            raise InvalidRequest(_CHANGED)
        record = account.credential.record if account.credential.is_unsaved else await account.store.load()
        if record is None or self._accounts.owner_id(record) != account_id:
            raise InvalidRequest(_CHANGED)
        if (objection := find_objection(record, self._accounts.policy.current)) is not None:
            raise InvalidRequest(str(objection)) from objection
        return record

    async def _open_leaving(self, account_id: str, record: AuthRecord) -> None:
        """Open an account that has gone into the vault, with what is known against its tokens."""
        roster, login = self._accounts.roster, record.chatgpt
        refusal = self._accounts.active.credential.find_refusal(login) if login is not None else None
        if (entry := self._accounts.known.get(account_id)) is not None:
            credential = (await roster.open(entry, refusal)).credential
            if credential.record != record:  # it was open, with what another program has replaced
                credential.hold(record)

    async def _undo(
        self, leaving: AuthRecord | None, here: str | None, record: AuthRecord, owner: Entry | None
    ) -> None:
        """Have the vault and the list as they were, where auth.json is as it was. Nothing is raised."""
        accounts = self._accounts
        with suppress(StorageError):
            if leaving is not None and here is not None and await accounts.read_active() == leaving:
                await self._drop_record(here)
        added = accounts.known.find_owner(record)
        if owner is not None:
            await accounts.update_leniently(lambda known: known.with_entry(owner))
        elif added is not None:
            await accounts.update_leniently(lambda known: known.without(added.id))

    async def put_beside(
        self,
        record: AuthRecord,
        announce: Callable[[], None],
        *,
        alias: str | None,
        by: str = "login",
        doubtful: bool = False,
    ) -> None:
        """Have a record in the vault, and the active account as it is, unless it is that one again."""
        accounts, now = self._accounts, self._accounts.clock.now()
        owner = accounts.known.find_owner(record)
        entry = accounts.known.with_record(record, now)[1]
        if entry is None or entry.id == accounts.active_id:
            await self.put_in_use(record, announce, alias=alias)
            return

        def with_new(known: AccountList) -> AccountList:
            known, found = known.with_record(record, now)
            if found is None:
                return known
            known = known.with_entry(msgspec.structs.replace(found, doubtful=doubtful))
            return known.renamed(found.id, alias) if alias is not None else known

        is_new = entry.id not in accounts.roster
        account = await accounts.roster.open(entry)
        try:
            async with account.kept_still(), account.store.locked():
                await accounts.update(with_new)
                try:
                    await account.store.save(record)
                except BaseException:  # whatever it is, and it goes on
                    await self._undo(None, None, record, owner)
                    raise
                account.credential.is_doubtful = doubtful
                account.credential.become(record, announce)
        except BaseException:  # as above
            if is_new:
                await accounts.roster.close(entry.id)
            raise
        if owner is None and len(accounts.known.entries) > 1:
            accounts.audit.note("account.added", account=entry.id, by=by)
        accounts.tell("added" if is_new else "healed", entry.id)

    async def _drop_record(self, account_id: str) -> None:
        """Remove a record whose login is in auth.json, which is what counts: the next start would do so as well."""
        try:
            await self._accounts.roster.store(account_id).delete()
        except StorageError as error:
            _log.warning("the record of account %s is still there as well: %s", account_id, error)
