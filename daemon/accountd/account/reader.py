"""What clients are told of the account: who is logged in, in which workspace, and with which token.

Whoever has a model provider that needs no such login is told of none, as in Codex. Nothing is changed here.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from accountd.account.fault import find_fault
from accountd.errors import NotLoggedIn, RefreshError, RequestError, RequestFailed
from accountd.protocol.account import (
    ApiKeyAccount,
    ChatgptAccount,
    GetAccountResponse,
    GetAuthStatusResponse,
    ReadTokenResponse,
    WorkspaceRouting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.account.credential import Credential
    from accountd.account.refresh import Refresher
    from accountd.account.routing import Routing
    from accountd.account.store_watch import StoreWatch
    from accountd.audit.log import AuditLog
    from accountd.backend.client import Workspace
    from accountd.errors import AccountdError
    from accountd.storage.base import ChatgptLogin
    from accountd.system.clock import Clock


class AccountReader:
    """Reads one account."""

    def __init__(
        self,
        credential: Credential,
        store_watch: StoreWatch,
        refresher: Refresher,
        routing: Routing,
        *,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._audit = audit
        self._clock = clock
        self._credential = credential
        self._store_watch = store_watch
        self._refresher = refresher
        self._routing = routing

    def known(self) -> GetAccountResponse | None:
        """Say who is logged in, or None if `look_up` has to be asked, because the workspace is not known yet."""
        if not self._credential.requires_openai_auth:
            return GetAccountResponse(account=None, requires_openai_auth=False)
        login = self._credential.login
        if login is None:
            return GetAccountResponse(account=None if self._credential.current is None else ApiKeyAccount())
        if self._credential.find_refusal(login) is not None:
            return GetAccountResponse(account=None)
        workspace = None if login.account_id is None else self._routing.find(login)
        return None if workspace is None and login.account_id is not None else _render_chatgpt(login, workspace)

    async def look_up(self) -> GetAccountResponse:
        """Say who is logged in, and ask the backend for the workspace. Raises RequestFailed if it does not tell."""
        while (answer := self.known()) is None:
            await self._routing.look_up()
        return answer

    async def look_up_or_know(self) -> GetAccountResponse:
        """Say who is logged in, with the workspace if the backend tells: it is not asked just after a failure."""
        while (answer := self.known()) is None and (login := self._credential.login) is not None:
            if self._routing.find_trouble(login) is not None:
                return _render_chatgpt(login, None)
            with suppress(RequestFailed):
                await self._routing.look_up()
        return answer or await self.look_up()

    def find_fault(self) -> AccountdError | None:
        """Give why the credential cannot be used, an error by whose reason programs go; None if it can be."""
        return find_fault(self._credential, self._clock.now())

    def auth_status(self, *, include_token: bool) -> GetAuthStatusResponse:
        """Say how one is logged in, with the access token or API key if asked for; never a refresh token."""
        if not self._credential.requires_openai_auth:
            return GetAuthStatusResponse(requires_openai_auth=False)
        status = self._status(include_token=include_token)
        if status.auth_token is not None:
            self._audit.note("token.handedOut", mode=status.auth_method, account=self._credential.known_as)
        return status

    def _status(self, *, include_token: bool) -> GetAuthStatusResponse:
        record, login = self._credential.current, self._credential.login
        token = login.tokens.access_token if login is not None else record and record.api_key
        if record is None or not token:  # an empty key is no login
            return GetAuthStatusResponse()
        given = include_token and not (login is not None and self._credential.find_refusal(login) is not None)
        return GetAuthStatusResponse(record.mode, token.reveal() if given else None)

    async def hand_out(
        self, min_valid: float, *, may_refresh: Callable[[], bool] = lambda: True
    ) -> ReadTokenResponse:
        """Give a token that is good for so many seconds at least, refreshed only if it must be, and may.

        Raises what `find_fault` gives, and RequestFailed where no such token can be had.
        """
        await self._store_watch.read_if_unread()
        if self._is_short(min_valid) and not self._refresher.has_just_refreshed() and may_refresh():
            try:
                await self._refresher.refresh("proactive_expiry")
            except RefreshError as error:
                raise RequestFailed(str(error)) from error
        if (fault := self.find_fault()) is not None:
            raise fault if isinstance(fault, RequestError) else RequestFailed(str(fault)) from fault
        record, login, status = self._credential.current, self._credential.login, self._status(include_token=True)
        if record is None or record.mode is None or status.auth_token is None:
            raise NotLoggedIn("nobody is logged in")
        if self._is_short(min_valid) and not self._refresher.is_as_good_as_it_gets():
            skew = self._refresher.describe_skew()
            told = f"; the clock of this machine is {skew}" if skew is not None else ""
            raise RequestFailed(f"no token can be had that is good for {min_valid:.0f} s{told}")
        expiry = login.expires_at if login is not None else None
        known_as = self._credential.known_as
        self._audit.note("token.handedOut", mode=record.mode, minValidSeconds=min_valid, account=known_as)
        account_id, plan = (login.account_id, login.plan) if login is not None else (None, None)
        return ReadTokenResponse(
            record.mode, status.auth_token, expiry, account_id, plan, self._credential.audience.account_id
        )

    def _is_short(self, min_valid: float) -> bool:
        left = self._refresher.seconds_left()
        return left is not None and left < min_valid


def _render_chatgpt(login: ChatgptLogin, workspace: Workspace | None) -> GetAccountResponse:
    claims = login.claims
    routing = None
    if workspace is not None and login.account_id is not None:
        routing = WorkspaceRouting(login.account_id, workspace.backend_origin, workspace.routing_override)
    return GetAccountResponse(
        account=ChatgptAccount(claims.email, login.plan, workspace.name if workspace is not None else None),
        user_id=claims.user_id,
        workspace_routing=routing,
    )
