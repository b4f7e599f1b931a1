"""A short function for each method: params in, one call of a service, the reply out.

Each calls `reply` once, or raises; one that has to wait gives back what is to be awaited, as an `async def`
does, and the others have answered when they return. Where a call causes notifications, the service calls
`reply` itself, just before the first: a client hears the answer before it hears what came of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final, assert_never

import msgspec

from accountd.account import AccountService
from accountd.adapters.issuer import Issuer
from accountd.errors import InvalidRequest, RequestFailed, StorageError
from accountd.hub import Hub
from accountd.login.device_code import DeviceCodeFlow
from accountd.login.manager import LoginManager
from accountd.protocol import account as wire
from accountd.secret import Secret

Reply = Callable[[wire.Wire], None]
Handler = Callable[["Services", Any, Reply], Awaitable[None] | None]


class Services(msgspec.Struct, frozen=True):
    """What handlers call, and what connections hear from."""

    hub: Hub
    account: AccountService
    logins: LoginManager
    issuer: Issuer


def account_read(services: Services, _params: wire.GetAccountParams, reply: Reply) -> Awaitable[None] | None:
    """Answer who is logged in, at once if that is known."""
    known = services.account.known()
    if known is None:
        return _account_look_up(services, reply)
    reply(known)
    return None


async def _account_look_up(services: Services, reply: Reply) -> None:
    reply(await services.account.look_up())


def get_auth_status(services: Services, params: wire.GetAuthStatusParams, reply: Reply) -> None:
    """Answer how one is logged in, and with which token if that is asked for."""
    reply(services.account.auth_status(include_token=bool(params.include_token)))


async def account_login_start(services: Services, params: wire.LoginAccountParams, reply: Reply) -> None:
    """Begin a login of any kind."""
    match params:
        case wire.ApiKeyLogin():
            await services.logins.start_api_key(Secret(params.api_key), reply)
        case wire.DeviceCodeLogin():
            await services.logins.start(DeviceCodeFlow(services.issuer), reply)
        case wire.BrowserLogin():
            services.account.check_permitted("chatgpt")
            raise InvalidRequest("Browser login is not supported yet. Use the device code login.")
        case wire.ExternalTokensLogin():
            raise InvalidRequest("External ChatGPT auth is not supported yet. Use the device code login.")
        case _:
            assert_never(params)


async def account_login_cancel(services: Services, params: wire.CancelLoginAccountParams, reply: Reply) -> None:
    """Cancel a login, whoever began it."""
    try:
        login_id = str(uuid.UUID(params.login_id))
    except ValueError:
        raise InvalidRequest(f"invalid login id: {params.login_id}") from None
    cancelled = await services.logins.cancel(login_id)
    reply(wire.CancelLoginAccountResponse("canceled" if cancelled else "notFound"))


async def account_logout(services: Services, _params: None, reply: Reply) -> None:
    """Log out, wherever the login came from."""
    await services.logins.cancel_all()
    try:
        await services.account.log_out(announce=lambda: reply(wire.Empty()))
    except StorageError as error:
        raise RequestFailed(f"logout failed: {error}") from error


HANDLERS: Final[dict[str, Handler]] = {
    "account/login/start": account_login_start,
    "account/login/cancel": account_login_cancel,
    "account/read": account_read,
    "account/logout": account_logout,
    "getAuthStatus": get_auth_status,
}
"""Every method of `protocol.methods` but `initialize`, which is the connection's own."""
