"""What the backend knows about the current account: limits, usage, messages. Asked for, never kept.

The texts of failures are Codex's. As there, none of these reads is repeated when the backend refuses the token.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from accountd.backend.client import Access
from accountd.backend.payloads import (
    render_messages,
    render_notice,
    render_thread_usage,
    render_token_usage,
)
from accountd.backend.rate_limits import OUTCOMES, render_rate_limits, render_reset_credits
from accountd.errors import InvalidRequest, NotLoggedIn, RemoteError, RemoteRefused, RemoteTooSlow, RequestFailed
from accountd.protocol import usage as wire
from accountd.protocol.thread_id import parse_thread_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accountd.account.credential import Credential
    from accountd.account.refresh import Refresher
    from accountd.backend.client import Backend
    from accountd.backend.rate_limits import UsagePayload
    from accountd.storage.base import ChatgptLogin

_log = logging.getLogger(__name__)


class UsageService:
    """Reads for whoever is logged in. Every method may raise InvalidRequest, and RequestFailed."""

    def __init__(self, credential: Credential, refresher: Refresher, backend: Backend) -> None:
        self._credential = credential
        self._refresher = refresher
        self._backend = backend

    async def read_rate_limits(self, params: wire.GetAccountRateLimitsParams) -> wire.GetAccountRateLimitsResponse:
        """Tell how much of the rate limits is used, and which reset credits there are."""
        login, access = await self._enter("to read rate limits")
        resets: wire.RateLimitResetCreditsSummary | None = None
        usage: UsagePayload | RemoteError

        async def read_reset_credits() -> None:
            nonlocal resets
            try:
                resets = render_reset_credits(await self._backend.read_reset_credits(access))
            except RemoteError as error:
                _log.warning("reset credits are told as far as the usage tells them: %s", error)

        luna_reserve = params.supports_luna_reserve and not access.fedramp
        async with trio.open_nursery() as nursery:
            if not params.exclude_reset_credit_details:
                nursery.start_soon(read_reset_credits)
            try:
                usage = await self._backend.read_usage(access, luna_reserve=luna_reserve)
            except RemoteError as error:  # which is raised again below, where no nursery wraps it
                usage = error
                nursery.cancel_scope.cancel()
        with _told("failed to fetch codex rate limits"):
            if isinstance(usage, RemoteError):
                raise usage
        owner = (login.account_id, login.claims.user_id)
        is_owner = None not in owner and owner == (usage.account_id, usage.user_id) and not access.fedramp
        return render_rate_limits(usage, resets, is_owner=is_owner)

    async def consume_reset_credit(
        self, params: wire.ConsumeAccountRateLimitResetCreditParams
    ) -> wire.ConsumeAccountRateLimitResetCreditResponse:
        """Spend a reset credit."""
        for name, value in (("idempotencyKey", params.idempotency_key), ("creditId", params.credit_id)):
            if value == "":
                raise InvalidRequest(f"{name} must not be empty")
        _, access = await self._enter("for rate limit reset credits")
        with _told("failed to consume rate limit reset", "rate limit reset consume timed out"):
            payload = await self._backend.consume_reset_credit(access, params.idempotency_key, params.credit_id)
        return wire.ConsumeAccountRateLimitResetCreditResponse(OUTCOMES[payload.code])

    async def read_token_usage(self, params: wire.GetAccountTokenUsageParams) -> wire.GetAccountTokenUsageResponse:
        """Tell what the account has used over time, or what one thread has cost."""
        thread_id = None if params.thread_id is None else parse_thread_id(params.thread_id)
        _, access = await self._enter("to read token usage")
        if thread_id is None:
            with _told("failed to fetch token usage profile", "token usage profile fetch timed out"):
                return render_token_usage(await self._backend.read_profile(access))
        with _told("failed to fetch thread usage", "thread usage fetch timed out"):
            threads = await self._backend.read_thread_usage(access, thread_id)
            thread = None if threads is None else render_thread_usage(threads, thread_id)
        return wire.GetAccountTokenUsageResponse(thread_usage=thread)

    async def read_messages(self) -> wire.GetWorkspaceMessagesResponse:
        """Tell what the workspace's owner wants its people to see."""
        _, access = await self._enter("to read workspace messages")
        with _told("failed to fetch workspace messages", "workspace messages fetch timed out"):
            payload = await self._backend.read_messages(access)
        if payload is None:
            return wire.GetWorkspaceMessagesResponse(feature_enabled=False)
        try:
            return render_messages(payload)
        except RemoteRefused as error:
            raise RequestFailed(f"failed to parse workspace message timestamp {error}") from error

    async def send_nudge(
        self, params: wire.SendAddCreditsNudgeEmailParams
    ) -> wire.SendAddCreditsNudgeEmailResponse:
        """Have the workspace's owner asked for more, by email."""
        _, access = await self._enter("to notify workspace owner")
        with _told("failed to notify workspace owner"):
            sent = await self._backend.send_nudge(access, params.credit_type)
        return wire.SendAddCreditsNudgeEmailResponse("sent" if sent else "cooldown_active")

    async def read_security_setup(self) -> wire.GetAccountSecuritySetupResponse:
        """Tell what there is to remind the account's person of; nothing, wherever that cannot be known."""
        await self._refresh_if_due()
        login = self._credential.managed_login
        nothing = wire.GetAccountSecuritySetupResponse()
        if login is None or login.account_id is None or login.claims.user_id is None or login.claims.is_fedramp:
            return nothing
        try:
            payload = await self._backend.read_security_setup(Access.by(login))
        except RemoteError as error:
            _log.info("there is no telling whether there is a security notice: %s", error)
            return nothing
        if payload.notice is None or not self._credential.is_still(login):
            return nothing
        notice = render_notice(payload.notice, login.account_id, login.claims.user_id)
        return wire.GetAccountSecuritySetupResponse(notice)

    async def _refresh_if_due(self) -> None:
        """Refresh if it is due; but looking at figures spends no token that somebody else may live by."""
        if not self._credential.is_spared:
            await self._refresher.refresh_if_due()

    async def _enter(self, purpose: str) -> tuple[ChatgptLogin, Access]:
        """Give the login in use, refreshed if that was due. Raises NotLoggedIn where there is none.

        One that the issuer will not refresh any more is still tried: its token may be good for a while.
        """
        await self._refresh_if_due()
        login = self._credential.login
        if login is None:
            who = "codex account" if self._credential.current is None else "chatgpt"
            raise NotLoggedIn(f"{who} authentication required {purpose}")
        return login, Access.by(login)


@contextmanager
def _told(failed: str, timed_out: str | None = None) -> Iterator[None]:
    """Tell the client of a failure of the backend: in these words, or after them in the backend's."""
    try:
        yield
    except RemoteError as error:
        if timed_out is not None and isinstance(error, RemoteTooSlow):
            raise RequestFailed(timed_out) from error
        raise RequestFailed(f"{failed}: {error}") from error
