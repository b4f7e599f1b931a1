"""The handlers of what the backend knows, as `handlers` has those of the account: one call of the service each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from accountd.protocol import usage as wire
from accountd.server.call import Call


async def rate_limits_read(call: Call[wire.GetAccountRateLimitsParams]) -> None:
    """Answer how much of the limits is used."""
    call.reply(await call.account.usage.read_rate_limits(call.params))


async def reset_credit_consume(call: Call[wire.ConsumeAccountRateLimitResetCreditParams]) -> None:
    """Spend a credit that resets a limit."""
    call.reply(await call.account.usage.consume_reset_credit(call.params))


async def usage_read(call: Call[wire.GetAccountTokenUsageParams]) -> None:
    """Answer what was used, by the person or by one thread."""
    call.reply(await call.account.usage.read_token_usage(call.params))


async def workspace_messages_read(call: Call[None]) -> None:
    """Answer what the workspace has to say to its members."""
    call.reply(await call.account.usage.read_messages())


async def nudge_email_send(call: Call[wire.SendAddCreditsNudgeEmailParams]) -> None:
    """Ask the workspace's owner for credits."""
    call.reply(await call.account.usage.send_nudge(call.params))


async def security_setup_read(call: Call[None]) -> None:
    """Answer whether the account should be made safer."""
    call.reply(await call.account.usage.read_security_setup())


HANDLERS: Final[dict[str, Callable[[Call[Any]], Awaitable[None]]]] = {
    "account/rateLimits/read": rate_limits_read,
    "account/rateLimitResetCredit/consume": reset_credit_consume,
    "account/usage/read": usage_read,
    "account/workspaceMessages/read": workspace_messages_read,
    "account/sendAddCreditsNudgeEmail": nudge_email_send,
    "account/securitySetup/read": security_setup_read,
}
