"""A client's own tokens: in memory alone, and asked of that client again when the backend refuses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from accountd.errors import ClientFailed
from accountd.oauth.claims import MalformedToken
from accountd.oauth.fields import Uncarried
from accountd.protocol.account import ChatgptAuthTokensRefreshParams
from accountd.secret import Secret
from accountd.storage.base import external_record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from accountd.audit.log import AuditLog
    from accountd.config.policy import PolicyHolder
    from accountd.protocol.account import ChatgptAuthTokensRefreshResponse
    from accountd.storage.base import AuthRecord

    Ask = Callable[[ChatgptAuthTokensRefreshParams], Awaitable[ChatgptAuthTokensRefreshResponse]]

EXTERNAL_IS_ACTIVE: Final = (
    "External auth is active. "
    "Use account/login/start (chatgptAuthTokens) to update it or account/logout to clear it."
)


class ExternalTokens:
    """The tokens that a client supplied. `ask` is how it is asked for others; it raises ClientFailed."""

    def __init__(self, record: AuthRecord, ask: Ask, policy: PolicyHolder, audit: AuditLog) -> None:
        self.record = record
        self._ask = ask
        self._policy = policy
        self._audit = audit
        self._asking = trio.Lock()

    def note_supplied(self) -> None:
        """Write down whose tokens have been supplied."""
        login = self.record.chatgpt
        self._audit.note("token.supplied", account=login.account_id if login is not None else None)

    async def refresh(self, refused: AuthRecord) -> None:
        """Have other tokens than those, which are asked for once for however many need them.

        Raises ClientFailed, or LoginFailed for a workspace that is not allowed.
        """
        async with self._asking:
            if self.record is not refused:
                return  # somebody has asked already
            login = refused.chatgpt
            answer = await self._ask(ChatgptAuthTokensRefreshParams(login.account_id if login else None))
            try:
                record = external_record(
                    Secret(answer.access_token), answer.chatgpt_account_id, answer.chatgpt_plan_type
                )
            except (MalformedToken, Uncarried) as error:
                raise ClientFailed(str(error)) from error
            self._policy.current.check_workspace(record.chatgpt)
            self.record = record
            self.note_supplied()
