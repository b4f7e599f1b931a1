"""When a login's requirements are fetched, and what the machine and the person require besides."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.codex.plans import ELIGIBLE_PLANS
from accountd.config.policy import Policy
from accountd.errors import ConfigError, RequirementsUnavailable
from accountd.requirements import service as requirements
from accountd.requirements.file import TTL
from accountd.requirements.layers import NO_REQUIREMENTS, Layer, Machine, parse_bundle, parse_layer
from accountd.requirements.service import read_system_layer, this_machine
from accountd.sandbox import Claims
from fakes.bundles import MACHINE
from fakes.office import open_scene, told

if TYPE_CHECKING:
    from fakes.office import Answer


async def test_plans_without_an_organisation_are_not_asked_about(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Personal plans, `team` and unknown ones cost no request and have no requirements."""
    async with open_scene(tmp_path) as scene:
        for plan in ("free", "plus", "pro", "team", "self_serve_business_usage_based", "unknown"):
            await scene.log_in(Claims(plan=plan))
            assert told(await scene.service.read()) is None
        assert scene.office.asked_at == []


@pytest.mark.parametrize("plan", sorted(ELIGIBLE_PLANS))
async def test_every_plan_of_an_organisation_is_asked_about(
    plan: str, autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Once, with the login's own token, before the login counts; and then it is told."""
    async with open_scene(tmp_path) as scene:
        tokens = await scene.load(Claims(plan=plan))
        assert scene.office.tokens == [tokens.access_token]
        assert told(scene.service.known()) is None
        await scene.commit(tokens)
        assert told(scene.service.known()) == {"allowAppshots": True}
        assert len(scene.office.asked_at) == 1


async def test_a_failing_backend_is_asked_five_times(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """With pauses that double, and then the login fails with the last answer's words."""
    async with open_scene(tmp_path, 500, None, 404) as scene:
        with pytest.raises(RequirementsUnavailable) as caught:
            await scene.load()
        assert str(caught.value) == (
            "failed to load workspace requirements: cloud config: request failed (HTTP 404)"
        )
        first = scene.office.asked_at[0]
        assert [moment - first for moment in scene.office.asked_at] == pytest.approx([0, 0.2, 0.6, 1.4, 3.0])


async def test_a_second_answer_is_as_good_as_the_first(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """A try that fails costs a moment."""
    async with open_scene(tmp_path, 500, "allow_appshots = false") as scene:
        await scene.log_in()
        assert told(scene.service.known()) == {"allowAppshots": False}


@pytest.mark.parametrize(
    ("answer", "text", "tries"),
    [
        (401, "cloud config: authentication failed (HTTP 401)", 2),  # the first of which may pass
        ("allowed = [", "cloud config: invalid bundle", 1),
        ("allowed_sandbox_modes = []", "invalid input parameter", 1),
    ],
)
async def test_what_no_second_try_can_change_is_not_tried_again(
    answer: Answer, text: str, tries: int, autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """The login fails at once."""
    async with open_scene(tmp_path, answer) as scene:
        with pytest.raises(RequirementsUnavailable) as caught:
            await scene.load()
        assert str(caught.value) == f"failed to load workspace requirements: {text}"
        assert len(scene.office.asked_at) == tries


async def test_a_login_waits_twenty_seconds_at_most(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """A first try that hangs is given up after five; a slow second one may still be in time."""
    async with open_scene(tmp_path) as scene:
        scene.office.delay = 6
        await scene.load()
        assert scene.office.asked_at[1] - scene.office.asked_at[0] == pytest.approx(5.2)
    async with open_scene(tmp_path / "other") as scene:
        scene.office.delay = 60
        before = trio.current_time()
        with pytest.raises(RequirementsUnavailable, match=r"cloud config: request timed out$"):
            await scene.load()
        assert trio.current_time() - before == pytest.approx(20)


async def test_a_login_that_fails_changes_nothing(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """The account that was there, and what it requires, are as they were."""
    async with open_scene(tmp_path, "allow_appshots = true", 404) as scene:
        await scene.log_in()
        with pytest.raises(RequirementsUnavailable):
            await scene.load(Claims(plan="enterprise", account_id="other"))
        assert told(await scene.service.read()) == {"allowAppshots": True}


async def test_fresh_requirements_are_not_asked_for_again(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """The next login of the same person in the same workspace within an hour has them, even after a logout."""
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
        await scene.world.account.log_out(announce=lambda: None)
        await trio.sleep(TTL - 60)
        await scene.log_in(Claims(plan="enterprise"))
        assert len(scene.office.asked_at) == 1
        await scene.load(Claims(plan="business", account_id="other"))
        await scene.load(Claims(plan="business", user_id="somebody-else"))
        assert len(scene.office.asked_at) == 3


async def test_without_its_account_there_are_no_requirements(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """A logout ends them, and so does a login of another plan."""
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
        await scene.log_in(Claims(plan="pro"))
        assert told(scene.service.known()) is None
        await scene.log_in()
        await scene.world.account.log_out(announce=lambda: None)
        assert told(scene.service.known()) is None
        await scene.service.require()


async def test_the_machine_and_the_person_have_a_say_without_an_account(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """The machine's own file and the policy are told to everybody; the organisation's requirements go first."""
    system = parse_layer("allow_appshots = false\nenforce_residency = 'us'", MACHINE, of_logins=True)
    async with open_scene(tmp_path, policy=Policy(method="chatgpt"), system=system) as scene:
        answer = await scene.service.read()
        assert answer.requirements is not None
        assert answer.requirements.allowed_login_methods == ("chatgpt",)
        assert told(answer) == {"allowAppshots": False, "enforceResidency": "us"}
        await scene.log_in()
        assert told(scene.service.known()) == {"allowAppshots": True, "enforceResidency": "us"}


async def test_what_the_machine_requires_can_be_replaced_beneath(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """When its file is read again, the organisation's requirements stay above it; the backend is not asked."""
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
        await scene.service.replace_system(
            parse_layer("allow_appshots = false\nenforce_residency = 'us'", MACHINE, of_logins=True)
        )
        assert told(scene.service.known()) == {"allowAppshots": True, "enforceResidency": "us"}
        assert len(scene.office.asked_at) == 1


async def test_a_bundle_is_parsed_where_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be as large as TOML may be, and clients are served meanwhile."""
    threads = list[int]()
    monkeypatch.setattr(requirements, "parse_bundle", lambda *_: threads.append(threading.get_ident()))
    await requirements.parse_bundle_in_thread(b"", MACHINE, NO_REQUIREMENTS)
    assert threads != [threading.get_ident()]


async def test_a_change_of_the_machines_file_overtakes_a_bundle(tmp_path: Path) -> None:
    """A bundle that is parsed meanwhile is put above what the machine requires then, and not before."""
    async with open_scene(tmp_path) as scene:

        async def parse(body: bytes, machine: Machine, system: Layer) -> Layer:
            if system is NO_REQUIREMENTS:
                await scene.service.replace_system(
                    parse_layer("allow_login_shell = false", machine, of_logins=True)
                )
            return parse_bundle(body, machine, system)

        scene.service._parse_bundle = parse
        await scene.log_in()
        assert told(scene.service.known()) == {"allowAppshots": True, "allowLoginShell": False}


def test_the_machines_file_is_read_strictly(tmp_path: Path) -> None:
    """None is no requirement; one that cannot be read stops the start, and the words name it."""
    path = tmp_path / "requirements.toml"
    assert read_system_layer(path) == NO_REQUIREMENTS
    path.write_text('allowed_login_methods = ["api"]\nlog_dir = "x"')
    values = read_system_layer(path).values
    assert values.allowed_login_methods == ["api"]
    assert values.log_dir == (tmp_path / "x").as_uri()
    for content, words in (
        (b"x = [", "1: x: "),
        (b"\xff", " is not UTF-8 text"),
        (b'\nallowed_login_methods = ["bogus"]', '2: allowed_login_methods must be a list of "chatgpt", "api"'),
        (b"allowed_chatgpt_workspaces = 3", "1: allowed_chatgpt_workspaces must be a list"),
        (b"features.x = 3", "1: features cannot be used: Expected `bool`, got `int`"),
    ):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=re.escape(f"requirements.toml:{words}")):
            read_system_layer(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_system_layer(path)


def test_this_machine_has_a_name_and_a_home() -> None:
    """Which some layers ask for."""
    machine = this_machine(Path("/codex"))
    assert machine.hostname
    assert machine.user_home is not None
    assert machine.user_home.is_absolute()
