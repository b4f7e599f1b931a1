"""What a cancel promises, whenever it comes, and what becomes of logins when a client or the manager leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.sandbox import Script
from accountd.storage.memory import MemoryStore
from fakes.world import APPROVED, open_world, stored

if TYPE_CHECKING:
    from accountd.storage.base import AuthRecord


class SlowStore(MemoryStore):
    """A store whose `save` takes a while, and says when it has begun."""

    def __init__(self, seconds: float, record: AuthRecord | None = None) -> None:
        super().__init__(record)
        self.seconds = seconds
        self.saving = trio.Event()

    async def save(self, record: AuthRecord) -> None:
        """See MemoryStore."""
        self.saving.set()
        await trio.sleep(self.seconds)
        await super().save(record)


async def test_cancelling_a_waiting_login_promises_that_nothing_is_stored(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A cancelled login completes without success, and is not found a second time."""
    async with open_world(Script()) as world:
        login_id = await world.start_device_login()
        assert await world.logins.cancel(login_id)
        assert not await world.logins.cancel(login_id)
        completion = await world.wait_completion(login_id)
        await trio.sleep(2000)
        assert stored(world.store) is None
    assert completion["error"] == "Login was not completed"
    assert len(world.completions()) == 1


async def test_a_cancel_that_meets_a_commit_waits_and_is_too_late(autojump_clock: trio.testing.MockClock) -> None:
    """While the credential is being written a cancel is not answered; then it is told the truth."""
    store = SlowStore(5.0)
    async with open_world(APPROVED, store=store) as world:
        login_id = await world.start_device_login()
        await store.saving.wait()
        asked = trio.current_time()
        assert not await world.logins.cancel(login_id)
        assert trio.current_time() - asked == pytest.approx(5.0)
        assert world.completions() == [
            {
                "method": "account/login/completed",
                "loginId": login_id,
                "success": True,
                "error": None,
                "onboardingEntrypoint": None,
            }
        ]
        assert stored(store) is not None


@pytest.mark.parametrize("step", range(40))
async def test_whenever_a_cancel_comes_it_is_answered_truly(
    autojump_clock: trio.testing.MockClock, step: int
) -> None:
    """Cancels spread over the polling, the exchange and the commit: `canceled` only if nothing is ever stored."""
    store = SlowStore(0.5)
    async with open_world(Script(approve_after_polls=1, interval=1, delay=0.5), store=store) as world:
        login_id = await world.start_device_login()
        await trio.sleep(0.1 * step)
        cancelled = await world.logins.cancel(login_id)
        completion = await world.wait_completion(login_id)
        await trio.sleep(100)
        assert completion["success"] == (stored(store) is not None)
        assert cancelled == (not completion["success"])
        assert len(world.completions()) == 1


async def test_a_client_that_leaves_during_the_start_takes_the_login_with_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Cancelling a start whose code has not come begins nothing; an older login goes on."""
    async with open_world(Script(interval=1)) as world:
        older = await world.start_device_login()
        world.sandbox.script = Script(delay=10)
        with trio.move_on_after(1):
            await world.start_device_login()
        assert world.heard == []
        world.sandbox.script = APPROVED
        assert (await world.wait_completion(older))["success"]


async def test_leaving_the_manager_completes_what_waits() -> None:
    """At shutdown every login completes, without success, before the manager is gone."""
    async with open_world(Script()) as world:
        login_id = await world.start_device_login()
    assert [completion["loginId"] for completion in world.completions()] == [login_id]


async def test_leaving_the_manager_waits_for_a_commit(autojump_clock: trio.testing.MockClock) -> None:
    """A shutdown that meets a commit lets it finish, and the completion says what became of it."""
    store = SlowStore(5.0)
    async with open_world(APPROVED, store=store) as world:
        await world.start_device_login()
        await store.saving.wait()
    assert stored(store) is not None
    assert world.completions()[0]["success"]
