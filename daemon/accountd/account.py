"""The account: who is logged in, on this machine, for this CODEX_HOME. The one owner of the stored credential.

Whoever would change the credential comes here, one at a time, and takes the locks that other programs respect;
each change is one shielded step: stored, then known in memory, then announced.
"""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

from accountd.errors import (
    ClientFailed,
    LoginFailed,
    RefreshError,
    RefreshFailed,
    RefreshRefused,
    RemoteError,
    StorageError,
)
from accountd.external import EXTERNAL_IS_ACTIVE
from accountd.oauth.refresh import find_due_time
from accountd.protocol.account import AccountUpdated
from accountd.storage.base import MalformedRecord, is_renewal, is_same_account, refreshed_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from accountd.adapters.issuer import Issuer
    from accountd.audit import AuditLog
    from accountd.config import LoginMethod
    from accountd.counters import Counters, RefreshOutcome
    from accountd.external import ExternalTokens
    from accountd.hub import Hub
    from accountd.oauth.refresh import Reason
    from accountd.policy import Policy
    from accountd.storage.base import AuthRecord, AuthStore, ChatgptLogin, Mode, StoreDescription

_CHANGED_UNDERNEATH: Final = (
    "Your access token could not be refreshed because you have since logged out or signed in to another account. "
    "Please sign in again."
)
_MOMENT: Final = (0.05, 0.2, 0.5, 1.25)
"""Seconds between looks at the store, for a token that another program has spent and not yet stored."""

_METHODS: Final[dict[Mode, LoginMethod]] = {"apikey": "api", "chatgpt": "chatgpt", "chatgptAuthTokens": "chatgpt"}

_log = logging.getLogger(__name__)


class AccountService:
    """The current account. Opened by `open_account`; every method is for use inside that block."""

    def __init__(
        self, store: AuthStore, policy: Policy, issuer: Issuer, hub: Hub, *, audit: AuditLog, counters: Counters
    ) -> None:
        self._audit = audit
        self._store = store
        self._policy = policy
        self._issuer = issuer
        self._hub = hub
        self._counters = counters
        self._record: AuthRecord | None = None
        self._changing = trio.Lock()
        self._refused: tuple[ChatgptLogin, RefreshRefused] | None = None
        self._unsaved: AuthRecord | None = None  # what the store has, while it would not take what is newer
        self._changed = trio.Event()
        self._due_time: float | None = None
        self._external: ExternalTokens | None = None
        self._announced = AccountUpdated(None, None)

    @property
    def current(self) -> AuthRecord | None:
        """The credential in use. One that the policy forbids is hidden, and kept.

        A client's own tokens go before what is stored, until a logout.
        """
        if self._external is not None:
            return self._external.record
        record = self._record
        return record if record is not None and self._permits(record) else None

    def _permits(self, record: AuthRecord) -> bool:
        if record.mode is None or not self._policy.permits(_METHODS[record.mode]):
            return False
        login = record.chatgpt
        if record.mode == "apikey" or login is None:
            return True
        named = login.claims.account_id if record.mode == "chatgpt" else login.account_id
        return self._policy.permits_workspace(named)

    @property
    def is_external(self) -> bool:
        """Whether a client's own tokens are in use, which no other login may replace before a logout."""
        return self._external is not None

    @property
    def login(self) -> ChatgptLogin | None:
        """The ChatGPT login in use, if that is what the credential is."""
        record = self.current
        return record.chatgpt if record is not None and record.mode != "apikey" else None

    @property
    def due_time(self) -> float | None:
        """When the token should be refreshed, in Unix seconds; None if there is none that could be."""
        login = self.login
        if login is None or self._external is not None or self.find_refusal(login) is not None:
            return None
        return self._due_time

    @property
    def changed(self) -> trio.Event:
        """Set when the credential is another one than when this was asked for."""
        return self._changed

    def find_refusal(self, login: ChatgptLogin) -> RefreshRefused | None:
        """Recall that the issuer has refused to refresh exactly this login."""
        return self._refused[1] if self._refused is not None and self._refused[0] is login else None

    def describe_store(self) -> StoreDescription:
        """Say which store holds the credential, and what a person should know about that."""
        return self._store.describe()

    async def load(self) -> None:
        """Read the store for the first time. A credential that cannot be read counts as none, and is warned of."""
        self._hold(await self._read_store())
        self._announced = self._describe()

    async def reload(self) -> None:
        """Look at the store again, since another program may have written it; announce what is new there."""
        async with self._changing:
            try:
                stored = await self._store.load()
            except MalformedRecord as error:
                _log.warning("nobody is logged in, since the stored credential cannot be read: %s", error)
                stored = None
            except StorageError as error:
                _log.warning("the store cannot be read, so the credential stays as it was: %s", error)
                return
            if stored == self._record or self._is_newer_than(stored):
                return
            if self._external is None:
                self._become(stored)
            else:
                self._hold(stored)

    async def heed_policy(self) -> None:
        """Hide or show the credential as the policy now says, and announce it. It stays stored either way.

        A client's own tokens that it forbids are forgotten.
        """
        async with self._changing:
            if self._external is not None and not self._permits(self._external.record):
                self._external = None
            if self._describe() != self._announced:
                self._hold(self._record)
                self._publish()

    @property
    def outlasts_the_daemon(self) -> bool:
        """Whether the next daemon would find all that there is: nothing of it is in memory alone."""
        if self._external is not None or self._unsaved is not None:
            return False
        return self._record is None or self._store.describe().kind != "memory"

    async def _read_store(self) -> AuthRecord | None:
        try:
            return await self._store.load()
        except StorageError as error:
            _log.warning("nobody is logged in, since the stored credential cannot be read: %s", error)
            return None

    async def recover(self, login: ChatgptLogin) -> bool:
        """Have other tokens than these, which the backend has refused; say whether there are."""
        external, record = self._external, self.current
        try:
            if external is not None and record is not None:
                if await external.renew(record):
                    self._note_supplied()
                self._adopt(self._record)
            else:
                await self.renew("forced", instead_of=login)
        except (RefreshError, ClientFailed, LoginFailed) as error:
            _log.warning("tokens that the backend refuses were not replaced: %s", error)
        return self.login is not None and self.login is not login

    async def use_external(self, external: ExternalTokens, announce: Callable[[], None]) -> None:
        """Use a client's own tokens, until a logout, whatever is stored. Announced as by `commit`."""
        async with self._changing:
            self._external = external
            self._hold(self._record)
            self._note_supplied()
            announce()
            self._publish()

    def _note_supplied(self) -> None:
        login = self.login
        self._audit.note("token.supplied", account=login.account_id if login is not None else None)

    async def commit(self, record: AuthRecord, announce: Callable[[], None]) -> None:
        """Make a credential the current one: stored, known, announced; all of it, or nothing and StorageError.

        Raises LoginFailed while a client's own tokens are in use, which may have come while this one waited.
        Shielded: once begun it is seen through, and the store bounds its wait for other programs.
        `announce` is called when it is done, right before `account/updated`.
        """
        with trio.CancelScope(shield=True):
            async with self._changing, self._store.locked():
                if self.is_external:
                    raise LoginFailed(EXTERNAL_IS_ACTIVE)
                await self._store.save(record)
                self._become(record, announce)

    async def renew(self, reason: Reason, instead_of: ChatgptLogin | None = None) -> None:
        """Have fresh tokens: those that another program has stored, else new ones from the issuer.

        With `instead_of`, only if it is these that are still in use. A client's own tokens are not renewed.

        They are stored before anybody sees them. Raises RefreshError, and then the account is as it was; but
        for one that has changed underneath, which is never overwritten: that one is the account then.
        A refresh token that has been sent is seen through, whoever cancels.
        """
        login = self.login
        try:
            outcome = await self._renew_or_settle(reason, instead_of)
        except RefreshError as error:
            refused = isinstance(error, RefreshRefused)
            self._audit.note("refresh", reason=reason, outcome="refused" if refused else "failed")
            self._counters.note_refresh("failed", error)
            if self.login is not login:
                self._counters.last_refresh = None  # it is not said of another login
            raise
        if outcome is not None:
            self._audit.note("refresh", reason=reason, outcome=outcome)
            self._counters.note_refresh(outcome)

    async def _renew_or_settle(self, reason: Reason, instead_of: ChatgptLogin | None) -> RefreshOutcome | None:
        try:
            return await self._renew(reason, instead_of)
        except _Spent as spent:
            return await self._settle(spent)
        except StorageError as error:
            raise RefreshFailed(str(error)) from error

    async def _renew(self, reason: Reason, instead_of: ChatgptLogin | None) -> RefreshOutcome | None:
        """Renew under the locks, if there is anything to renew. Raises _Spent where the issuer refuses."""
        async with self._changing, self._store.locked():
            record, login = self._record, self.login
            if record is None or login is None or self.is_external or instead_of not in (None, login):
                return None
            stored = await self._store.load()
            if self._is_newer_than(stored):
                current = record
            elif stored is None or not is_same_account(stored, login):
                self._become(stored)
                raise RefreshRefused(_CHANGED_UNDERNEATH)
            elif is_renewal(stored, login):
                self._adopt(stored)  # another program was first
                return "adopted"
            else:
                current = stored  # with whatever else others have written into it
            if (refusal := self.find_refusal(login)) is not None:
                raise RefreshRefused(str(refusal), refusal.code)
            with trio.CancelScope(shield=True):
                try:
                    refreshed = await self._issuer.refresh(login.tokens.refresh_token, reason)
                except RefreshRefused as error:
                    raise _Spent(login, error) from error
                await self._save_renewed(
                    stored, refreshed_record(current, current.chatgpt or login, refreshed, time.time_ns())
                )
        return "done"

    async def _settle(self, spent: _Spent) -> RefreshOutcome | None:
        """Take a refusal for what it is, unless another program turns out to have been first.

        Codex takes the locks only to store what it got. So whoever spent the token may have waited for us to
        let go of them, and gets a moment, with the locks free, to store the new one.
        """
        pauses = _MOMENT if spent.refusal.code == "refresh_token_reused" else (0.0,)
        for pause in pauses:
            await trio.sleep(pause)
            async with self._changing:
                if self.login is not spent.login:
                    return None
                stored = await self._read_store()
                if stored is not None and is_renewal(stored, spent.login):
                    self._adopt(stored)
                    return "adopted"
                if pause == pauses[-1]:
                    self._refused = (spent.login, spent.refusal)
                    self._hub.publish(AccountUpdated(None, None), extension=True)
                    raise spent.refusal
        return None

    @property
    def is_unsaved(self) -> bool:
        """Whether the store has not taken what a refresh gave, so that only memory has it."""
        return self._unsaved is not None

    def _is_newer_than(self, stored: AuthRecord | None) -> bool:
        return self._unsaved is not None and stored == self._unsaved

    async def save_again(self) -> None:
        """Have the store take what it would not take before, unless it has something else by now."""
        async with self._changing:
            try:
                async with self._store.locked():
                    if self._record is not None and self._is_newer_than(await self._store.load()):
                        await self._store.save(self._record)
                        self._unsaved = None
            except StorageError as error:
                _log.warning("the refreshed token is still in memory alone: %s", error)

    async def _save_renewed(self, stored: AuthRecord | None, record: AuthRecord) -> None:
        """Store what a refresh gave. If the store will not have it, memory must: the old token is spent."""
        try:
            await self._store.save(record)
            self._unsaved = None
        except StorageError as error:
            _log.error("the refreshed token is in memory alone until the store takes it: %s", error)
            self._unsaved = stored
        self._adopt(record)

    async def log_out(self, announce: Callable[[], None], *, revoke: bool = True) -> None:
        """Revoke, as far as the issuer can be reached, delete and announce. Raises StorageError.

        What is revoked is what is stored by then, whoever wrote it. Cancelling the revocation cuts it short
        and no more: once it has begun, a logout ends logged out. Without `revoke` the login ends here alone.
        """
        async with self._changing, self._store.locked():
            if self._unsaved is None:
                self._hold(await self._read_store())
            record = self._record
            try:
                if revoke and record is not None and record.mode == "chatgpt" and record.chatgpt is not None:
                    await self._revoke(record.chatgpt)
            finally:
                with trio.CancelScope(shield=True):
                    await self._store.delete()
                    self._audit.note("logout", mode=record.mode if record is not None else None)
                    self._become(None, announce)

    async def _revoke(self, login: ChatgptLogin) -> None:
        try:
            await self._issuer.revoke(login.tokens.refresh_token)
        except RemoteError as error:
            _log.warning("logging out without the issuer: %s", error)

    def _become(self, record: AuthRecord | None, announce: Callable[[], None] = lambda: None) -> None:
        """Have another credential, and say so."""
        self._external = self._refused = self._unsaved = None
        self._counters.last_refresh = None
        self._hold(record)
        announce()
        self._publish()

    def _adopt(self, record: AuthRecord | None) -> None:
        """Have fresher tokens of the same account. Clients hear of it only if they can see a difference."""
        before = self._announced
        healed, self._refused = self._refused is not None, None
        self._hold(record)
        if self._describe() != before:
            self._publish()
        elif healed:  # those who were told of the refusal are told that it is over
            self._hub.publish(self._describe(), extension=True)

    def _describe(self) -> AccountUpdated:
        current, login = self.current, self.login
        mode = current.mode if current is not None else None
        return AccountUpdated(mode, login.claims.plan if login is not None else None)

    def _publish(self) -> None:
        self._announced = self._describe()
        self._hub.publish(self._announced)

    def _hold(self, record: AuthRecord | None) -> None:
        self._record = record
        login = record.chatgpt if record is not None else None
        # Found once, and not at each request: it takes decoding a token.
        self._due_time = find_due_time(login.tokens, record.last_refresh) if record and login else None
        self._changed.set()
        self._changed = trio.Event()


class _Spent(Exception):
    """The issuer will not take the refresh token of this login."""

    def __init__(self, login: ChatgptLogin, refusal: RefreshRefused) -> None:
        super().__init__(str(refusal))
        self.login = login
        self.refusal = refusal


@asynccontextmanager
async def open_account(
    store: AuthStore, policy: Policy, issuer: Issuer, hub: Hub, *, audit: AuditLog, counters: Counters
) -> AsyncIterator[AccountService]:
    """Give the account, read from its store."""
    account = AccountService(store, policy, issuer, hub, audit=audit, counters=counters)
    await account.load()
    yield account
