"""The handlers of sessions and their workspaces, as `handlers` has those of the account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from accountd.account.workspaces import SignIn
from accountd.protocol import sessions as wire
from accountd.protocol.account import BrowserLogin, BrowserLoginStarted, Wire
from accountd.server.call import Call


async def sessions_list(call: Call[wire.AccountSessionsListParams]) -> None:
    """Answer which sessions there are."""
    look = call.params.refresh_workspace_metadata
    each = [await account.workspaces.read_session(look=look) for account in call.services.accounts]
    sessions = tuple(session for session in each if session is not None)
    active = next((session.session_id for session in sessions if session.is_active), None)
    call.reply(wire.AccountSessionsResponse(active, sessions))


async def session_switch(call: Call[wire.AccountSessionsSwitchParams]) -> None:
    """Use another workspace, by a browser login where it wants one and the client allows it."""

    def reply(session: wire.AccountSession) -> None:
        call.reply(wire.AccountSessionsSwitchResponse(session.session_id, (session,)))

    sign_in = await call.account.workspaces.switch(
        call.params,
        reply,
        originator=call.session.originator,
        is_login_under_way=lambda: bool(call.services.logins.under_way()),
    )
    if sign_in is not None:
        await _start_sign_in(call, sign_in)


async def _start_sign_in(call: Call[wire.AccountSessionsSwitchParams], sign_in: SignIn) -> None:
    # As in `handlers`: h11 and the pages are for those who log in with a browser.
    from accountd.login.browser import BrowserFlow
    from accountd.oauth.authorize import Hints

    def reply(answer: Wire) -> None:
        started = cast("BrowserLoginStarted", answer)
        call.reply(wire.AccountSessionsSwitchResponse(login_id=started.login_id, auth_url=started.auth_url))

    flow = BrowserFlow(
        call.services.issuer,
        originator=call.session.originator,
        workspaces=(sign_in.account_id,),
        wishes=BrowserLogin(),
        hints=Hints(sign_in.account_id, sign_in.email, sign_in.connection),
    )
    await call.services.logins.start(flow, reply, sign_in)


HANDLERS: Final[dict[str, Callable[[Call[Any]], Awaitable[None]]]] = {
    "accountSession/list": sessions_list,
    "accountSession/switch": session_switch,
}
