"""What moves a login from where to where: each row of the table, on stores in memory."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio
import trio.testing

from accountd.accounts.displaced import A_REQUEST
from accountd.accounts.listing import render_accounts
from accountd.backend.client import Workspace
from accountd.config.policy import Policy
from accountd.errors import InvalidRequest, KeyringError, RefreshRefused, StorageError
from accountd.protocol.prelude import render_prelude
from accountd.secret import Secret
from accountd.storage.base import api_key_record, render_time
from accountd.storage.memory import MemoryStore
from accountd.storage.vault import MemoryVault
from fakes import records
from fakes.client import open_client
from fakes.household import open_files
from fakes.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from accountd.storage.base import AuthRecord

NOW = render_time(1_800_000_000 * 10**9)


def log_in(user: str, account: str) -> AuthRecord:
    """Make the record of a login of now, which nothing here refreshes."""
    return msgspec.structs.replace(records.log_in(user, account), last_refresh=NOW)


def refresh(record: AuthRecord, seconds: int) -> AuthRecord:
    """Make what another program makes of it."""
    return msgspec.structs.replace(records.refresh(record, seconds), last_refresh=NOW)


HOME = log_in("user-1", "acct-1")
WORK = refresh(log_in("user-1", "acct-2"), 1)


async def add(world: World, record: AuthRecord, **how: Any) -> str:
    """Log in, and return the account's id."""
    await world.services.accounts.log_in(record, lambda: None, **how)
    entry = world.services.accounts.known.find_owner(record)
    assert entry is not None
    return entry.id


@asynccontextmanager
async def open_two(**world_of: Any) -> AsyncIterator[tuple[World, str, str]]:
    """Give a world with two accounts, of which the first is active: HOME, and WORK."""
    async with open_world(**world_of) as world:
        work = await add(world, WORK)
        home = await add(world, HOME)
        world.heard.clear()
        world.changes.clear()
        yield world, home, work


def places(world: World) -> dict[str, str]:
    """Say in which places each refresh token is."""
    store, vault = world.store, world.vault
    assert isinstance(store, MemoryStore)
    assert isinstance(vault, MemoryVault)
    found = {"auth.json": store.record, **{name: each.record for name, each in vault.records.items()}}
    return {name: _token(record) for name, record in found.items() if record is not None}


def _token(record: AuthRecord) -> str:
    return record.chatgpt.tokens.refresh_token.reveal() if record.chatgpt is not None else "key"


def states(world: World) -> dict[str, str]:
    """Say how each account is."""
    listed = render_accounts(world.services.accounts, world.services.policy.current, None)
    return {each.id: each.state for each in listed.accounts}


async def test_a_login_adds_and_each_token_is_in_one_place() -> None:
    """Who was logged in before is in the vault; the same account again takes the place of its older login."""
    async with open_two() as (world, home, work):
        assert states(world) == {work: "stored", home: "active"}
        assert places(world) == {"auth.json": "rt-0", work: "rt-1"}
        again = refresh(log_in("user-1", "acct-2"), 7)
        assert await add(world, again) == work
        assert places(world) == {"auth.json": "rt-7", home: "rt-0"}
        assert states(world) == {work: "active", home: "stored"}


async def test_a_login_may_leave_the_active_account_as_it_is() -> None:
    """It is in the vault then; one of the active account itself replaces that."""
    async with open_world() as world:
        home = await add(world, HOME)
        work = await add(world, WORK, activate=False, alias="work")
        assert states(world) == {home: "active", work: "stored"}
        assert world.services.accounts.known.find("work").id == work
        assert await add(world, refresh(HOME, 9), activate=False) == home
        assert places(world) == {"auth.json": "rt-9", work: "rt-1"}


async def test_a_switch_moves_both_and_tells_those_who_follow() -> None:
    """The answer comes first, then the one notification; and back again."""
    async with open_two() as (world, home, work):
        await world.services.accounts.switch(work, lambda: world.heard.append({"answered": True}))
        assert states(world) == {work: "active", home: "stored"}
        assert places(world) == {"auth.json": "rt-1", home: "rt-0"}
        assert [each.get("method") for each in world.heard] == [None, "account/updated"]
        assert [each["reason"] for each in world.changes] == ["switched"]
        await world.services.accounts.switch(home, lambda: None)
        assert states(world) == {work: "stored", home: "active"}
        assert world.credential.record == HOME


async def test_an_account_is_found_by_the_name_of_its_workspace() -> None:
    """Once the backend has told it: while it is active, after a switch, and after a restart."""
    async with open_two() as (world, home, work):
        accounts = world.services.accounts
        login = accounts.active.credential.login
        assert login is not None
        accounts.active.routing.take(login, Workspace("Acme", "https://chatgpt.com", "NO_CONSTRAINT"))
        name = f"{login.claims.email}/Acme"
        assert accounts.known.find(name).id == home
        await accounts.switch(work, lambda: None)
        assert accounts.known.find(name).id == home
        read = await accounts.roster.read()
        assert read.find(name).id == home


async def test_who_asks_for_the_list_does_not_wait_for_a_move() -> None:
    """Which another program's lock may hold up: a verb asks for it before it asks for a token."""
    async with open_two() as (world, home, work), trio.open_nursery() as nursery:
        accounts = world.services.accounts
        async with world.store.locked():
            nursery.start_soon(accounts.switch, work, lambda: None)
            await trio.testing.wait_all_tasks_blocked()
            async with open_client(world.services, extensions={"accountd": {}}) as client:
                listed = await client.call("accountd/accounts/list", {})
                assert listed["result"]["activeId"] == home
        await trio.testing.wait_all_tasks_blocked()
        assert accounts.active_id == work


async def test_a_switch_takes_what_others_have_refreshed() -> None:
    """The record that leaves is that of auth.json as it is by then."""
    async with open_two() as (world, home, work):
        assert isinstance(world.store, MemoryStore)
        world.store.record = refresh(HOME, 30)
        await world.services.accounts.switch(work, lambda: None)
        assert places(world) == {"auth.json": "rt-1", home: "rt-30"}


async def test_after_a_logout_nobody_is_active() -> None:
    """No other account takes its place; the others are as they were, and one of them can be switched to."""
    async with open_two() as (world, home, work):
        await world.services.accounts.log_out(world.account, lambda: None)
        assert states(world) == {work: "stored"}
        assert world.credential.current is None
        assert world.services.accounts.get(home).credential.current is None
        await world.services.accounts.switch(work, lambda: None)
        assert states(world) == {work: "active"}


async def test_a_stored_account_is_logged_out_by_itself() -> None:
    """Its record and its entry go, and the active one is as it was."""
    async with open_two() as (world, home, work):
        accounts = world.services.accounts
        await accounts.log_out(accounts.get(work), lambda: None)
        assert states(world) == {home: "active"}
        assert places(world) == {"auth.json": "rt-0"}
        assert world.credential.record == HOME


async def test_who_was_displaced_by_another_program_is_kept_in_doubt() -> None:
    """What was known of it goes into the vault; the other's own record there, which is older, goes."""
    async with open_two() as (world, home, work):
        assert isinstance(world.store, MemoryStore)
        world.store.record = refresh(WORK, 40)
        await world.account.store_watch.reload()
        await trio.testing.wait_all_tasks_blocked()
        assert states(world) == {work: "active", home: "doubtful"}
        assert places(world) == {"auth.json": "rt-40", home: "rt-0"}
        assert [each["reason"] for each in world.changes] == ["foreign"]


async def test_who_was_logged_out_by_another_program_stays_in_the_list() -> None:
    """Without tokens, since they have been revoked; its name is there again with the next login."""
    async with open_two() as (world, home, work):
        assert isinstance(world.store, MemoryStore)
        await world.services.accounts.update(lambda known: known.renamed(home, "home"))
        world.clock.jump(A_REQUEST)
        world.store.record = None
        await world.account.store_watch.reload()
        await trio.testing.wait_all_tasks_blocked()
        assert states(world) == {work: "stored", home: "signedOut"}
        with pytest.raises(InvalidRequest, match="has to be logged in again"):
            await world.services.accounts.switch(home, lambda: None)
        assert await add(world, log_in("user-1", "acct-1")) == home
        assert world.services.accounts.known.find("home").id == home


async def test_a_refusal_goes_where_its_login_goes() -> None:
    """A refresh token that is spent is not alive again because it is in another place."""
    async with open_two() as (world, home, work):
        login = world.credential.login
        assert login is not None
        world.credential.refuse(login, RefreshRefused("no"))
        await world.services.accounts.switch(work, lambda: None)
        assert states(world) == {work: "active", home: "needsLogin"}
        assert world.credential.refusal is None


async def test_a_vault_that_takes_nothing_leaves_all_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The login fails, and whoever was logged in is."""
    async with open_world() as world:
        home = await add(world, HOME)
        world.heard.clear()

        async def refuse(_: AuthRecord) -> None:
            await trio.lowlevel.checkpoint()
            raise StorageError("No space left on device (os error 28)")

        monkeypatch.setattr(world.vault.open_record(home), "save", refuse)
        with pytest.raises(StorageError):
            await add(world, WORK)
        assert world.heard == []
        assert states(world)[home] == "active"
        assert places(world) == {"auth.json": "rt-0"}


async def test_an_account_that_policy_forbids_is_not_switched_to() -> None:
    """It is listed and kept."""
    async with open_world(policy=Policy(workspaces=("acct-1",))) as world:
        home = await add(world, HOME)
        work = await add(world, WORK, activate=False)
        with pytest.raises(InvalidRequest, match="restricted to workspace"):
            await world.services.accounts.switch(work, lambda: None)
        assert states(world) == {home: "active", work: "forbidden"}


@pytest.mark.parametrize("left_in_vault", [HOME, None], ids=["killed before the removal", "killed at the end"])
async def test_the_next_start_finds_the_same(left_in_vault: AuthRecord | None) -> None:
    """What was killed in between has left a record twice; auth.json wins."""
    async with open_two() as (world, home, work):
        pass
    if left_in_vault is not None:
        assert isinstance(world.vault, MemoryVault)
        world.vault.open_record(home).record = left_in_vault
    async with open_world(after=world) as later:
        assert states(later) == {work: "stored", home: "active"}
        assert places(later) == {"auth.json": "rt-0", work: "rt-1"}


async def test_a_list_that_was_lost_is_made_anew() -> None:
    """Of the records, under the ids that they had; a list that cannot be read is put aside."""
    async with open_two() as (world, home, work):
        pass
    assert isinstance(world.vault, MemoryVault)
    world.vault.list = b"rubbish"
    async with open_world(after=world) as later:
        assert states(later) == {work: "stored", home: "active"}


async def test_a_keyring_that_fails_keeps_no_login_out() -> None:
    """What it holds cannot be put away; the login that the person has approved is stored all the same."""

    class Failing(MemoryStore):
        async def load(self) -> AuthRecord | None:
            raise KeyringError("the keyring fails")

    async with open_world(store=Failing()) as world:
        await add(world, HOME)
        assert world.account.credential.record == HOME


async def test_one_account_leaves_no_trace_of_others(tmp_path: Path) -> None:
    """Neither a folder nor a list: not for a login, a new one of the same account, a logout, and the next."""
    store, vault = open_files(tmp_path)
    async with open_world(store=store, vault=vault) as world:
        await add(world, HOME)
        await add(world, log_in("user-1", "acct-1"))
        await world.services.accounts.log_out(world.account, lambda: None)
        await add(world, api_key_record(Secret("sk-1")))
        assert world.changes == []
    assert not (tmp_path / "accountd").exists()


async def test_two_accounts_on_the_disk(tmp_path: Path) -> None:
    """Records and list are the owner's alone; when one of the two is logged out, nothing is left of the list."""
    store, vault = open_files(tmp_path)

    def find(pattern: str) -> dict[str, int]:
        found = (each for each in tmp_path.glob(pattern) if each.suffix != ".lock")
        return {each.relative_to(tmp_path).as_posix(): each.stat().st_mode & 0o777 for each in found}

    async with open_two(store=store, vault=vault) as (world, _, work):
        assert find("*") == {"accountd": 0o700, "auth.json": 0o600}
        assert find("accountd/*") == {"accountd/accounts": 0o700, "accountd/accounts.json": 0o600}
        assert find("accountd/accounts/*") == {f"accountd/accounts/{work}.json": 0o600}
        await world.services.accounts.log_out(world.account, lambda: None)
        await world.services.accounts.switch(work, lambda: None)
        assert find("accountd/**/*.json") == {}
        assert world.credential.record == WORK


async def test_a_client_says_what_becomes_of_its_login() -> None:
    """It is one of the others, under a name; that one again it has to be, and nobody else's name is taken."""
    quiet = ["account/login/completed", "account/updated", "accountd/accounts/changed"]
    ours: dict[str, Any] = {"extensions": {"accountd": {}}, "optOutNotificationMethods": quiet}
    async with open_world() as world, open_client(world.services, **ours) as client:
        key = {"type": "apiKey", "apiKey": "sk-1"}
        await client.call("account/login/start", key)
        other = {**key, "apiKey": "sk-2"}
        await client.call("account/login/start", {**other, "accountd": {"activate": False, "alias": "CI"}})
        assert [*states(world).values()] == ["active", "stored"]
        assert world.services.accounts.known.find("ci").alias == "ci"
        refused = await client.call("account/login/start", {**key, "accountd": {"account": "ci"}})
        assert '"ci" is another account' in refused["error"]["message"]
        refused = await client.call("account/login/start", {**key, "accountd": {"alias": "ci"}})
        assert "is the name of another account" in refused["error"]["message"]


async def test_stock_clients_see_all_sessions_and_use_one_of_them() -> None:
    """The active one first; the person's other workspace is a session that is there, so that none is exchanged."""
    quiet: dict[str, Any] = {"experimentalApi": True, "optOutNotificationMethods": ["account/updated"]}
    async with open_two() as (world, home, work), open_client(world.services, **quiet) as client:
        listed = (await client.call("accountSession/list", {}))["result"]
        ids = [login.login_owner_id for login in (HOME.chatgpt, WORK.chatgpt) if login is not None]
        assert listed["activeSessionId"] == ids[0]
        assert [(each["sessionId"], each["isActive"]) for each in listed["sessions"]] == [
            (ids[0], True),
            (ids[1], False),
        ]
        for asked, expected in ((ids[0], work), (ids[0], home)):
            workspace = "acct-2" if expected == work else "acct-1"
            session = asked if expected == work else ids[1]
            answer = await client.call("accountSession/switch", {"sessionId": session, "accountId": workspace})
            assert answer["result"]["sessions"][0]["selectedWorkspaceAccountId"] == workspace
            assert world.services.accounts.active_id == expected
        refused = await client.call("accountSession/switch", {"sessionId": "nobody", "accountId": "acct-2"})
        assert refused["error"]["message"] == "Only the active managed account session can be switched"


async def test_a_bridge_binds_a_client_that_knows_nothing_of_it() -> None:
    """It is shown that account whichever is active, hears of no switch, and reads as nobody once it is removed."""
    async with open_two() as (world, home, work):
        accounts = world.services.accounts
        async with open_client(world.services, initialize=False) as client:
            await client.stream.send_all(render_prelude(work))
            assert await client.receive() == {"accountd": {"selectedId": work}}
            await client.initialize()
            status = await client.call("getAuthStatus", {"includeToken": True})
            token = accounts.get(work).credential.login
            assert token is not None
            assert status["result"]["authToken"] == token.tokens.access_token.reveal()
            await accounts.switch(work, lambda: None)
            await accounts.switch(home, lambda: None)
            await accounts.log_out(accounts.get(work), lambda: None)
            assert (await client.receive())["params"]["authMode"] is None
            status = await client.call("getAuthStatus", {"includeToken": True})
            assert status["result"]["authMethod"] is None
        async with open_client(world.services, initialize=False) as client:
            await client.stream.send_all(render_prelude("nobody"))
            refused = await client.receive()
            assert refused["error"]["data"]["accountd"]["reason"] == "noSuchAccount"
