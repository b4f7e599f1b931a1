"""When tokens are refreshed: on request, on need, and ahead of time."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
import trio
import trio.testing

from accountd.account.refresh import AHEAD, FIRST_RETRY, LONGEST_RETRY
from accountd.errors import RefreshFailed
from accountd.sandbox import Fault, Script
from accountd.storage.document import parse_record
from accountd.storage.memory import MemoryStore
from fakes.client import open_client
from fakes.logged_in import (
    APPROVED,
    HOUR,
    TOKEN,
    login_of,
    open_logged_in,
    refreshes,
    stored_login,
)
from fakes.world import open_world


async def test_a_forced_refresh_stores_what_it_shows(autojump_clock: trio.testing.MockClock) -> None:
    """New tokens, in the store and in memory; what belongs to the login and not to the tokens is kept."""
    async with open_logged_in() as world:
        before = login_of(world)
        await world.refresher.refresh("forced")
        after = login_of(world)
        assert after.tokens != before.tokens
        assert stored_login(world) == after
        assert (after.login_owner_id, after.account_id, after.provenance) == (
            before.login_owner_id,
            before.account_id,
            before.provenance,
        )
        assert [said["method"] for said in world.heard] == [
            "account/token/changed"
        ]  # to those alone who ask for it


async def test_many_callers_share_one_flight(autojump_clock: trio.testing.MockClock) -> None:
    """However many ask, and whichever of them leave, the refresh token is spent once."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(delay=5)
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(world.refresher.refresh, "forced")

            async def leave() -> None:
                with trio.move_on_after(1):
                    await world.refresher.refresh("forced")

            nursery.start_soon(leave)
        assert refreshes(world) == 1


async def test_of_a_crowd_that_waited_a_few_go_on_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """Each of them has something to do then, such as to hand a token out; others have their turns meanwhile."""
    async with open_logged_in() as world, trio.open_nursery() as nursery:
        gone_on = 0

        async def wait() -> None:
            nonlocal gone_on
            await world.refresher.refresh("forced")
            gone_on += 1

        for _ in range(100):
            nursery.start_soon(wait)
        numbers = [0]
        while numbers[-1] < 100:
            await trio.lowlevel.checkpoint()
            numbers.append(gone_on)
        assert max(after - before for before, after in pairwise(numbers)) < 10


async def test_a_flight_goes_on_when_everybody_has_left(autojump_clock: trio.testing.MockClock) -> None:
    """A client that asks and leaves gets its refresh all the same; the token is in the store."""
    async with open_logged_in() as world:
        before = login_of(world)
        world.sandbox.script = Script(delay=5)
        with trio.move_on_after(1):
            await world.refresher.refresh("forced")
        await trio.sleep(10)
        assert stored_login(world).tokens != before.tokens


async def test_a_shutdown_lets_a_spent_token_come_home(autojump_clock: trio.testing.MockClock) -> None:
    """A refresh that has been sent is seen through, or its token would be lost."""
    store = MemoryStore()
    async with open_logged_in(store=store) as world:
        before = login_of(world)
        world.sandbox.script = Script(delay=5)
        with trio.move_on_after(1):
            await world.refresher.refresh("forced")
    assert store.record is not None
    assert store.record.chatgpt is not None
    assert store.record.chatgpt.tokens != before.tokens


@pytest.mark.parametrize(
    "fault", [Fault(TOKEN, 1, 500), Fault(TOKEN, 1, 403, {"error": "invalid_grant"}), Fault(TOKEN, 1, 200, "?")]
)
async def test_a_failure_changes_nothing_and_the_next_try_may_do_better(
    autojump_clock: trio.testing.MockClock, fault: Fault
) -> None:
    """The old token stays in use; asking again asks the issuer again."""
    async with open_logged_in() as world:
        before = login_of(world)
        world.sandbox.script = Script(faults=(fault,))
        with pytest.raises(RefreshFailed):
            await world.refresher.refresh("forced")
        assert login_of(world) is before
        assert world.reader.auth_status(include_token=True).auth_token is not None
        await world.refresher.refresh("forced")
        assert login_of(world).tokens != before.tokens


@pytest.mark.parametrize(
    ("bug", "told"),
    [
        (ZeroDivisionError, "internal error; the log of accountd says more"),
        (MemoryError, "accountd has no room for this now: out of memory"),
    ],
)
async def test_a_bug_fails_its_refresh_and_no_more(
    bug: type[Exception],
    told: str,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An exception that nobody foresaw is an error without details; the next refresh is a new one."""

    def fail(_: str) -> None:
        raise bug

    async with open_logged_in() as world:
        before = login_of(world)
        with monkeypatch.context() as patch:
            patch.setattr(world.refresher._rotation, "refresh", fail)
            with pytest.raises(RefreshFailed, match=told):
                await world.refresher.refresh("forced")
        assert ("not foreseen" in caplog.text) == (bug is ZeroDivisionError)
        await world.refresher.refresh("forced")
        assert login_of(world).tokens != before.tokens


async def test_every_waiter_gets_an_error_of_its_own(autojump_clock: trio.testing.MockClock) -> None:
    """Raising an exception changes it, so no two tasks raise the same."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(delay=1, faults=(Fault(TOKEN, 1, 500),))
        caught: list[RefreshFailed] = []

        async def ask() -> None:
            try:
                await world.refresher.refresh("forced")
            except RefreshFailed as error:
                caught.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
        assert len({id(error) for error in caught}) == 2


async def test_a_token_is_refreshed_before_it_is_needed(autojump_clock: trio.testing.MockClock) -> None:
    """Ahead of its last five minutes, by itself, once; and between there is not one wake-up."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        sleeps = world.clock.sleeps
        await trio.sleep(HOUR - 300 - AHEAD - 1)
        assert refreshes(world) == 0
        assert world.clock.sleeps - sleeps <= 1
        await trio.sleep(AHEAD + 2)
        assert refreshes(world) == 1


async def test_a_week_passes_with_one_refresh_an_hour(autojump_clock: trio.testing.MockClock) -> None:
    """Every token is replaced in time, once; nobody ever holds one that is about to expire."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        for _ in range(7 * 24):
            await trio.sleep(HOUR)
            assert not world.refresher.is_due()
        assert 7 * 24 <= refreshes(world) <= 7 * 24 * HOUR / (HOUR - 300 - AHEAD) + 1
        assert world.clock.sleeps <= 2 * refreshes(world) + 2


async def test_a_machine_that_slept_refreshes_when_it_wakes(autojump_clock: trio.testing.MockClock) -> None:
    """The timer goes by the time of day: after a night's suspend the token is refreshed at once."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        await trio.sleep(600)
        world.clock.jump(8 * HOUR)
        await trio.sleep(1)
        assert refreshes(world) == 1
        assert not world.refresher.is_due()


async def test_a_clock_that_is_set_back_and_forth_costs_no_refresh(autojump_clock: trio.testing.MockClock) -> None:
    """Looking again is all that a jump causes, unless it passes the time that counts."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        for seconds in (-HOUR, HOUR, 1800, -1800):
            world.clock.jump(seconds)
            await trio.sleep(1)
        assert refreshes(world) == 0


async def test_an_outage_is_met_with_patience(autojump_clock: trio.testing.MockClock) -> None:
    """Tries get rarer, never more than one in a quarter of an hour; when the network is back, so is the token."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        world.transport.offline = True
        await trio.sleep(12 * HOUR)
        world.transport.offline = False
        await trio.sleep(LONGEST_RETRY + 1)
        assert refreshes(world) == 1
        assert not world.refresher.is_due()


async def test_a_token_that_does_not_say_when_it_expires_is_refreshed_after_eight_days(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Without an `exp` the age of the last refresh decides."""
    async with open_world(APPROVED) as world:
        tokens = world.sandbox.issue_tokens()
        opaque = {
            "id_token": tokens.id_token.reveal(),
            "access_token": "opaque",
            "refresh_token": tokens.refresh_token.reveal(),
            "account_id": "account-sandbox",
        }
        document = {"tokens": opaque, "last_refresh": "2027-01-15T08:00:00.123456789Z"}  # the clock's beginning
        assert isinstance(world.store, MemoryStore)
        world.store.record = parse_record(msgspec.json.encode(document))
        await world.account.store_watch.reload()
        await trio.sleep(7.9 * 86400)
        assert refreshes(world) == -1
        await trio.sleep(0.1 * 86400 + 1)
        assert refreshes(world) == 0


async def test_tokens_that_live_for_a_minute_do_not_wear_the_issuer_out(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Where every token is due as soon as it comes, there is a pause between refreshes all the same."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=60)) as world:
        await trio.sleep(600)
        assert refreshes(world) <= 21


async def test_an_api_key_is_never_refreshed(autojump_clock: trio.testing.MockClock) -> None:
    """Without a ChatGPT login there is nothing to do, whoever asks."""
    store = MemoryStore(parse_record(b'{"OPENAI_API_KEY": "sk"}'))
    async with open_world(store=store) as world:
        await world.refresher.refresh_if_due(forced=True)
        await trio.sleep(1000 * HOUR)
        assert world.sandbox.requests == []


async def test_a_token_that_was_just_refreshed_is_not_due_whatever_it_says(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """One that lives for a minute would look due at each request; a clock that is set back makes it due."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=60)) as world:
        refresher = world.refresher
        await refresher.refresh("forced")
        assert not refresher.is_due()
        world.clock.jump(-100)
        assert refresher.is_due()


@pytest.mark.parametrize("chance", [0.0, 0.25, 1.0])
async def test_chance_says_how_far_ahead(autojump_clock: trio.testing.MockClock, chance: float) -> None:
    """So many machines that logged in together do not refresh together; two minutes are the most."""
    async with open_logged_in() as world:
        world.refresher._chance = lambda: chance
        await world.refresher.refresh("forced")
        await trio.testing.wait_all_tasks_blocked()
        assert world.credential.due_time is not None
        assert world.refresher.next_time == world.credential.due_time - AHEAD * chance


async def test_a_long_outage_costs_the_issuer_little(autojump_clock: trio.testing.MockClock) -> None:
    """Two hours of it: a handful of tries at first, and then one each quarter of an hour at most twice."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=360)) as world:
        world.sandbox.script = Script(faults=tuple(Fault(TOKEN, nth, 503) for nth in range(1, 1000)))
        before = refreshes(world)
        await trio.sleep(2 * HOUR)
        assert 8 <= refreshes(world) - before <= 30


async def test_an_outage_that_is_over_is_forgotten(autojump_clock: trio.testing.MockClock) -> None:
    """After a refresh that succeeded, the first retry of the next outage comes as early as that of the first."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        world.refresher._chance = lambda: 1.0
        waits = []
        for _ in range(2):
            world.transport.offline = True
            await trio.testing.wait_all_tasks_blocked()
            next_time = world.refresher.next_time
            assert next_time is not None
            await trio.sleep(next_time - world.clock.now() + 1)
            assert world.refresher.next_time is not None
            waits.append(world.refresher.next_time - next_time)
            await trio.sleep(3 * HOUR)
            world.transport.offline = False
            await trio.sleep(LONGEST_RETRY + 1)
            assert not world.refresher.is_due()
        assert waits == pytest.approx([FIRST_RETRY, FIRST_RETRY], abs=1)


@pytest.mark.parametrize("method", ["account/read", "getAuthStatus"])
async def test_who_asks_while_a_token_is_due_is_answered_after_its_refresh(
    method: str, autojump_clock: trio.testing.MockClock
) -> None:
    """The machine has slept: the first answer is about a token that is good."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        await world.reader.look_up()
        async with open_client(world.services) as client:
            before = login_of(world)
            world.sandbox.script = Script(delay=1)
            world.clock.jump(8 * HOUR)
            assert "result" in await client.call(method, {})
            assert login_of(world) != before
