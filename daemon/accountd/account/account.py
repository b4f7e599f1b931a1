"""One account: who is logged in, and all that goes with it, as one object made of parts.

    credential     what is in use, what is known of it, what clients have been told
    store_watch    what other programs do to what is stored
    refresher      when its tokens are refreshed; how, is the business of `rotation`
    routing        where the backend says that its workspace is
    requirements   what its organisation requires
    usage          limits and messages, asked for and never kept
    workspaces     those of its session, and the switch to another
    reader         what clients are told of it all

An account is a place for a credential: `auth.json`, whose account is the active one, or a record of the vault. What
moves a credential from one to another is told in `accounts`. A change has an order: **stored, known, announced.**

- *Stored* first, because what is not on disk is gone with the daemon, and who was told of a login cannot be untold.
  If the store fails, nothing has happened.
- *Known* next, with no step of another task between it and the announcement. So whoever asks because of what it has
  heard is answered by what it has heard.
- *Announced* last: first to who asked for the change, by `announce`, then to everybody, as `account/updated`. A
  client has the answer before it hears of what came of it.

One change is made at a time. The account's lock is held from the look at what there was until the announcement;
the store's locks, which other programs respect, are taken inside it and never around it; who only reads takes none.
A logout is shielded from its deletion on, and bounded by the store's wait for other programs.

A refresh is the one change that does not take *stored* as a condition: the tokens that it replaces are spent, so
memory has the new ones even if no store will. That, and what else is special about it, is told in `rotation`.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import trio

from accountd.account.credential import Credential
from accountd.account.reader import AccountReader
from accountd.account.refresh import Refresher
from accountd.account.rotation import Rotation
from accountd.account.routing import Routing
from accountd.account.store_watch import StoreWatch
from accountd.account.usage import UsageService
from accountd.account.workspaces import Workspaces
from accountd.errors import (
    CredentialsLocked,
    MalformedRecord,
    RemoteError,
    RequestFailed,
    StorageError,
)
from accountd.requirements.service import open_requirements
from accountd.supervisor import supervise

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from accountd.account.external import ExternalTokens
    from accountd.audit.log import AuditLog
    from accountd.backend.client import Backend
    from accountd.config.policy import PolicyHolder
    from accountd.counters import Counters
    from accountd.hub import Hub
    from accountd.requirements.service import MayAskAgain, RequirementsService
    from accountd.storage.base import AuthStore, ChatgptLogin, StoreDescription
    from accountd.system.clock import Clock
    from accountd.web.issuer import Issuer

    class MakeRequirements(Protocol):
        """Makes the requirements of an account; with `kept`, those of the next start as well."""

        def __call__(
            self, credential: Credential, may_ask_again: MayAskAgain, *, kept: bool
        ) -> RequirementsService:
            """Make them."""
            ...


_UNSAVED: Final = (
    "it does not take what the last refresh gave, which is in memory alone; the login that is stored is spent, and "
    "lost with the daemon: see auth.rehearsal of `accountd doctor`"
)

_log = logging.getLogger(__name__)


class Shared(msgspec.Struct, frozen=True):
    """What an account stands on, and would share with others."""

    hub: Hub
    policy: PolicyHolder
    issuer: Issuer
    backend: Backend
    clock: Clock
    audit: AuditLog
    counters: Counters
    make_requirements: MakeRequirements


class Account:
    """One account. Opened by `open_account`; every method is for use inside that block."""

    def __init__(
        self, store: AuthStore, shared: Shared, refreshes: trio.Nursery, *, is_active: bool = True
    ) -> None:
        self._changing = trio.Lock()
        self.store = store
        self._issuer, self._audit = shared.issuer, shared.audit
        self.credential = credential = Credential(shared.policy, shared.hub)
        self.store_watch = StoreWatch(credential, store, self._changing)
        rotation = Rotation(
            credential,
            store,
            shared.issuer,
            shared.backend,
            self._changing,
            clock=shared.clock,
            audit=shared.audit,
            counters=shared.counters,
        )
        self.refresher = Refresher(refreshes, credential, self.store_watch, rotation=rotation, clock=shared.clock)
        self.routing = Routing(credential, self.refresher, shared.backend, shared.hub)
        self.requirements = shared.make_requirements(credential, self.refresher.may_ask_again, kept=is_active)
        self.usage = UsageService(credential, self.refresher, shared.backend)
        self.workspaces = Workspaces(
            credential,
            store,
            self.refresher,
            self._changing,
            routing=self.routing,
            requirements=self.requirements,
            backend=shared.backend,
            policy=shared.policy,
            clock=shared.clock,
            audit=shared.audit,
        )
        self.reader = AccountReader(
            credential,
            self.store_watch,
            self.refresher,
            self.routing,
            audit=shared.audit,
            clock=shared.clock,
        )

    def describe_store(self) -> StoreDescription:
        """Say which store holds the credential, and what a person should know about that."""
        place = self.store.describe()
        return msgspec.structs.replace(place, note=_UNSAVED) if self.credential.is_unsaved else place

    @property
    def outlasts_the_daemon(self) -> bool:
        """Whether the next daemon would find all that there is: nothing of it is in memory alone."""
        if self.credential.is_external or self.credential.is_unsaved:
            return False
        return self.credential.record is None or self.store.describe().kind != "memory"

    async def rehearse(self) -> None:
        """Raise RequestFailed, naming the place and a remedy, if a login could not be stored now."""
        try:
            await self.store.rehearse()
        except StorageError as error:
            raise RequestFailed(f"the login could not be stored: {error}") from error

    @asynccontextmanager
    async def kept_still(self) -> AsyncIterator[None]:
        """Let nobody change the account during the block. Cancellable while it waits, for a refresh it may be."""
        async with self._changing:
            yield

    async def use_external(self, external: ExternalTokens, announce: Callable[[], None]) -> None:
        """Use a client's own tokens, until a logout, whatever is stored. Announced as by `commit`."""
        async with self._changing:
            self.credential.use_external(external)
            external.note_supplied()
            announce()
            self.credential.publish()

    async def follow_policy(self) -> None:
        """Hide or show the credential as the policy now says, and announce it. It stays stored either way.

        A client's own tokens that it forbids are forgotten.
        """
        async with self._changing:
            self.credential.follow_policy()

    async def log_out(self, announce: Callable[[], None], *, revoke: bool = True) -> None:
        """Revoke, as far as the issuer can be reached, delete and announce. Raises StorageError.

        What is revoked is what is stored by then, whoever wrote it. Cancelling the revocation cuts it short
        and no more: once it has begun, a logout ends logged out. Without `revoke` the login ends here alone.
        """
        credential = self.credential
        async with self._changing, self._locked_if_possible():
            if not credential.is_unsaved:
                try:
                    credential.hold(await self.store.load())
                except MalformedRecord as error:
                    _log.warning("nothing is revoked, since the stored credential cannot be read: %s", error)
                    credential.hold(None)
                except StorageError as error:
                    _log.warning("what is revoked is what was known, since the store cannot be read: %s", error)
            record = credential.record
            await self.store.rehearse_delete()
            try:
                if revoke and record is not None and record.mode == "chatgpt" and record.chatgpt is not None:
                    await self._revoke(record.chatgpt)
            finally:
                with trio.CancelScope(shield=True):
                    await self.store.delete()
                    mode = record.mode if record is not None else None
                    self._audit.note("logout", mode=mode, account=credential.known_as)
                    credential.become(None, announce)

    @asynccontextmanager
    async def _locked_if_possible(self) -> AsyncIterator[None]:
        """Lock the store, but do without if another program never lets go: a person must be able to log out."""
        async with AsyncExitStack() as held:
            try:
                await held.enter_async_context(self.store.locked())
            except CredentialsLocked as error:
                _log.warning("logging out without the credential locks: %s", error)
            yield

    async def _revoke(self, login: ChatgptLogin) -> None:
        try:
            tokens = login.tokens
            if tokens.refresh_token:
                await self._issuer.revoke(tokens.refresh_token)
            else:
                await self._issuer.revoke(tokens.access_token, "access_token")
        except RemoteError as error:
            _log.warning("logging out without the issuer: %s", error)


@asynccontextmanager
async def open_account(
    store: AuthStore, shared: Shared, prepare: Callable[[Account], None] = lambda _: None, *, is_active: bool = True
) -> AsyncIterator[Account]:
    """Give the account, read from its store, refreshed and held to its requirements from now on.

    `prepare` is called before anything of it begins. Leaving the block lets a refresh that has been sent come home.
    """
    async with trio.open_nursery() as refreshes:
        account = Account(store, shared, refreshes, is_active=is_active)
        prepare(account)
        await account.store_watch.load()
        refreshes.start_soon(supervise, "refreshing ahead of time", account.refresher.refresh_ahead)
        async with open_requirements(account.requirements):
            yield account
        refreshes.cancel_scope.cancel()
    if account.credential.is_unsaved:  # nobody will have these tokens any more, unless the store takes them now
        with trio.CancelScope(shield=True):
            await account.refresher.save_again()
