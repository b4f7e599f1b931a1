"""What becomes of an account by itself: it rests, and is refreshed as seldom as keeps its login alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from accountd.config.policy import Policy
from accountd.errors import InvalidRequest, RequestFailed
from accountd.protocol.usage import GetAccountRateLimitsParams
from accountd.sandbox import Script
from fakes.household import ADA, GRACE, add, check_household
from fakes.world import open_world

if TYPE_CHECKING:
    import trio.testing

    from fakes.world import World

DAY = 86_400.0


def asked(world: World) -> list[str]:
    """Give the paths of the requests since this was last called."""
    paths = [each.path for each in world.sandbox._state.requests]
    world.sandbox._state.requests.clear()
    return paths


async def test_an_account_at_rest_is_refreshed_every_eight_days(autojump_clock: trio.testing.MockClock) -> None:
    """However short its tokens live; nothing else is asked for it, and nothing wakes for it in between."""
    async with open_world(Script(token_lifetime=3600.0)) as world:
        await add(world, GRACE)
        await add(world, ADA)
        await world.services.accounts.log_out(world.account, lambda: None)
        asked(world)
        sleeps = world.clock.sleeps
        await trio.sleep(7.9 * DAY)
        assert asked(world) == []
        assert world.clock.sleeps - sleeps <= 1
        await trio.sleep(0.2 * DAY)
        assert asked(world) == ["/oauth/token"]
        await trio.sleep(8 * DAY)
        assert asked(world) == ["/oauth/token"]
        await check_household(world, "grace")


async def test_who_is_meant_is_kept_ready(autojump_clock: trio.testing.MockClock) -> None:
    """As the active one is, for as long as somebody means it."""
    async with open_world(Script(token_lifetime=3600.0)) as world:
        grace, _ = await add(world, GRACE), await add(world, ADA)
        await world.services.accounts.log_out(world.account, lambda: None)
        world.services.accounts.roster.use(grace, 1)
        asked(world)
        await trio.sleep(0.5 * DAY)
        assert len(asked(world)) > 10
        world.services.accounts.roster.use(grace, -1)
        await trio.sleep(7 * DAY)
        assert asked(world) == []


@pytest.mark.parametrize("users", [0, 1])
async def test_who_is_in_doubt_is_refreshed_for_its_token_alone(
    users: int, autojump_clock: trio.testing.MockClock
) -> None:
    """Neither by itself nor for figures: another program may live by its refresh token. The first one clears it."""
    async with open_world(Script(token_lifetime=3600.0)) as world:
        grace, _ = await add(world, GRACE), await add(world, ADA)
        await world.services.accounts.log_out(world.account, lambda: None)
        account = world.services.accounts.get(grace)
        account.credential.is_doubtful = True
        world.services.accounts.roster.use(grace, users) if users else None
        asked(world)
        await trio.sleep(20 * DAY)
        with pytest.raises(RequestFailed):
            await account.usage.read_rate_limits(GetAccountRateLimitsParams())
        assert "/oauth/token" not in asked(world)
        await account.reader.hand_out(60.0)
        assert "/oauth/token" in asked(world)
        assert not account.credential.is_doubtful


async def test_who_is_selected_is_permitted_and_noted() -> None:
    """By the workspace of its tokens; the audit log has ids alone, and none where there is one account."""
    async with open_world(policy=Policy(workspaces=(ADA.account_id,))) as world:
        accounts = world.services.accounts
        grace = await add(world, GRACE)
        await world.reader.hand_out(60.0) if world.credential.current else None
        ada = await add(world, ADA)
        await world.reader.hand_out(60.0)
        assert accounts.select("ada@example.com") == ada
        with pytest.raises(InvalidRequest, match="restricted to workspace"):
            accounts.select("grace@example.com")
        await accounts.remove(grace, lambda: None, revoke=False)
        noted = [
            {k: v for k, v in each.items() if k in ("event", "account", "from", "to", "by")}
            for each in world.audited
        ]
        assert noted == [
            {"event": "account.added", "account": ada, "by": "login"},
            {"event": "account.switched", "from": grace, "to": ada, "by": "client"},
            {"event": "token.handedOut", "account": ada},
            {"event": "account.selected", "account": ada},
            {"event": "logout", "account": grace},
            {"event": "account.removed", "account": grace},
        ]
        assert "example.com" not in str(world.audited)
