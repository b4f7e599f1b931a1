"""The handlers of several accounts, as `handlers` has those of one: which there are, and which one is meant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio

from accountd import paths
from accountd.account.external import EXTERNAL_IS_ACTIVE
from accountd.accounts.listing import render_accounts
from accountd.errors import InvalidRequest, LoginFailed, RequestFailed, StorageError
from accountd.protocol import accounts as wire
from accountd.server.call import Call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accountd.account.account import Account
    from accountd.accounts.account_list import Entry


async def accounts_list(call: Call[wire.ListAccountsParams]) -> None:
    """Answer which accounts there are, as another daemon of this home may have left them."""
    services = call.services
    with _told("the accounts are not known"):
        await services.accounts.reread()
    if call.params.refresh_workspaces:
        async with trio.open_nursery() as nursery:
            for account in services.accounts:
                nursery.start_soon(_look_up, account)
        with _told("the names of the workspaces could not be stored"):
            await services.accounts.update(lambda known: known)
    followers = services.counters.connections - services.accounts.roster.users
    call.reply(
        render_accounts(services.accounts, services.policy.current, call.selection.account_id, max(0, followers))
    )


async def _look_up(account: Account) -> None:
    """Have the backend tell of an account's workspace, unless that might spend what another program has."""
    if account.credential.login is not None and not account.credential.is_doubtful:
        with suppress(RequestFailed):  # then it is called what it was
            await account.routing.look_up()


def accounts_select(call: Call[wire.SelectAccountParams]) -> None:
    """Have this connection mean another account from now on."""
    if call.selection.is_fixed:
        raise InvalidRequest("this socket is for one account")
    name = call.params.account
    call.selection.select(call.services.accounts.select(name) if name is not None else None)
    call.reply(wire.SelectAccountResponse(call.selection.account_id))


async def accounts_switch(call: Call[wire.SwitchAccountParams]) -> None:
    """Make another account the active one."""
    accounts = call.services.accounts
    with _told("the accounts could not be switched"):
        await accounts.reread()
    if call.params.if_revision not in (None, accounts.known.revision):
        raise InvalidRequest("the accounts have changed")
    entry = accounts.known.find(call.params.account)
    if accounts.active.credential.is_external:
        raise InvalidRequest(EXTERNAL_IS_ACTIVE)
    if call.services.logins.would_activate():
        raise InvalidRequest("Finish or cancel the current login before switching accounts")

    def answer() -> None:
        call.reply(wire.SwitchAccountResponse(accounts.active_id, accounts.known.revision))

    with _told("the accounts could not be switched"):
        await accounts.switch(entry.id, answer)


async def accounts_rename(call: Call[wire.RenameAccountParams]) -> None:
    """Give an account another alias."""
    accounts, entry = call.services.accounts, await _find(call, call.params.account)
    with _told("the account could not be renamed"):
        await accounts.update(lambda known: known.renamed(entry.id, call.params.alias))
    call.reply(wire.AccountsDone())
    accounts.tell("renamed", entry.id)


async def accounts_remove(call: Call[wire.RemoveAccountParams]) -> None:
    """Remove an account that is not active, with its tokens."""
    accounts, entry = call.services.accounts, await _find(call, call.params.account)
    if entry.id == accounts.active_id:
        raise InvalidRequest("the active account is logged out, not removed")
    with _told("the account could not be removed"):
        await accounts.remove(entry.id, lambda: call.reply(wire.AccountsDone()), revoke=call.params.revoke)


async def accounts_import(call: Call[wire.ImportAccountsParams]) -> None:
    """Take over the logins that another program keeps."""
    from accountd.accounts.importing import import_logins  # which most daemons never come to

    path = Path(call.params.path)
    if not path.is_absolute():
        raise InvalidRequest("path must be absolute")
    home, params = paths.user_home(), call.params
    with _told("the logins could not be taken over"):
        found = await import_logins(
            call.services.accounts,
            path,
            call.services.codex_home,
            Path(home) if home is not None else None,
            dry_run=params.dry_run,
            move=params.move,
        )
    call.reply(wire.ImportAccountsResponse(tuple(found)))


async def pins_read(call: Call[None]) -> None:
    """Answer which folders mean which account."""
    with _told("the accounts are not known"):
        await call.services.accounts.reread()
    call.reply(wire.ReadPinsResponse(call.services.accounts.known.pins))


async def pins_write(call: Call[wire.WritePinParams]) -> None:
    """Have a folder mean an account, or none of its own any more."""
    folder, accounts = call.params.folder, call.services.accounts
    if not folder.startswith("/"):
        raise InvalidRequest("folder must be absolute")
    entry = await _find(call, call.params.account) if call.params.account is not None else None
    with _told("the folder could not be pinned"):
        await accounts.update(lambda known: known.pinned(folder, entry.id if entry is not None else None))
    call.reply(wire.AccountsDone())


async def _find(call: Call[Any], name: str) -> Entry:
    with _told("the accounts are not known"):
        await call.services.accounts.reread()
    return call.services.accounts.known.find(name)


@contextmanager
def _told(failed: str) -> Iterator[None]:
    """Tell the client of what the disk, or another program, has against it."""
    try:
        yield
    except StorageError as error:
        raise RequestFailed(f"{failed}: {error}") from error
    except LoginFailed as error:
        raise InvalidRequest(str(error)) from error


HANDLERS: Final[dict[str, Callable[[Call[Any]], Awaitable[None] | None]]] = {
    "accountd/accounts/list": accounts_list,
    "accountd/accounts/select": accounts_select,
    "accountd/accounts/switch": accounts_switch,
    "accountd/accounts/rename": accounts_rename,
    "accountd/accounts/remove": accounts_remove,
    "accountd/accounts/import": accounts_import,
    "accountd/pins/read": pins_read,
    "accountd/pins/write": pins_write,
}
