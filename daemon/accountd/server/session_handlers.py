"""The handlers of sessions and their workspaces, as `handlers` has those of the account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from accountd.account.workspaces import SignIn
from accountd.errors import InvalidRequest, RequestFailed, StorageError
from accountd.login.intent import Intent
from accountd.protocol import sessions as wire
from accountd.protocol.account import BrowserLogin, BrowserLoginStarted, Wire
from accountd.server.call import Call

if TYPE_CHECKING:
    from accountd.account.account import Account
    from accountd.accounts.account_list import Entry
    from accountd.accounts.accounts import Accounts


async def sessions_list(call: Call[wire.AccountSessionsListParams]) -> None:
    """Answer which sessions there are, the active one first.

    Of the others, nobody is asked anything, but of one that the connection means.
    """
    accounts, look = call.services.accounts, call.params.refresh_workspace_metadata
    active = await accounts.active.workspaces.read_session(look=look)
    meant = call.selection.account_id if look else None
    others = [await _describe(accounts, entry, look=entry.id == meant) for entry in accounts.known.entries]
    sessions = tuple(each for each in (active, *others) if each is not None)
    call.reply(wire.AccountSessionsResponse(active.session_id if active is not None else None, sessions))


async def _describe(accounts: Accounts, entry: Entry, *, look: bool) -> wire.AccountSession | None:
    account = accounts.roster.get(entry.id)
    if account is None:
        return None
    session = await account.workspaces.read_session(look=True) if look else account.workspaces.describe()
    if session is None:
        return None
    used = round(entry.last_used_at or entry.added_at)
    return msgspec.structs.replace(session, is_active=False, last_used_at=used)


async def session_switch(call: Call[wire.AccountSessionsSwitchParams]) -> None:
    """Use another session, or another workspace of one: by a browser login where it wants one and the client may.

    Where somebody has logged in to that workspace before, that session is used, and nothing is exchanged.
    """
    accounts, wanted = call.services.accounts, call.params
    account, entry = _find_session(call)
    here = accounts.active.workspaces.describe()
    if entry is None and here is not None and here.session_id == wanted.session_id:
        entry = _find_stored(accounts, wanted.account_id)

    def reply(session: wire.AccountSession) -> None:
        if entry is None:
            call.reply(wire.AccountSessionsSwitchResponse(session.session_id, (session,)))

    sign_in = None
    if entry is None or wanted.account_id != entry.identity.workspace_id:
        sign_in = await account.workspaces.switch(
            wanted,
            reply,
            originator=call.session.originator,
            is_login_under_way=lambda: bool(call.services.logins.under_way()),
        )
    if sign_in is not None:
        await _start_sign_in(call, sign_in)
    elif entry is not None:
        await _activate(call, entry)


def _find_session(call: Call[wire.AccountSessionsSwitchParams]) -> tuple[Account, Entry | None]:
    """Return whose session it is; with an entry, one that is not active. One that nobody knows is for its gate."""
    accounts = call.services.accounts
    for entry in accounts.known.entries:
        account = accounts.roster.get(entry.id)
        session = account.workspaces.describe() if account is not None else None
        if account is not None and session is not None and session.session_id == call.params.session_id:
            return account, entry
    return call.account, None


def _find_stored(accounts: Accounts, account_id: str) -> Entry | None:
    """Return the account of the active one's person in another workspace."""
    here = accounts.known.get(accounts.active_id)
    if here is None or here.identity.user_id is None:
        return None
    wanted = msgspec.structs.replace(here.identity, workspace_id=account_id)
    stored = (entry for entry in accounts.known.entries if entry.id in accounts.roster)
    return next((entry for entry in stored if entry.identity == wanted), None)


async def _activate(call: Call[wire.AccountSessionsSwitchParams], entry: Entry) -> None:
    accounts = call.services.accounts
    if call.services.logins.under_way():
        raise InvalidRequest("Finish or cancel the current login before switching workspaces")

    def answer() -> None:
        if (session := accounts.active.workspaces.describe()) is not None:
            call.reply(wire.AccountSessionsSwitchResponse(session.session_id, (session,)))

    try:
        await accounts.switch(entry.id, answer)
    except StorageError as error:
        raise RequestFailed(f"the workspace was not switched: {error}") from error


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
    await call.services.logins.start(flow, reply, Intent(sign_in=sign_in))


HANDLERS: Final[dict[str, Callable[[Call[Any]], Awaitable[None]]]] = {
    "accountSession/list": sessions_list,
    "accountSession/switch": session_switch,
}
