"""A login of an organisation, whose requirements are asked for before anything is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from accountd.sandbox import Claims, Fault, Script
from accountd.storage.memory import MemoryStore
from fakes.world import open_world

if TYPE_CHECKING:
    import trio.testing

BUNDLE = "/backend-api/wham/config/bundle"
BUSINESS = Claims(plan="business")


async def test_without_them_nothing_is_stored(autojump_clock: trio.testing.MockClock) -> None:
    """Where they cannot be had, the login fails, and the account that was there is the account."""
    script = Script(approve_after_polls=0, claims=BUSINESS, faults=(Fault(BUNDLE, 1, 404),))
    async with open_world(script) as world:
        completion = await world.wait_completion(await world.start_device_login())
        assert not completion["success"]
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is None
        assert BUNDLE in [request.path for request in world.sandbox.requests]


async def test_while_they_are_asked_for_a_login_can_be_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing is stored yet, so a cancel is not too late, and does not wait for the backend."""
    async with open_world(Script(approve_after_polls=0, claims=BUSINESS, interval=1, delay=2)) as world:
        login_id = await world.start_device_login()
        await trio.sleep(8)  # an interval, the poll and the exchange, and half of the next request
        assert world.sandbox.requests[-1].path == BUNDLE
        asked = trio.current_time()
        assert await world.logins.cancel(login_id)
        await world.wait_completion(login_id)
        assert trio.current_time() - asked < 1
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is None
