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
    RemoteRefused,
    RequestFailed,
    StorageError,
)
from accountd.oauth.refresh import find_due_time
from accountd.protocol.account import (
    AccountUpdated,
    ApiKeyAccount,
    ChatgptAccount,
    GetAccountResponse,
    GetAuthStatusResponse,
    WorkspaceRouting,
)
from accountd.storage.base import refreshed_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from accountd.adapters.backend import Backend, Workspace
    from accountd.adapters.issuer import Issuer
    from accountd.config import LoginMethod
    from accountd.external import ExternalTokens
    from accountd.hub import Hub
    from accountd.oauth.refresh import Reason
    from accountd.policy import Policy
    from accountd.storage.base import AuthRecord, AuthStore, ChatgptLogin, Mode

_CHANGED_UNDERNEATH: Final = (
    "Your access token could not be refreshed because you have since logged out or signed in to another account. "
    "Please sign in again."
)
_METHODS: Final[dict[Mode, LoginMethod]] = {"apikey": "api", "chatgpt": "chatgpt", "chatgptAuthTokens": "chatgpt"}

_log = logging.getLogger(__name__)


class AccountService:
    """The current account. Opened by `open_account`; every method is for use inside that block."""

    def __init__(self, store: AuthStore, policy: Policy, issuer: Issuer, backend: Backend, hub: Hub) -> None:
        self._store = store
        self._policy = policy
        self._issuer = issuer
        self._backend = backend
        self._hub = hub
        self._record: AuthRecord | None = None
        self._changing = trio.Lock()
        self._looking_up = trio.Lock()
        self._workspace: tuple[ChatgptLogin, Workspace] | None = None
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
        if record is None or record.mode is None or not self._policy.permits(_METHODS[record.mode]):
            return None
        return record

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
        if login is None or self._external is not None or self._find_refusal(login) is not None:
            return None
        return self._due_time

    @property
    def changed(self) -> trio.Event:
        """Set when the credential is another one than when this was asked for."""
        return self._changed

    def _find_refusal(self, login: ChatgptLogin) -> RefreshRefused | None:
        """Recall that the issuer has refused to refresh exactly this login."""
        return self._refused[1] if self._refused is not None and self._refused[0] is login else None

    async def load(self) -> None:
        """Read the store for the first time. A credential that cannot be read counts as none, and is warned of."""
        self._hold(await self._read_store())
        self._announced = self._describe()

    async def reload(self) -> None:
        """Look at the store again, since another program may have written it; announce what is new there."""
        async with self._changing:
            stored = await self._read_store()
            if stored == self._record or (self._unsaved is not None and stored == self._unsaved):
                return
            if self._external is None:
                self._become(stored)
            else:
                self._hold(stored)

    async def _read_store(self) -> AuthRecord | None:
        try:
            return await self._store.load()
        except StorageError as error:
            _log.warning("nobody is logged in, since the stored credential cannot be read: %s", error)
            return None

    def known(self) -> GetAccountResponse | None:
        """Say who is logged in, or None if `look_up` has to be asked, because the workspace is not known yet."""
        login = self.login
        if login is None:
            return GetAccountResponse(account=None if self.current is None else ApiKeyAccount())
        if self._find_refusal(login) is not None:
            return GetAccountResponse(account=None)
        if login.account_id is None:
            return _render_chatgpt(login, None)
        if self._workspace is not None and self._workspace[0] is login:
            return _render_chatgpt(login, self._workspace[1])
        return None

    async def look_up(self) -> GetAccountResponse:
        """Say who is logged in, and ask the backend for the workspace: once for each credential.

        Raises RequestFailed when the backend does not tell; the next call asks again. Tokens that the backend
        refuses are replaced, if that can be, and it is asked once more.
        """
        async with self._looking_up:  # those who come while one asks wait for its answer
            recovered = False
            while (answer := self.known()) is None:
                login = self.login
                if login is None or login.account_id is None:
                    continue
                try:
                    workspace = await self._backend.look_up_workspace(login.tokens.access_token, login.account_id)
                    self._workspace = (login, workspace)
                except RemoteError as error:
                    refused = isinstance(error, RemoteRefused) and error.status == 401
                    if not refused or recovered or not await self.recover(login):
                        raise RequestFailed(str(error)) from error
                    recovered = True
            return answer

    async def recover(self, login: ChatgptLogin) -> bool:
        """Have other tokens than these, which the backend has refused; say whether there are."""
        external, record = self._external, self.current
        try:
            if external is not None and record is not None:
                await external.renew(record)
                self._adopt(self._record)
            else:
                await self.renew("forced", instead_of=login)
        except (RefreshError, ClientFailed, LoginFailed) as error:
            _log.warning("tokens that the backend refuses were not replaced: %s", error)
        return self.login is not None and self.login is not login

    def auth_status(self, *, include_token: bool) -> GetAuthStatusResponse:
        """Say how one is logged in, with the access token or API key if asked for; never a refresh token."""
        record, login = self.current, self.login
        token = login.tokens.access_token if login is not None else record and record.api_key
        if record is None or not token:  # an empty key is no login
            return GetAuthStatusResponse()
        given = include_token and not (login is not None and self._find_refusal(login) is not None)
        return GetAuthStatusResponse(record.mode, token.reveal() if given else None)

    async def use_external(self, external: ExternalTokens, announce: Callable[[], None]) -> None:
        """Use a client's own tokens, until a logout, whatever is stored. Announced as by `commit`."""
        async with self._changing:
            self._external = external
            self._workspace = None
            self._hold(self._record)
            announce()
            self._publish()

    async def commit(self, record: AuthRecord, announce: Callable[[], None]) -> None:
        """Make a credential the current one: stored, known, announced; all of it, or nothing and StorageError.

        Shielded: once begun it is seen through, and the store bounds its wait for other programs.
        `announce` is called when it is done, right before `account/updated`.
        """
        with trio.CancelScope(shield=True):
            async with self._changing, self._store.locked():
                await self._store.save(record)
                self._become(record, announce)

    async def renew(self, reason: Reason, instead_of: ChatgptLogin | None = None) -> None:
        """Have fresh tokens: those that another program has stored, else new ones from the issuer.

        With `instead_of`, only if it is these that are still in use. A client's own tokens are not renewed.

        They are stored before anybody sees them. Raises RefreshError, and then the account is as it was; but
        for one that has changed underneath, which is never overwritten: that one is the account then.
        A refresh token that has been sent is seen through, whoever cancels.
        """
        try:
            async with self._changing, self._store.locked():
                login = self.login
                if login is None or self._external is not None or instead_of not in (None, login):
                    return
                stored = await self._store.load()
                if self._unsaved is not None and stored == self._unsaved and self._record is not None:
                    await self._save_renewed(stored, self._record)
                elif stored is None or not _is_same_account(stored, login):
                    self._become(stored)
                    raise RefreshRefused(_CHANGED_UNDERNEATH)
                elif stored.chatgpt is not None and stored.chatgpt.tokens != login.tokens:
                    self._adopt(stored)  # another program was first
                elif (refusal := self._find_refusal(login)) is not None:
                    raise RefreshRefused(str(refusal), refusal.code)
                else:
                    with trio.CancelScope(shield=True):
                        await self._spend(stored, login, reason)
        except StorageError as error:
            raise RefreshFailed(str(error)) from error

    async def _spend(self, stored: AuthRecord, login: ChatgptLogin, reason: Reason) -> None:
        """Spend the refresh token. From here to the store nothing may come between."""
        try:
            refreshed = await self._issuer.refresh(login.tokens.refresh_token, reason)
        except RefreshRefused as refusal:
            newer = await self._read_store()  # by a program that takes no locks
            if newer is not None and newer != stored and _is_same_account(newer, login):
                self._adopt(newer)
                return
            self._refused = (login, refusal)
            self._hub.publish(AccountUpdated(None, None), extension=True)
            raise
        await self._save_renewed(stored, refreshed_record(stored, login, refreshed, time.time_ns()))

    async def _save_renewed(self, stored: AuthRecord, record: AuthRecord) -> None:
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
                    self._become(None, announce)

    async def _revoke(self, login: ChatgptLogin) -> None:
        try:
            await self._issuer.revoke(login.tokens.refresh_token)
        except RemoteError as error:
            _log.warning("logging out without the issuer: %s", error)

    def _become(self, record: AuthRecord | None, announce: Callable[[], None] = lambda: None) -> None:
        """Have another credential, and say so."""
        self._external = self._workspace = self._refused = self._unsaved = None
        self._hold(record)
        announce()
        self._publish()

    def _adopt(self, record: AuthRecord | None) -> None:
        """Have fresher tokens of the same account. Clients hear of it only if they can see a difference."""
        before, workspace = self._announced, self._workspace
        self._hold(record)
        self._refused = None
        login = self.login
        if workspace is not None and login is not None and login.account_id == workspace[0].account_id:
            self._workspace = (login, workspace[1])
        if self._describe() != before:
            self._publish()

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


def _is_same_account(record: AuthRecord, login: ChatgptLogin) -> bool:
    other = record.chatgpt
    return record.mode == "chatgpt" and other is not None and other.account_id == login.account_id


def _render_chatgpt(login: ChatgptLogin, workspace: Workspace | None) -> GetAccountResponse:
    claims = login.claims
    routing = None
    if workspace is not None and login.account_id is not None:
        routing = WorkspaceRouting(login.account_id, workspace.backend_origin, workspace.routing_override)
    return GetAccountResponse(
        account=ChatgptAccount(claims.email, claims.plan, workspace.name if workspace is not None else None),
        user_id=claims.user_id,
        workspace_routing=routing,
    )


@asynccontextmanager
async def open_account(
    store: AuthStore, policy: Policy, issuer: Issuer, backend: Backend, hub: Hub
) -> AsyncIterator[AccountService]:
    """Give the account, read from its store."""
    account = AccountService(store, policy, issuer, backend, hub)
    await account.load()
    yield account
