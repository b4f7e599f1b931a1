"""The changes of the account: loaded, followed, committed, replaced, logged out. One at a time, and durable."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import trio

from accountd.account.external import EXTERNAL_IS_ACTIVE
from accountd.account.rotation import Rotation
from accountd.account.state import AccountState
from accountd.errors import ClientFailed, LoginFailed, RefreshError, RemoteError, StorageError
from accountd.storage.base import CredentialsLocked, MalformedRecord
from accountd.unforeseen import report

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from accountd.account.external import ExternalTokens
    from accountd.audit.log import AuditLog
    from accountd.config.policy import PolicyHolder
    from accountd.counters import Counters
    from accountd.hub import Hub
    from accountd.oauth.refresh import Reason
    from accountd.storage.base import AuthRecord, AuthStore, ChatgptLogin, StoreDescription
    from accountd.web.issuer import Issuer

_log = logging.getLogger(__name__)


class AccountService(AccountState):
    """The current account. Opened by `open_account`; every method is for use inside that block."""

    def __init__(
        self,
        store: AuthStore,
        policy: PolicyHolder,
        issuer: Issuer,
        hub: Hub,
        *,
        audit: AuditLog,
        counters: Counters,
    ) -> None:
        super().__init__(policy, hub, counters)
        self._store = store
        self._issuer = issuer
        self._audit = audit
        self._unread = False  # the store could not be read, and so may have what is not known here
        self._renewal = Rotation(self, store, issuer, audit=audit, counters=counters)

    def describe_store(self) -> StoreDescription:
        """Say which store holds the credential, and what a person should know about that."""
        return self._store.describe()

    @property
    def outlasts_the_daemon(self) -> bool:
        """Whether the next daemon would find all that there is: nothing of it is in memory alone."""
        if self.is_external or self.is_unsaved:
            return False
        return self.record is None or self._store.describe().kind != "memory"

    async def load(self) -> None:
        """Read the store for the first time. A credential that cannot be read counts as none, and is warned of.

        Whatever is wrong with it, there is a daemon, in which one can log in and out.
        """
        try:
            self.hold(await self._read_store())
        except StorageError as error:
            self._unread = not isinstance(error, MalformedRecord)
            _log.warning("nobody is logged in, since the stored credential cannot be read: %s", error)
            self.note_unreadable(error)
        except Exception as error:  # noqa: BLE001 - a bug fails this look, not the start
            report(_log, "reading what is stored", error)
            self._unread = True
        self.take_as_told()

    async def reload(self) -> None:
        """Look at the store again, since another program may have written it; announce what is new there."""
        async with self.changing:
            unreadable = None
            try:
                stored = await self._store.load()
            except MalformedRecord as error:
                if self.is_unsaved:
                    return  # somebody else's file did not get to the disk whole either
                _log.warning("nobody is logged in, since the stored credential cannot be read: %s", error)
                stored, unreadable = None, error
            except StorageError as error:
                if not self._unread:
                    _log.warning("the store cannot be read, so the credential stays as it was: %s", error)
                self._unread = True
                if self.record is None:
                    self.note_unreadable(error)
                return
            self._unread = False
            if stored != self.record and not self.is_newer_than(stored):
                if self.is_external:
                    self.hold(stored)
                else:
                    self.become(stored)
            self.note_unreadable(unreadable)

    @property
    def is_unread(self) -> bool:
        """Whether the store could not be read when it should have been; `reload` tries again.

        A keyring is not asked again: each time could take seconds.
        """
        return self._unread and self._store.describe().kind == "file"

    async def _read_store(self) -> AuthRecord | None:
        try:
            await self._store.recover()
        except StorageError as error:
            _log.warning("what a crash may have left is not looked at yet: %s", error)
        return await self._store.load()

    async def follow_policy(self) -> None:
        """Hide or show the credential as the policy now says, and announce it. It stays stored either way.

        A client's own tokens that it forbids are forgotten.
        """
        async with self.changing:
            if self.external is not None and not self.permits(self.external.record):
                self.external = None
            if self.is_news:
                self.hold(self.record)
                self.publish()

    async def use_external(self, external: ExternalTokens, announce: Callable[[], None]) -> None:
        """Use a client's own tokens, until a logout, whatever is stored. Announced as by `commit`."""
        async with self.changing:
            self.external = external
            self.hold(self.record)
            self._note_supplied()
            announce()
            self.publish()

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
            async with self.changing, self._store.locked():
                if self.is_external:
                    raise LoginFailed(EXTERNAL_IS_ACTIVE)
                await self._store.save(record)
                self.become(record, announce)

    async def renew(self, reason: Reason, instead_of: ChatgptLogin | None = None) -> None:
        """Have fresh tokens: those that another program has stored, else new ones from the issuer.

        With `instead_of`, only if it is these that are still in use. A client's own tokens are not renewed.

        They are stored before anybody sees them. Raises RefreshError, and then the account is as it was; but
        for one that has changed underneath, which is never overwritten: that one is the account then.
        A refresh token that has been sent is seen through, whoever cancels.
        """
        await self._renewal.renew(reason, instead_of)

    async def save_again(self) -> None:
        """Have the store take what it would not take before, unless it has something else by now."""
        await self._renewal.save_again()

    async def recover(self, login: ChatgptLogin) -> bool:
        """Have other tokens than these, which the backend has refused; say whether there are."""
        external, record = self.external, self.current
        try:
            if external is not None and record is not None:
                if await external.renew(record):
                    self._note_supplied()
                self.adopt(self.record)
            else:
                await self.renew("unauthorized_recovery", instead_of=login)
        except (RefreshError, ClientFailed, LoginFailed) as error:
            _log.warning("tokens that the backend refuses were not replaced: %s", error)
        return self.login is not None and self.login is not login

    async def log_out(self, announce: Callable[[], None], *, revoke: bool = True) -> None:
        """Revoke, as far as the issuer can be reached, delete and announce. Raises StorageError.

        What is revoked is what is stored by then, whoever wrote it. Cancelling the revocation cuts it short
        and no more: once it has begun, a logout ends logged out. Without `revoke` the login ends here alone.
        """
        async with self.changing, self._locked_if_possible():
            if not self.is_unsaved:
                try:
                    self.hold(await self._store.load())
                except MalformedRecord as error:
                    _log.warning("nothing is revoked, since the stored credential cannot be read: %s", error)
                    self.hold(None)
                except StorageError as error:
                    _log.warning("what is revoked is what was known, since the store cannot be read: %s", error)
            record = self.record
            try:
                if revoke and record is not None and record.mode == "chatgpt" and record.chatgpt is not None:
                    await self._revoke(record.chatgpt)
            finally:
                with trio.CancelScope(shield=True):
                    await self._store.delete()
                    self._audit.note("logout", mode=record.mode if record is not None else None)
                    self.become(None, announce)

    @asynccontextmanager
    async def _locked_if_possible(self) -> AsyncIterator[None]:
        """Lock the store, but do without if another program never lets go: a person must be able to log out."""
        async with AsyncExitStack() as held:
            try:
                await held.enter_async_context(self._store.locked())
            except CredentialsLocked as error:
                _log.warning("logging out without the credential locks: %s", error)
            yield

    async def _revoke(self, login: ChatgptLogin) -> None:
        try:
            await self._issuer.revoke(login.tokens.refresh_token)
        except RemoteError as error:
            _log.warning("logging out without the issuer: %s", error)


@asynccontextmanager
async def open_account(
    store: AuthStore, policy: PolicyHolder, issuer: Issuer, hub: Hub, *, audit: AuditLog, counters: Counters
) -> AsyncIterator[AccountService]:
    """Give the account, read from its store."""
    account = AccountService(store, policy, issuer, hub, audit=audit, counters=counters)
    await account.load()
    yield account
