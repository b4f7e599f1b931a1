"""A client's own tokens, beside what is stored, what the policy says, and several who need others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
import trio.testing

from accountd.config.policy import Policy
from accountd.protocol.account import ChatgptAuthTokensRefreshParams, ChatgptAuthTokensRefreshResponse
from accountd.sandbox import Fault, Script
from accountd.storage.document import parse_record
from accountd.storage.memory import MemoryStore
from fakes.logged_in import login_of, supply_tokens
from fakes.world import open_world

if TYPE_CHECKING:
    import pytest

CHECK = "/backend-api/wham/accounts/check"


async def test_several_who_need_other_tokens_ask_once(autojump_clock: trio.testing.MockClock) -> None:
    """Whoever was refused with the same tokens waits for the one question, and takes its answer."""
    async with open_world() as world:
        questions: list[ChatgptAuthTokensRefreshParams] = []

        async def ask(params: ChatgptAuthTokensRefreshParams) -> ChatgptAuthTokensRefreshResponse:
            questions.append(params)
            await trio.sleep(1)
            token = world.sandbox.issue_tokens().access_token.reveal()
            return ChatgptAuthTokensRefreshResponse(token, "account-sandbox")

        await supply_tokens(world, ask)
        refused = login_of(world)
        refreshed: list[bool] = []

        async def refresh() -> None:
            refreshed.append(await world.refresher._refresh_refused(refused))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(refresh)
        assert refreshed == [True, True, True]
        assert len(questions) == 1
        assert [event["event"] for event in world.audited] == ["token.supplied", "token.supplied"]


async def test_what_others_store_meanwhile_is_not_told(autojump_clock: trio.testing.MockClock) -> None:
    """The tokens that were supplied stay the account; what is stored beneath is no news to anybody."""
    async with open_world() as world:
        await supply_tokens(world)
        supplied = world.credential.current
        world.heard.clear()
        assert isinstance(world.store, MemoryStore)
        world.store.record = other = parse_record(b'{"OPENAI_API_KEY": "sk-theirs"}')
        await world.account.store_watch.reload()
        assert world.credential.current is supplied
        assert world.credential.record is other
        assert world.heard == []


async def test_a_policy_that_comes_later_ends_them(autojump_clock: trio.testing.MockClock) -> None:
    """Tokens of a workspace that is no longer allowed are forgotten, not hidden: nobody has stored them."""
    async with open_world() as world:
        await supply_tokens(world)
        world.services.policy.replace(Policy(workspaces=("elsewhere",)))
        await world.account.follow_policy()
        assert world.heard[-1] == {"method": "account/updated", "authMode": None, "planType": None}
        world.services.policy.replace(Policy())
        await world.account.follow_policy()
        assert world.credential.current is None
        assert not world.credential.is_external


async def test_a_backend_that_refuses_them_while_nobody_can_be_asked(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """They stay, and the log says why they were not refreshed."""
    async with open_world(Script(faults=(Fault(CHECK, 1, 401),))) as world:
        await supply_tokens(world)
        refused = login_of(world)
        assert not await world.refresher._refresh_refused(refused)
        assert login_of(world) is refused
        assert "were not refreshed" in caplog.text


async def test_a_login_that_begins_while_they_wait_for_their_turn_ends_with_them(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Else a person would approve it, only to be told then that it was for nothing."""
    async with open_world(Script()) as world, trio.open_nursery() as nursery:
        async with world.account._changing:
            nursery.start_soon(supply_tokens, world)
            await trio.testing.wait_all_tasks_blocked()
            login_id = await world.start_device_login()
        await trio.testing.wait_all_tasks_blocked()
        assert {completion["loginId"] for completion in world.completions()} == {login_id, None}
