"""Moves against everything that can happen meanwhile: nobody is lost, and no refresh token is sent twice."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
import trio.testing

from accountd.errors import InvalidRequest, RefreshError
from accountd.sandbox import Script
from fakes.household import ADA, CAROL, GRACE, add, check_household, open_files, states
from fakes.world import open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from fakes.world import World

DISTANCE = 1.0
"""Seconds for each way to the issuer."""

LONG = Script(approve_after_polls=1, token_lifetime=86_400.0)

OFFSETS = [10, pytest.param(200, marks=pytest.mark.whole)]
"""How many, over the time that the other one takes, and a moment before and after."""


def spread(offsets: int) -> list[float]:
    """Give so many offsets: negative is that many seconds before."""
    return [-0.1 + (2 * DISTANCE + 0.2) * each / offsets for each in range(offsets)]


@asynccontextmanager
async def open_two(**world_of: object) -> AsyncIterator[tuple[World, str, str]]:
    """Give a world with Grace's account in the vault, and Ada's active."""
    async with open_world(LONG, **world_of) as world:  # type: ignore[arg-type]  # as they come
        grace, ada = await add(world, GRACE), await add(world, ADA)
        world.transport.distance = DISTANCE
        yield world, ada, grace


async def after(seconds: float, work: Callable[[], Awaitable[None]], *refused: type[Exception]) -> None:
    """Do something after a time. A refresh may be refused, since its account has moved; anything else, as told."""
    await trio.sleep(seconds)
    with suppress(RefreshError, *refused):
        await work()


@pytest.mark.parametrize("offsets", OFFSETS)
@pytest.mark.parametrize("whose", ["who leaves", "who comes"])
async def test_a_switch_in_a_refresh(offsets: int, whose: str, autojump_clock: trio.testing.MockClock) -> None:
    """Of either account, at any time of it."""
    async with open_two() as (world, ada, grace):
        accounts = world.services.accounts
        for offset in spread(offsets):
            coming = grace if accounts.active_id == ada else ada
            refreshed = accounts.active if whose == "who leaves" else accounts.get(coming)
            begin = max(0.0, -offset)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(after, begin, partial(refreshed.refresher.refresh, "forced"))
                nursery.start_soon(after, begin + offset, partial(accounts.switch, coming, lambda: None))
            assert accounts.active_id == coming
            assert sorted(states(world).values()) == ["active", "stored"]
            await check_household(world, "ada", "grace")


@pytest.mark.parametrize("offsets", OFFSETS)
async def test_a_switch_in_a_logout(offsets: int, autojump_clock: trio.testing.MockClock) -> None:
    """From two connections: who was active is logged out, wherever it is by then, and the other one is not."""
    async with open_two() as (world, ada, grace):
        accounts = world.services.accounts
        named: list[str | None] = []

        async def log_out() -> None:
            named.append(accounts.active_id)
            await accounts.log_out(accounts.active, lambda: None)

        for offset in spread(offsets):
            begin = max(0.0, -offset)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(after, begin, log_out)
                switch = partial(accounts.switch, grace, lambda: None)
                nursery.start_soon(after, begin + offset, switch, InvalidRequest)
            others = {ada: "ada", grace: "grace"}
            gone = others.pop(named[-1] or "")
            [left] = others.values()
            assert states(world) == {left: "active" if left == "grace" else "stored"}, gone
            await check_household(world, left)
            await add(world, GRACE)
            await add(world, ADA)
        assert set(named) == {ada, grace}


async def test_a_logout_after_a_switch_is_of_whom_it_was_asked(autojump_clock: trio.testing.MockClock) -> None:
    """While it waits its turn, another account becomes the active one."""
    async with open_two() as (world, _, grace):
        accounts = world.services.accounts
        async with trio.open_nursery() as nursery:
            async with accounts.moving:
                nursery.start_soon(accounts.switch, grace, lambda: None)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(accounts.log_out, world.account, lambda: None)
                await trio.testing.wait_all_tasks_blocked()
        assert states(world) == {"grace": "active"}
        await check_household(world, "grace")


@pytest.mark.parametrize("offsets", OFFSETS)
async def test_a_switch_in_a_login(offsets: int, autojump_clock: trio.testing.MockClock) -> None:
    """From its beginning on to its commit, by one who has passed the gate before: in turn, and nobody is lost."""
    async with open_two() as (world, _, grace):
        accounts = world.services.accounts
        world.sandbox.script = msgspec.structs.replace(LONG, claims=CAROL)
        for each in range(offsets):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(after, 12.0 * each / offsets, lambda: accounts.switch(grace, lambda: None))
                login = await world.start_device_login()
                assert (await world.wait_completion(login))["success"]
            assert sorted(states(world).values()) == ["active", "stored", "stored"]
            await check_household(world, "ada", "carol", "grace")
            [carol] = [entry.id for entry in accounts.known.entries if entry.email == CAROL.email]
            await accounts.log_out(accounts.get(carol), lambda: None)


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.whole)])
async def test_two_daemons_of_one_home_switch_against_each_other(rounds: int, tmp_path: Path) -> None:
    """And refresh meanwhile. Both know in the end what is so, and a third one that starts."""
    store, vault = open_files(tmp_path)
    async with open_world(LONG, store=store, vault=vault, home=tmp_path) as one:
        grace, ada = await add(one, GRACE), await add(one, ADA)
        store, vault = open_files(tmp_path)
        async with open_world(after=one, store=store, vault=vault, home=tmp_path) as other:
            async with trio.open_nursery() as watching:
                for world in (one, other):
                    watching.start_soon(world.account.store_watch.follow, tmp_path / "auth.json")
                await trio.sleep(0.05)
                for number in range(rounds):
                    async with trio.open_nursery() as nursery:
                        for world, coming in ((one, grace), (other, (ada, grace)[number % 2])):
                            accounts = world.services.accounts
                            nursery.start_soon(after, 0, partial(accounts.switch, coming, lambda: None))
                            refresher = accounts.get((ada, grace)[number // 2 % 2]).refresher
                            nursery.start_soon(after, 0.003 * (number % 3), partial(refresher.refresh, "forced"))
                    await check_household(one, "ada", "grace")
                for world in (one, other):
                    await world.services.accounts.reread()
                assert states(one) == states(other)
                assert sorted(states(one).values()) == ["active", "stored"]
                watching.cancel_scope.cancel()
        store, vault = open_files(tmp_path)
        async with open_world(after=one, store=store, vault=vault, home=tmp_path) as third:
            assert states(third) == states(one)
