"""A short function for each method: params in, one call of a service, the reply out.

Each calls `reply` once, or raises; one that has to wait gives back what is to be awaited, as an `async def`
does, and the others have answered when they return. Where a call causes notifications, the service calls
`reply` itself, just before the first: a client hears the answer before it hears what came of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, assert_never

import msgspec

from accountd.errors import InvalidRequest, RequestFailed, StorageError
from accountd.login.device_code import DeviceCodeFlow
from accountd.login.intent import read_intent
from accountd.protocol import account as wire
from accountd.protocol.methods import REFRESH_TOKENS
from accountd.secret import Secret
from accountd.server import accounts_handlers, session_handlers, status_handlers, usage_handlers
from accountd.server.call import Call

EXTERNAL_REFRESH_TIMEOUT: Final = 10.0
"""Seconds in which a client must come up with other tokens, as in Codex."""


def account_read(call: Call[wire.GetAccountParams]) -> Awaitable[None] | None:
    """Answer who is logged in, at once if that is known. The outcome of a refresh is not part of the answer."""
    account = call.account
    known = account.reader.known()
    if (
        known is None
        or call.params.refresh_token
        or account.store_watch.is_unread
        or (known.requires_openai_auth and (account.refresher.is_due() or not account.requirements.is_known()))
    ):
        return _read_account(call)
    call.reply(known)
    return None


async def _read_account(call: Call[wire.GetAccountParams]) -> None:
    account = call.account
    await _refresh_if_due(call)
    if call.guest is not None and not (account.reader.known() and account.requirements.is_known()):
        call.guest.ask_look_up()
    await account.requirements.require()
    is_ours = call.session.extension
    call.reply(await (account.reader.look_up_or_know() if is_ours else account.reader.look_up()))


def get_auth_status(call: Call[wire.GetAuthStatusParams]) -> Awaitable[None] | None:
    """Answer how one is logged in, and with which token if that is asked for."""
    if call.guest is not None and call.params.include_token:
        call.guest.ask_token()
    account = call.account
    if call.params.refresh_token or account.store_watch.is_unread or account.refresher.is_due():
        return _get_auth_status(call)
    _reply_auth_status(call)
    return None


async def _get_auth_status(call: Call[wire.GetAuthStatusParams]) -> None:
    await _refresh_if_due(call)
    _reply_auth_status(call)


async def _refresh_if_due(call: Call[Any]) -> None:
    """Refresh when it is due or asked for, as Codex does; for guests as often as they may have it.

    One that is under way can be waited for by anybody.
    """
    refresher, guest, asked = call.account.refresher, call.guest, bool(call.params.refresh_token)
    if guest is None or refresher.is_under_way:
        await refresher.refresh_if_due(forced=asked)
        return
    is_due = refresher.is_due()
    if not (asked or is_due):
        await refresher.refresh_if_due()
    elif _may_refresh(call):
        await refresher.refresh_if_due(forced=not is_due)


def _may_refresh(call: Call[Any]) -> bool:
    """Say whether a refresh is made for this client. One that is under way can be waited for by anybody."""
    refresher, guest = call.account.refresher, call.guest
    if guest is None or refresher.is_under_way:
        return True
    return guest.may_refresh(_present_token(call), is_due=refresher.is_due())


def _reply_auth_status(call: Call[wire.GetAuthStatusParams]) -> None:
    status = call.account.reader.auth_status(include_token=bool(call.params.include_token))
    if status.auth_token is not None:
        _note_hand_out(call)
    call.reply(status)


def _note_hand_out(call: Call[Any]) -> None:
    call.services.counters.tokens_handed_out += 1
    if call.guest is not None:
        call.guest.note_token(_present_token(call))


def _present_token(call: Call[Any]) -> Secret | None:
    login = call.account.credential.login
    return login.tokens.access_token if login is not None else None


async def account_login_start(call: Call[wire.LoginAccountParams]) -> None:
    """Begin a login of any kind."""
    said = call.besides.accountd if isinstance(call.besides, wire.OfLogin) else None
    intent = read_intent(said, call.services.accounts.known)
    match call.params:
        case wire.ApiKeyLogin() as key:
            await call.services.logins.start_api_key(Secret(key.api_key), call.reply, intent)
        case wire.DeviceCodeLogin():
            await call.services.logins.start(DeviceCodeFlow(call.services.issuer), call.reply, intent)
        case wire.BrowserLogin() as wishes:
            # h11 and the pages are for those who log in with a browser; most daemons never come to it.
            from accountd.login.browser import BrowserFlow

            flow = BrowserFlow(
                call.services.issuer,
                originator=call.session.originator,
                workspaces=intent.workspaces or call.services.policy.current.workspaces,
                wishes=wishes,
                hints=intent.hints,
            )
            await call.services.logins.start(flow, call.reply, intent)
        case wire.ExternalTokensLogin() as external:
            ask = partial(call.server_requests.ask, REFRESH_TOKENS, timeout=EXTERNAL_REFRESH_TIMEOUT)
            await call.services.logins.start_external(external, ask, call.reply)
        case unknown:
            assert_never(unknown)


async def account_login_cancel(call: Call[wire.CancelLoginAccountParams]) -> None:
    """Cancel a login, whoever began it."""
    try:
        login_id = str(uuid.UUID(call.params.login_id))
    except ValueError:
        raise InvalidRequest(f"invalid login id: {call.params.login_id}") from None
    cancelled = await call.services.logins.cancel(login_id)
    call.reply(wire.CancelLoginAccountResponse("canceled" if cancelled else "notFound"))


def account_login_list(call: Call[None]) -> None:
    """Answer which logins are under way, for a client that has not begun them."""
    call.reply(wire.ListLoginsResponse(call.services.logins.under_way()))


def account_login_submit_callback(call: Call[wire.SubmitCallbackParams]) -> None:
    """Take the address that a person pasted, whose browser could not reach this machine."""
    call.services.logins.submit_callback(call.params.login_id, call.params.callback_url)
    call.reply(wire.SubmitCallbackResponse())


async def account_logout(call: Call[None]) -> None:
    """Log out, here and at the issuer, wherever the login came from."""
    await _log_out(call, revoke=True)


async def account_forget(call: Call[None]) -> None:
    """Log out here alone: what was given to others by the same login stays good."""
    await _log_out(call, revoke=False)


async def _log_out(call: Call[None], *, revoke: bool) -> None:
    accounts = call.services.accounts
    if call.account is accounts.active:
        await call.services.logins.cancel_all()
    try:
        await accounts.log_out(call.account, lambda: call.reply(wire.LogoutAccountResponse()), revoke=revoke)
    except StorageError as error:
        raise RequestFailed(f"logout failed: {error}") from error


def store_read(call: Call[None]) -> None:
    """Answer which store holds the credential, and what there is to know about that."""
    found = call.account.describe_store()
    call.reply(wire.ReadStoreResponse(found.kind, found.location, found.note))


def config_requirements_read(call: Call[None]) -> Awaitable[None] | None:
    """Answer what the organisation requires, at once if that is known."""
    known = call.account.requirements.known()
    if known is None:
        return _read_requirements(call)
    call.reply(known)
    return None


async def _read_requirements(call: Call[None]) -> None:
    call.reply(await call.account.requirements.read())


async def account_token_read(call: Call[wire.ReadTokenParams]) -> None:
    """Hand a token out, good for as long as is asked."""
    if call.guest is not None:
        call.guest.ask_token()
    token = await call.account.reader.hand_out(
        call.params.min_valid_seconds, may_refresh=partial(_may_refresh, call)
    )
    _note_hand_out(call)
    call.reply(token if call.guest is None else msgspec.structs.replace(token, account_id=None))


Handler = Callable[[Call[Any]], Awaitable[None] | None]

_OWN: Final[dict[str, Handler]] = {
    "account/login/start": account_login_start,
    "account/login/cancel": account_login_cancel,
    "account/login/list": account_login_list,
    "account/login/submitCallback": account_login_submit_callback,
    "account/read": account_read,
    "account/logout": account_logout,
    "account/forget": account_forget,
    "account/token/read": account_token_read,
    "account/store/read": store_read,
    "accountd/status": status_handlers.accountd_status,
    "accountd/appServer/report": status_handlers.accountd_app_server_report,
    "accountd/tokenSocket/open": status_handlers.accountd_token_socket_open,
    "accountd/tokenSocket/close": status_handlers.accountd_token_socket_close,
    "configRequirements/read": config_requirements_read,
    "getAuthStatus": get_auth_status,
}

HANDLERS: Final = _OWN | accounts_handlers.HANDLERS | session_handlers.HANDLERS | usage_handlers.HANDLERS
"""Every method of `protocol.methods` but `initialize`, which is the connection's own."""
