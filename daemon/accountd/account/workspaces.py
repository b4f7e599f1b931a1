"""The workspaces of an account's session: listed, and switched between without another login.

A session is a login, known by an id that its refreshes and switches keep. Its person may have several workspaces,
and an access token is for one of them. So a switch exchanges the access token; the refresh token and the ID token
are the session's, and stay, as in Codex: the ID token goes on naming the workspace of the login.

- **All is known before anything is stored**: that the workspace can be had, its token, what it requires, and where
  it is. So a switch that fails has changed nothing, and there is no way back that could fail as well.
- **One change at a time.** The account's lock is held from the gates to the answer, so that a refresh, a logout and
  another switch come after it, and are made of what it has left.
- **Other programs do not wait.** Under the locks that they respect, what is stored is compared. If it is of the
  same session still, they have refreshed it, or switched it too: their refresh token and ID token stay, and the
  access token and the workspace are put in. If it is anybody else's, it is the account from then on, and nothing is
  stored.
- **A refusal** of the refresh token is the session's, and a switch does not heal it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import trio

from accountd.account.continuity import exchange_token
from accountd.backend.client import Access
from accountd.backend.payloads import order_accounts, render_workspaces
from accountd.errors import (
    InvalidRequest,
    RemoteError,
    RemoteRefused,
    RemoteTooSlow,
    RequestFailed,
    RequirementsUnavailable,
    StorageError,
    WorkspaceForbidden,
)
from accountd.oauth.fields import Uncarried, check_id
from accountd.protocol.sessions import AccountSession, AccountSessionWorkspace
from accountd.storage.base import is_same_session, switched_login

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.account.credential import Credential
    from accountd.account.refresh import Refresher
    from accountd.account.routing import Routing
    from accountd.audit.log import AuditLog
    from accountd.backend.client import Backend, Workspace
    from accountd.backend.payloads import AccountPayload, AccountsPayload
    from accountd.config.policy import PolicyHolder
    from accountd.protocol.sessions import AccountSessionsSwitchParams
    from accountd.requirements.service import RequirementsService
    from accountd.secret import Secret
    from accountd.storage.base import AuthRecord, AuthStore, ChatgptLogin
    from accountd.system.clock import Clock

    Reply = Callable[[AccountSession], None]


_UNAVAILABLE: Final = "The selected workspace is unavailable"


class SignIn(msgspec.Struct, frozen=True):
    """What a workspace wants before it is used: that the session's person logs in to it, and nobody else.

    `owner_id` is the id of the session, which goes on. `connection` is where the person has to sign in, if known.
    """

    account_id: str
    user_id: str | None
    owner_id: str | None
    email: str | None
    connection: str | None


class Workspaces:
    """The workspaces of one account. `changing` is the account's lock."""

    def __init__(
        self,
        credential: Credential,
        store: AuthStore,
        refresher: Refresher,
        changing: trio.Lock,
        *,
        routing: Routing,
        requirements: RequirementsService,
        backend: Backend,
        policy: PolicyHolder,
        clock: Clock,
        audit: AuditLog,
    ) -> None:
        self._credential = credential
        self._store = store
        self._refresher = refresher
        self._routing = routing
        self._requirements = requirements
        self._changing = changing
        self._backend = backend
        self._policy = policy
        self._clock = clock
        self._audit = audit

    def describe(self) -> AccountSession | None:
        """Tell of the session what is known; None as in `read_session`."""
        login = self._credential.managed_login
        return None if login is None or login.claims.user_id is None else self._render(login)

    async def read_session(self, *, look: bool) -> AccountSession | None:
        """Tell of the session; with a look at the backend, of all its workspaces, else of the selected one.

        None where nobody is logged in, or not with a login of ours. Raises RequestFailed.
        """
        await self._refresher.refresh_if_due()
        login, session = self._credential.managed_login, self.describe()
        if login is None or session is None or not look:
            return session
        payload = await self._look(login)
        if not self._credential.is_still(login):
            raise RequestFailed("Authentication changed while listing account sessions")
        return msgspec.structs.replace(session, workspaces=render_workspaces(payload))

    async def switch(
        self,
        wanted: AccountSessionsSwitchParams,
        reply: Reply,
        *,
        originator: str,
        is_login_under_way: Callable[[], bool],
    ) -> SignIn | None:
        """Use another workspace; `reply` is called when that is so, or was, right after it is announced.

        Instead, what comes back is the sign-in that the workspace wants, if that is allowed, and nothing has
        changed. Nor has it where InvalidRequest or RequestFailed is raised, nor where it is cancelled. A token that
        is due is refreshed before it is exchanged.
        """
        has_refreshed = False
        while True:
            async with self._changing:
                login = self._admit(wanted, is_login_under_way)
                if login.account_id == wanted.account_id:
                    reply(self._render(login))
                    return None
                self._check_policy(wanted.account_id)
                if has_refreshed or not self._refresher.is_due():
                    return await self._switch(login, wanted, reply, originator)
            await self._refresher.refresh_if_due()
            has_refreshed = True

    def _admit(self, wanted: AccountSessionsSwitchParams, is_login_under_way: Callable[[], bool]) -> ChatgptLogin:
        """Pass the gates for which nobody is asked, in Codex's order. Raises InvalidRequest."""
        if is_login_under_way():
            raise InvalidRequest("Finish or cancel the current login before switching workspaces")
        if not wanted.account_id.strip():
            raise InvalidRequest("accountId must not be empty")
        login = self._credential.managed_login
        if login is None:
            raise InvalidRequest("Workspace switching requires a managed ChatGPT login")
        if wanted.session_id != login.session_id:
            raise InvalidRequest("Only the active managed account session can be switched")
        return login

    def _check_policy(self, account_id: str) -> None:
        try:
            self._policy.current.check_workspace_id(account_id)
        except WorkspaceForbidden as error:
            raise InvalidRequest(str(error)) from error

    async def _switch(
        self, login: ChatgptLogin, wanted: AccountSessionsSwitchParams, reply: Reply, originator: str
    ) -> SignIn | None:
        """Find everything out, then commit. Under the account's lock."""
        account_id = wanted.account_id
        entry = _find(await self._look(login), account_id)
        if entry.can_access_with_session is False:
            if not wanted.allow_browser_login:
                raise InvalidRequest("The selected workspace requires a new sign-in")
            user_id, email = login.claims.user_id, login.claims.email
            return SignIn(account_id, user_id, login.login_owner_id, email, entry.sso_connection_name)
        token = await self._exchange(login, account_id, originator)
        workspace = await self._validate(login, token, account_id)
        await self._commit(login, token, account_id, workspace, reply)
        return None

    async def _look(self, login: ChatgptLogin) -> AccountsPayload:
        try:
            return await self._backend.read_accounts(Access.by(login))
        except RemoteTooSlow as error:
            raise RequestFailed("Workspace metadata request timed out") from error
        except RemoteError as error:
            raise RequestFailed("Failed to fetch workspace metadata") from error

    async def _exchange(self, login: ChatgptLogin, account_id: str, originator: str) -> Secret:
        tokens, user_id = login.tokens, login.claims.user_id
        try:
            return await exchange_token(self._backend, tokens.access_token, user_id, account_id, originator)
        except RemoteRefused as error:
            raise InvalidRequest(str(error)) from error
        except RemoteError as error:
            raise RequestFailed(f"Workspace switch failed: {error}") from error

    async def _validate(self, login: ChatgptLogin, token: Secret, account_id: str) -> Workspace:
        """Have what the workspace requires, and find out where it is, with its own token."""
        try:
            await self._requirements.load_for(switched_login(login, token, account_id))
            return await self._backend.look_up_workspace(token, account_id)
        except (RequirementsUnavailable, RemoteError) as error:
            raise RequestFailed(f"Workspace validation failed: {error}") from error

    async def _commit(
        self, login: ChatgptLogin, token: Secret, account_id: str, workspace: Workspace, reply: Reply
    ) -> None:
        """Store, know, announce, and answer last, as Codex does. Shielded: all of it, or nothing."""
        try:
            with trio.CancelScope(shield=True):
                async with self._store.locked():
                    record, login = await self._load_session(login)
                    switched = switched_login(login, token, account_id)
                    self._check_policy(account_id)  # once more: it may have changed meanwhile
                    record = msgspec.structs.replace(record, chatgpt=switched)
                    await self._store.save(record)
                    self._credential.move(record)
                    self._routing.take(switched, workspace)
                    self._audit.note("workspace.switched", account=account_id)
                    reply(self._render(switched))
        except StorageError as error:
            raise RequestFailed(f"the workspace was not switched: {error}") from error

    async def _load_session(self, login: ChatgptLogin) -> tuple[AuthRecord, ChatgptLogin]:
        """Read what the store has of this session. Raises InvalidRequest if that is nothing, and StorageError."""
        credential = self._credential
        stored = await self._store.load()
        record = credential.record if credential.is_newer_than(stored) else stored
        if record is None or record.chatgpt is None or not is_same_session(record, login):
            credential.give_way(stored)
            raise InvalidRequest("Account credentials changed")
        return record, record.chatgpt

    def _render(self, login: ChatgptLogin) -> AccountSession:
        """Describe the session as it is known without a look."""
        own = () if login.account_id is None else (AccountSessionWorkspace(login.account_id),)
        return AccountSession(
            session_id=login.session_id or "",
            email=login.claims.email,
            user_id=login.claims.user_id,
            last_used_at=int(self._clock.now()),
            selected_workspace_account_id=login.account_id,
            workspaces=own,
        )


def _find(payload: AccountsPayload, account_id: str) -> AccountPayload:
    """Find the workspace among those of the person, if it can be switched to. Raises InvalidRequest."""
    try:
        check_id("the account id", account_id)
    except Uncarried:
        raise InvalidRequest(_UNAVAILABLE) from None
    entry = next((entry for found_id, entry in order_accounts(payload) if found_id == account_id), None)
    if entry is None or entry.is_deactivated:
        raise InvalidRequest(_UNAVAILABLE)
    if entry.is_fedramp_compliant_workspace:
        raise InvalidRequest("Sign in to switch government workspaces")
    return entry
