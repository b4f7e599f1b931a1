"""Clocks that go wrong: set forward and back, in the wrong century, and tokens that say impossible times."""

from __future__ import annotations

import base64
import errno
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio
import trio.testing

from accountd.oauth.claims import parse_claims
from accountd.oauth.device import EXPIRED_THERE
from accountd.oauth.refresh import find_due_time
from accountd.sandbox import Script
from accountd.secret import Secret
from accountd.system import clock as system_clock
from accountd.system.clock import WallClock
from fakes.world import World, open_world
from faults.operations import is_good_record, logged_in_record

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600.0
DAY = 24 * HOUR

JUMPS = (-50 * 365 * DAY, -DAY, -HOUR, -1.0, 1.0, HOUR, DAY, 50 * 365 * DAY)
"""Seconds by which a clock is set, or a machine sleeps; the first takes it to the seventies."""

TIMES = ("0", "-5", "-1e308", "1e300", "1e400", "9" * 400, "9223372036854775807", "18446744073709551616", "1.5e9")
NO_TIMES = ("true", "null", '"1900000000"', "[]", "{}")


def token(expiry: str) -> Secret:
    """Make a token that expires then."""
    payload = base64.urlsafe_b64encode(f'{{"exp":{expiry},"iat":{expiry}}}'.encode()).rstrip(b"=").decode()
    return Secret(f"aGVhZA.{payload}.c2lnbmF0dXJl")


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_clock_that_is_set_ends_no_login(jump: float, autojump_clock: trio.testing.MockClock) -> None:
    """A login that waits has its fifteen minutes by a steady clock, and its tokens are stored; later ones too."""
    async with open_world(Script(approve_after_polls=8, code_lifetime=10 * 365 * DAY)) as world:
        login_id = await world.start_device_login()
        await trio.sleep(3.5)
        world.clock.jump(min(jump, DAY))
        if jump > DAY:
            world.clock.jump(jump - DAY)
            world.sandbox.script = Script(approve_after_polls=8)
        completion = await world.wait_completion(login_id)
        if jump < 9 * 365 * DAY:
            assert completion["success"]
        else:  # the code has expired, by the issuer's clock, which is this one here
            assert completion["error"] == EXPIRED_THERE
        world.sandbox.script = Script(approve_after_polls=0)
        assert (await world.wait_completion(await world.start_device_login()))["success"]


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_clock_that_is_set_loses_no_token(jump: float, autojump_clock: trio.testing.MockClock) -> None:
    """Whatever the clock says, a refresh works, few are made for nothing, and the next is in time."""
    async with open_world(Script()) as world:
        await world.services.accounts.log_in(logged_in_record(world), announce=lambda: None)
        await world.refresher.refresh("forced")
        world.clock.jump(jump)
        await trio.sleep(60)
        await world.refresher.refresh("forced")
        world.clock.jump(-jump)
        await trio.sleep(60)
        await world.refresher.refresh("forced")
        before = refreshes(world)
        await trio.sleep(DAY)
        assert 24 <= refreshes(world) - before <= 28
        assert world.credential.current is not None
        assert is_good_record(world, world.credential.current)


async def test_a_refresh_by_a_clock_that_was_ahead_does_not_put_off_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The clock is a day ahead at a refresh, and then set right: the next is made before the token expires."""
    async with open_world(Script()) as world:
        await world.services.accounts.log_in(logged_in_record(world), announce=lambda: None)
        right = world.sandbox._state.now
        offset = world.clock.now() - right()
        world.clock.jump(DAY)
        world.sandbox._state.now = lambda: world.clock.now() - DAY - offset  # the issuer's is right all the while
        await world.refresher.refresh("forced")
        world.clock.jump(-DAY)
        world.sandbox._state.now = world.clock.now
        before = refreshes(world)
        await trio.sleep(2 * HOUR)
        assert refreshes(world) > before


@pytest.mark.parametrize("expiry", TIMES + NO_TIMES)
async def test_impossible_times_in_a_token_are_survived(
    expiry: str, autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """A token that expires before the beginning, or after the end of time, is used; the issuer has peace."""
    async with open_world(Script()) as world:
        record = logged_in_record(world)
        assert record.chatgpt is not None
        tokens = msgspec.structs.replace(record.chatgpt.tokens, access_token=token(expiry))
        login = msgspec.structs.replace(record.chatgpt, tokens=tokens)
        await world.services.accounts.log_in(msgspec.structs.replace(record, chatgpt=login), announce=lambda: None)
        json.dumps(world.refresher.seconds_left(), allow_nan=False)
        await world.refresher.refresh_if_due()
        await trio.sleep(HOUR / 2)
        assert refreshes(world) <= 2
        await world.refresher.refresh("forced")
        assert is_good_record(world, world.credential.current or record)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00", "9999-12-31T23:59:59-12:00", "0000-00-00", "", "1e400"])
def test_impossible_times_in_the_file_are_survived(time: str) -> None:
    """What is said of the last refresh may be any text; one that is no time of a calendar says nothing."""
    due = find_due_time(None, time)
    assert due is None or abs(due) < 1e12


@pytest.mark.parametrize("expiry", TIMES)
def test_an_expiry_is_a_time_or_nothing(expiry: str) -> None:
    """No error, and nothing that a clock or a calendar could not take."""
    found = parse_claims(token(expiry)).expires_at
    assert found is None or 0 <= found < 1e12


@pytest.mark.parametrize("moment", [1e300, float("inf"), 1e19, 9.3e18, -1e300, 0.0])
async def test_any_moment_can_be_slept_until(moment: float) -> None:
    """One that is past is over at once; one that never comes is slept for, without an error."""
    with trio.move_on_after(0.01) as scope:
        await WallClock().sleep_until(moment)
    assert scope.cancelled_caught == (moment > 1e10)


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), ImportError("no room")])
async def test_without_room_for_a_timer_it_is_looked_at_each_minute(
    error: Exception, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon goes on, and sleeps by trio's clock for a while."""

    def refuse(_: float) -> Any:
        raise error

    monkeypatch.setattr(system_clock, "_open_timer", refuse)
    clock, begun = WallClock(), trio.current_time()
    await clock.sleep_until(clock.now() + HOUR)
    assert trio.current_time() - begun == 60
    await clock.sleep_until(clock.now() + 5)
    assert trio.current_time() - begun == pytest.approx(65, abs=0.1)


def refreshes(world: World) -> int:
    """Count those that the issuer was asked for."""
    return [request.path for request in world.sandbox.requests].count("/oauth/token")
