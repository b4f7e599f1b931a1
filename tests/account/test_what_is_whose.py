"""What is known of one login is not held against another: refusals, due times, workspaces, unsaved tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from accountd.config.policy import Policy
from accountd.errors import RefreshRefused
from accountd.sandbox import Claims, Fault, Sandbox, Script
from accountd.secret import Secret
from accountd.storage.document import parse_record
from accountd.storage.memory import MemoryStore
from fakes.logged_in import (
    APPROVED,
    TOKEN,
    log_in,
    login_of,
    open_logged_in,
    open_unsaved,
    refreshes,
    stored_login,
    supply_tokens,
)
from fakes.world import World, open_world

if TYPE_CHECKING:
    import trio.testing

    from accountd.storage.base import AuthRecord


async def stored_after(*, account_id: str, access_token: Secret | None = None) -> AuthRecord:
    """Log in, and change what is stored as another program would."""
    async with open_logged_in() as world:
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is not None
        login = stored_login(world)
        tokens = msgspec.structs.replace(login.tokens, access_token=access_token or login.tokens.access_token)
        edited = msgspec.structs.replace(login, account_id=account_id, tokens=tokens)
        return msgspec.structs.replace(world.store.record, chatgpt=edited)


async def be_refused(world: World) -> None:
    """Have the issuer refuse the login for good."""
    world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 401),))
    with pytest.raises(RefreshRefused):
        await world.refresher.refresh("forced")


async def test_tokens_that_have_been_replaced_meanwhile_cost_no_refresh(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Who was refused with the old ones takes the new ones, which are there already."""
    async with open_logged_in() as world:
        refused = login_of(world)
        await world.refresher.refresh("forced")
        assert await world.refresher._refresh_refused(refused)
        assert refreshes(world) == 1


async def test_the_workspace_is_that_of_the_tokens(autojump_clock: trio.testing.MockClock) -> None:
    """Whatever is written beside them in the document: that can be edited, and what the issuer signed cannot."""
    record = await stored_after(account_id="elsewhere")
    async with open_world(store=MemoryStore(record), policy=Policy(workspaces=("elsewhere",))) as world:
        assert world.credential.current is None


async def test_a_token_for_another_workspace_than_its_id_is_not_used(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """With no policy, too: it is kept, which is said, and another login heals it; found later as at the start."""
    record = await stored_after(account_id="elsewhere")
    async with open_world(APPROVED, store=MemoryStore(record)) as world:
        assert world.credential.current is None
        assert world.reader.auth_status(include_token=True).auth_token is None
        assert caplog.text.count("its access token is for another workspace") == 1
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is record
        await log_in(world)
        assert world.reader.auth_status(include_token=True).auth_token is not None
        world.store.record = record
        await world.account.store_watch.reload()
        assert world.credential.current is None


@pytest.mark.parametrize(("allowed", "is_shown"), [("switched", True), ("account-sandbox", False)])
async def test_after_a_switch_it_is_the_workspace_of_the_access_token(
    allowed: str, is_shown: bool, autojump_clock: trio.testing.MockClock
) -> None:
    """Stock Codex changes access token and account id, and leaves the ID token, which is not asked."""
    switched = Sandbox(Script(claims=Claims(account_id="switched"))).issue_tokens().access_token
    record = await stored_after(account_id="switched", access_token=switched)
    async with open_world(store=MemoryStore(record), policy=Policy(workspaces=(allowed,))) as world:
        assert (world.credential.current is not None) == is_shown
        assert (world.reader.auth_status(include_token=True).auth_token is not None) == is_shown


@pytest.mark.parametrize(
    ("policy", "objection"),
    [
        (Policy(), "The access token is for another workspace than the account id beside it. Log in again."),
        (Policy(workspaces=("w",)), "Login is restricted to workspace id(s) w. Log in again."),
        (Policy("api"), "ChatGPT login is disabled. Use API key login instead."),
    ],
)
async def test_it_is_known_why_a_login_is_not_used(
    policy: Policy, objection: str, autojump_clock: trio.testing.MockClock
) -> None:
    """And what to do; nothing is said against one that is used."""
    record = await stored_after(account_id="elsewhere")
    async with open_world(store=MemoryStore(record), policy=policy) as world:
        assert (world.credential.current, str(world.credential.objection)) == (None, objection)
    async with open_logged_in() as world:
        assert world.credential.objection is None


@pytest.mark.parametrize(
    ("document", "is_told"),
    [(b'{"auth_mode": "personalAccessToken", "personal_access_token": "x"}', True), (b"{}", False)],
)
async def test_a_credential_of_another_kind_is_told_of(document: bytes, is_told: bool) -> None:
    """It is Codex's, and nobody is logged in here; a document without any is none."""
    async with open_world(store=MemoryStore(parse_record(document))) as world:
        assert ("kind" in str(world.credential.objection)) == is_told


async def test_a_token_that_is_no_jwt_goes_by_its_id(autojump_clock: trio.testing.MockClock) -> None:
    """It claims nothing, and so contradicts nothing."""
    record = await stored_after(account_id="elsewhere", access_token=Secret("opaque"))
    for allowed in ("elsewhere", "account-sandbox"):
        async with open_world(store=MemoryStore(record), policy=Policy(workspaces=(allowed,))) as world:
            assert (world.credential.current is not None) == (allowed == "elsewhere")


async def test_nothing_is_due_for_a_clients_own_tokens(autojump_clock: trio.testing.MockClock) -> None:
    """They cannot be refreshed; what is stored beneath them is not in use."""
    async with open_logged_in() as world:
        due = world.credential.due_time
        assert due is not None
        await supply_tokens(world)
        assert world.credential.due_time is None
        assert world.refresher.next_time is None


async def test_nothing_is_due_for_a_login_that_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    """No request waits for a refresh that cannot be."""
    async with open_logged_in() as world:
        await be_refused(world)
        assert world.credential.due_time is None
        assert not world.refresher.is_due()


async def test_a_refusal_is_of_one_login_alone(autojump_clock: trio.testing.MockClock) -> None:
    """Tokens that a client supplies are given out, though the login that is stored was refused."""
    async with open_logged_in() as world:
        await be_refused(world)
        await supply_tokens(world)
        assert world.reader.auth_status(include_token=True).auth_token is not None


async def test_a_new_login_has_nothing_unsaved(autojump_clock: trio.testing.MockClock) -> None:
    """What the disk would not take of the old one is of no interest any more, and is not tried again."""
    async with open_unsaved() as (world, store):
        assert world.credential.is_unsaved
        store.full = False
        await world.logins.start_api_key(Secret("sk-new"), lambda _: None)
        assert not world.credential.is_unsaved
