"""An account whose login is in another workspace: it is the same entry, and its refresh token is in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from account.test_workspaces import SCRIPT, switch
from accountd.storage.base import switched_login
from accountd.storage.memory import MemoryStore
from accounts.test_accounts import HOME, add, open_two, places
from fakes.logged_in import login_of, open_logged_in
from fakes.usage import make_jwt
from fakes.world import open_world

if TYPE_CHECKING:
    import trio.testing

    from accountd.storage.base import AuthRecord


def elsewhere(record: AuthRecord, owner: str | None) -> AuthRecord:
    """Make what another program makes of a record by a switch; `owner` is the id of its session."""
    assert record.chatgpt is not None
    token = make_jwt(chatgpt_account_id="acct-9")
    login = msgspec.structs.replace(switched_login(record.chatgpt, token, "acct-9"), login_owner_id=owner)
    return msgspec.structs.replace(record, chatgpt=login)


@pytest.mark.parametrize("known", [False, True], ids=["the only one", "one of two"])
async def test_who_has_switched_is_the_same_account(known: bool, autojump_clock: trio.testing.MockClock) -> None:
    """In the list, in the vault when somebody else logs in, and for the next daemon."""
    async with open_logged_in(SCRIPT) as world:
        accounts = world.services.accounts
        mine = accounts.active_id
        assert mine is not None
        if known:
            await add(world, HOME, activate=False)
        await switch(world)
        await accounts.reread()
        assert accounts.active_id == mine
        token = login_of(world).tokens.refresh_token.reveal()
        other = await add(world, HOME)
        assert places(world) == {"auth.json": "rt-0", mine: token}
        entry, account = accounts.known.get(mine), accounts.roster.get(mine)
        assert entry is not None
        assert entry.identity.workspace_id == "account-acme"
        assert account is not None
    async with open_world(after=world) as after:
        assert {each.id for each in after.services.accounts.known.entries} == {mine, other}
        assert mine in after.services.accounts.roster


@pytest.mark.parametrize("has_owner", [True, False])
async def test_a_switch_of_another_program_displaces_nobody(
    has_owner: bool, autojump_clock: trio.testing.MockClock
) -> None:
    """It has the refresh token of the login that there was, which must not be in the vault as well."""
    async with open_two() as (world, home, work):
        assert HOME.chatgpt is not None
        owner = HOME.chatgpt.login_owner_id if has_owner else None
        record = elsewhere(HOME, owner)
        assert isinstance(world.store, MemoryStore)
        world.store.record = record
        await world.account.store_watch.reload()
        await world.services.accounts.reread()
        assert world.services.accounts.active_id == home
        assert places(world) == {"auth.json": "rt-0", work: "rt-1"}
        assert {each.id for each in world.services.accounts.known.entries} == {home, work}
