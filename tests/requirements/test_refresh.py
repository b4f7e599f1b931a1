"""How long requirements hold, and what there is without them, for an account that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.errors import RequestFailed
from accountd.requirements.file import TTL
from accountd.requirements.service import RETRY
from fakes.office import open_scene, told

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.office import Answer


async def test_requirements_are_refreshed_each_hour(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """By themselves, with the token of the day, and between there is not one wake-up."""
    async with open_scene(tmp_path, *(f"allow_appshots = {value}" for value in ("true", "false"))) as scene:
        await scene.log_in()
        sleeps = scene.world.clock.sleeps
        await trio.sleep(TTL - 1)
        assert told(scene.service.known()) == {"allowAppshots": True}
        assert scene.world.clock.sleeps == sleeps
        await trio.sleep(2)
        assert told(scene.service.known()) == {"allowAppshots": False}
        await trio.sleep(10 * TTL)
        assert len(scene.office.asked_at) == 12


async def test_an_outage_takes_nothing_away(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """The old requirements hold, and there is a try a minute until there are new ones."""
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
        scene.office.answers = [None]
        await trio.sleep(TTL + 10 * RETRY)
        assert told(await scene.service.read()) == {"allowAppshots": True}
        await scene.service.require()
        assert 1 + 9 * 5 <= len(scene.office.asked_at) <= 1 + 11 * 5
        scene.office.answers = ["allow_appshots = false"]
        await trio.sleep(RETRY + 5)
        assert told(scene.service.known()) == {"allowAppshots": False}


async def test_a_clock_that_is_set_back_has_them_fetched_again(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """What is from the future has no age, so it is not relied on for longer."""
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
        scene.world.clock.jump(-86_400)
        await trio.testing.wait_all_tasks_blocked()
        assert len(scene.office.asked_at) == 2


async def test_a_machine_that_slept_asks_when_it_wakes(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """An hour is an hour of the day."""
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
        scene.world.clock.jump(8 * TTL)
        await trio.testing.wait_all_tasks_blocked()
        assert len(scene.office.asked_at) == 2


async def test_another_programs_login_is_not_used_without_its_requirements(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Who asks before they are here waits; while they cannot be had, the answer is an error in known words."""
    async with open_scene(tmp_path, 404) as scene:
        await scene.log_in_elsewhere()
        assert scene.service.known() is None
        with pytest.raises(RequestFailed, match=r"^failed to read configuration layers: Failed to load cloud"):
            await scene.service.read()
        with pytest.raises(RequestFailed, match=r"request failed \(HTTP 404\)$"):
            await scene.service.require()
        scene.office.answers = ["allow_appshots = true"]
        await trio.sleep(RETRY + 1)
        await scene.service.require()
        assert told(scene.service.known()) == {"allowAppshots": True}


async def test_who_waits_is_told_of_a_logout(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """An account that goes while its requirements are waited for has none to wait for, nor to ask for."""
    async with open_scene(tmp_path) as scene:
        scene.office.delay = 4
        await scene.log_in_elsewhere()
        before = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.service.require)
            await trio.sleep(1)
            await scene.world.account.log_out(announce=lambda: None)
        assert trio.current_time() - before == pytest.approx(1)
        assert told(await scene.service.read()) is None


async def test_a_token_that_the_backend_refuses_is_replaced_once(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """When it is refused again; if the second is refused as well, the retries that follow spend no more."""
    for refusals, tokens in ((1, 1), (2, 2)):
        answers: list[Answer] = [*[401] * refusals, "allow_appshots = true"]
        async with open_scene(tmp_path / str(refusals), *answers) as scene:
            await scene.log_in_elsewhere()
            await scene.service.require()
            assert len(set(scene.office.tokens)) == tokens
    async with open_scene(tmp_path / "other", 401) as scene:
        await scene.log_in_elsewhere()
        with pytest.raises(RequestFailed, match=r"authentication failed \(HTTP 401\)$"):
            await scene.service.require()
        await trio.sleep(10 * RETRY)
        assert len(set(scene.office.tokens)) == 2
        assert len(scene.office.tokens) <= 13


async def test_a_token_that_cannot_be_replaced_is_not_tried_again(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Where the issuer refuses a refresh too, the backend's refusal stands."""
    async with open_scene(tmp_path, 401) as scene:
        scene.world.transport.offline = True
        await scene.log_in_elsewhere()
        with pytest.raises(RequestFailed, match=r"authentication failed \(HTTP 401\)$"):
            await scene.service.require()
        assert len(scene.office.tokens) == 2
