"""What clients are told of the account: who is logged in, in which workspace, and with which token.

The backend knows the workspace; it is asked once for each login. Nothing is changed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from accountd.errors import InvalidRequest, RefreshError, RemoteError, RemoteRefused, RequestFailed
from accountd.protocol.account import (
    ApiKeyAccount,
    ChatgptAccount,
    GetAccountResponse,
    GetAuthStatusResponse,
    ReadTokenResponse,
    WorkspaceRouting,
)

if TYPE_CHECKING:
    from accountd.account.refresher import Refresher
    from accountd.account.service import AccountService
    from accountd.adapters.backend import Backend, Workspace
    from accountd.audit import AuditLog
    from accountd.storage.base import ChatgptLogin


class AccountReader:
    """Reads the current account."""

    def __init__(self, account: AccountService, refresher: Refresher, backend: Backend, audit: AuditLog) -> None:
        self._audit = audit
        self._account = account
        self._refresher = refresher
        self._backend = backend
        self._looking_up = trio.Lock()
        self._workspace: tuple[object, Workspace] | None = None

    def known(self) -> GetAccountResponse | None:
        """Say who is logged in, or None if `look_up` has to be asked, because the workspace is not known yet."""
        login = self._account.login
        if login is None:
            return GetAccountResponse(account=None if self._account.current is None else ApiKeyAccount())
        if self._account.find_refusal(login) is not None:
            return GetAccountResponse(account=None)
        if login.account_id is None:
            return _render_chatgpt(login, None)
        if self._workspace is not None and self._workspace[0] == _key(login):
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
                login = self._account.login
                if login is None or login.account_id is None:  # pragma: no cover - of these, all is known
                    continue
                try:
                    workspace = await self._backend.look_up_workspace(login.tokens.access_token, login.account_id)
                    self._workspace = (_key(login), workspace)
                except RemoteError as error:
                    refused = isinstance(error, RemoteRefused) and error.status == 401
                    if not refused or recovered or not await self._account.recover(login):
                        raise RequestFailed(str(error)) from error
                    recovered = True
            return answer

    def auth_status(self, *, include_token: bool) -> GetAuthStatusResponse:
        """Say how one is logged in, with the access token or API key if asked for; never a refresh token."""
        status = self._status(include_token=include_token)
        if status.auth_token is not None:
            self._audit.note("token.handedOut", mode=status.auth_method)
        return status

    def _status(self, *, include_token: bool) -> GetAuthStatusResponse:
        record, login = self._account.current, self._account.login
        token = login.tokens.access_token if login is not None else record and record.api_key
        if record is None or not token:  # an empty key is no login
            return GetAuthStatusResponse()
        given = include_token and not (login is not None and self._account.find_refusal(login) is not None)
        return GetAuthStatusResponse(record.mode, token.reveal() if given else None)

    async def hand_out(self, min_valid: float) -> ReadTokenResponse:
        """Give a token that is good for so many seconds at least, refreshed only if it must be.

        Raises InvalidRequest where nobody is logged in, RequestFailed where no such token can be had.
        """
        if self._account.is_unread:
            await self._account.reload()
        if self._is_short(min_valid):
            try:
                await self._refresher.refresh("proactive_expiry")
            except RefreshError as error:
                raise RequestFailed(str(error)) from error
        record, login, status = self._account.current, self._account.login, self._status(include_token=True)
        if record is None or record.mode is None:
            raise InvalidRequest("nobody is logged in")
        if status.auth_token is None:
            raise RequestFailed("the login that is stored is no longer accepted; log in again")
        if self._is_short(min_valid):
            raise RequestFailed(f"no token can be had that is good for {min_valid:.0f} s")
        expiry = login.expires_at if login is not None else None
        self._audit.note("token.handedOut", mode=record.mode, minValidSeconds=min_valid)
        return ReadTokenResponse(
            record.mode, status.auth_token, expiry, login.account_id if login is not None else None
        )

    def _is_short(self, min_valid: float) -> bool:
        left = self._refresher.seconds_left()
        return left is not None and left < min_valid


def _key(login: ChatgptLogin) -> object:
    """Name what a workspace is remembered for: a login, however often its tokens are refreshed."""
    return (login.account_id, login.login_owner_id)


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
