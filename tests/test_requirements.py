"""When requirements are fetched, how long they hold, and what there is without them."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio
import trio.testing

from accountd.errors import ConfigError, RemoteRefused, RemoteUnreachable, RequestFailed
from accountd.oauth.tokens import parse_claims
from accountd.policy import Policy
from accountd.protocol.requirements import (
    ELIGIBLE_PLANS,
    NO_REQUIREMENTS,
    Machine,
    RequirementsUnavailable,
    parse_layer,
)
from accountd.requirements import (
    RETRY,
    TTL,
    BundleFile,
    RequirementsService,
    open_requirements,
    read_system_layer,
    this_machine,
)
from accountd.sandbox import Claims, Script
from accountd.storage.base import Provenance, chatgpt_record
from accountd.storage.memory import MemoryStore
from fakes.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from accountd.oauth.tokens import TokenSet
    from accountd.protocol.requirements import ConfigRequirementsReadResponse, Layer
    from accountd.secret import Secret

BUSINESS = Claims(plan="business")
MACHINE = Machine(Path("/codex"), Path("/home/me"), "build-7")
LONG = 60 * 86_400
"""Seconds that tokens live: long enough for no refresh to come in between."""

Answer = str | int | None
"""TOML to answer with, or a status to refuse with, or None for no answer at all."""


def bundle(toml: str) -> bytes:
    """Make a bundle of one fragment."""
    fragments = [{"id": "r1", "name": "Org", "contents": toml}]
    return json.dumps({"requirements_toml": {"enterprise_managed": fragments}}).encode()


class Office:
    """The backend as far as requirements go. It gives its answers in turn, and the last one for ever."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = list(answers)
        self.delay = 0.0
        self.asked_at: list[float] = []
        self.tokens: list[Secret] = []

    async def read(self, token: Secret, account_id: str | None) -> bytes:
        """See Backend.read_config_bundle."""
        self.asked_at.append(trio.current_time())
        self.tokens.append(token)
        await trio.sleep(self.delay)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise RemoteUnreachable("error sending request")
        if isinstance(answer, int):
            raise RemoteRefused("no", answer)
        return bundle(answer)


class Scene:
    """A world with requirements in it."""

    def __init__(self, world: World, office: Office, service: RequirementsService) -> None:
        self.world = world
        self.office = office
        self.service = service

    async def load(self, claims: Claims = BUSINESS) -> TokenSet:
        """Have a login's requirements loaded, as before its commit, and give its tokens."""
        self.world.sandbox.script = Script(claims=claims, token_lifetime=LONG)
        tokens = self.world.sandbox.issue_tokens()
        read = parse_claims(tokens.id_token)
        await self.service.load_for(read, tokens.access_token, read.account_id)
        return tokens

    async def commit(self, tokens: TokenSet) -> None:
        """Make tokens the current account's."""
        claims = parse_claims(tokens.id_token)
        record = chatgpt_record(tokens, claims, Provenance("http://127.0.0.1", "client"), 0)
        await self.world.account.commit(record, announce=lambda: None)
        await trio.testing.wait_all_tasks_blocked()

    async def log_in(self, claims: Claims = BUSINESS) -> None:
        """Log in: first the requirements, then the commit."""
        await self.commit(await self.load(claims))

    async def log_in_elsewhere(self, claims: Claims = BUSINESS) -> None:
        """Log in as another program does, which has its own requirements."""
        self.world.sandbox.script = Script(claims=claims, token_lifetime=LONG)
        await self.commit(self.world.sandbox.issue_tokens())


@asynccontextmanager
async def open_scene(
    folder: Path, *answers: Answer, policy: Policy | None = None, system: Layer = NO_REQUIREMENTS
) -> AsyncIterator[Scene]:
    """Give a scene in which nobody is logged in; its file is in the folder."""
    office = Office(answers or ["allow_appshots = true"])

    async def require_nothing(*_: object) -> bytes:
        """Keep the world's own requirements out of the picture."""
        return bundle("")

    async with open_world(store=MemoryStore(), read_bundle=require_nothing) as world:
        service = RequirementsService(
            world.account,
            read_bundle=office.read,
            policy=policy or Policy(),
            clock=world.clock,
            machine=MACHINE,
            file=BundleFile(folder / "accountd-requirements.json"),
            system=system,
            chance=lambda: 0.5,
        )
        async with open_requirements(service):
            await trio.testing.wait_all_tasks_blocked()
            yield Scene(world, office, service)


def told(answer: ConfigRequirementsReadResponse | None) -> dict[str, Any] | None:
    """Give what a client is told, without nulls and login methods."""
    assert answer is not None
    requirements = json.loads(msgspec.json.encode(answer))["requirements"]
    return requirements and {
        key: value for key, value in requirements.items() if value is not None and key != "allowedLoginMethods"
    }


def modes(folder: Path) -> dict[str, int]:
    """Give the files of a folder, with who may do what to them."""
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


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
    ("answer", "text"),
    [
        (401, "cloud config: authentication failed (HTTP 401)"),
        ("allowed = [", "cloud config: invalid bundle"),
        ("allowed_sandbox_modes = []", "invalid input parameter"),
    ],
)
async def test_what_no_second_try_can_change_is_not_tried_again(
    answer: Answer, text: str, autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """The login fails at once."""
    async with open_scene(tmp_path, answer) as scene:
        with pytest.raises(RequirementsUnavailable) as caught:
            await scene.load()
        assert str(caught.value) == f"failed to load workspace requirements: {text}"
        assert len(scene.office.asked_at) == 1


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
    """The second token is tried; if it is refused as well, the retries that follow spend no more."""
    async with open_scene(tmp_path, 401, "allow_appshots = true") as scene:
        await scene.log_in_elsewhere()
        await scene.service.require()
        assert len(set(scene.office.tokens)) == 2
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
        assert len(scene.office.tokens) == 1


async def test_a_restart_without_a_network_keeps_the_requirements(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """The file has them for its owner alone to read, however old, for the same account and no other."""
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
    assert modes(tmp_path) == {"accountd-requirements.json": 0o600}
    async with open_scene(tmp_path, None) as scene:
        scene.world.clock.jump(30 * 86_400)
        await scene.log_in_elsewhere()
        await scene.service.require()
        assert told(scene.service.known()) == {"allowAppshots": True}
        await scene.log_in_elsewhere(Claims(plan="business", account_id="other"))
        with pytest.raises(RequestFailed):
            await scene.service.require()


async def test_a_new_login_does_not_live_on_old_requirements(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Fresh ones are used from the file; for older ones the backend has to be there, as for the login itself."""
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
    async with open_scene(tmp_path, None) as scene:
        await scene.load()
        assert scene.office.asked_at == []
        scene.world.clock.jump(TTL + 1)
        with pytest.raises(RequirementsUnavailable):
            await scene.load()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"\xff",
        b"[" * 100_000,
        b'{"owner":{"user_id":null,"account_id":null},"fetched_at":0,"bundle":1}',
    ],
)
async def test_a_file_that_cannot_be_used_is_as_good_as_none(
    content: bytes, autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """Whatever is in it, the backend is asked, and the file is whole again."""
    path = tmp_path / "accountd-requirements.json"
    path.write_bytes(content)
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
        assert len(scene.office.asked_at) == 1
    assert b"allow_appshots" in path.read_bytes()


async def test_a_file_of_an_owner_with_a_bad_bundle_is_as_good_as_none(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """What an older release could read, this one may refuse; then it asks."""
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
    path = tmp_path / "accountd-requirements.json"
    path.write_text(path.read_text().replace("allow_appshots = true", "allow_appshots = 5"))
    async with open_scene(tmp_path) as scene:
        await scene.log_in()
        assert len(scene.office.asked_at) == 1


async def test_a_disk_that_takes_nothing_costs_the_file_alone(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Requirements are in memory, and the log says what is wrong."""
    async with open_scene(tmp_path / "missing") as scene:
        await scene.log_in()
        assert told(scene.service.known()) == {"allowAppshots": True}
    assert "accountd-requirements.json cannot be written: No such file or directory" in caplog.text


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
        scene.service.replace_system(
            parse_layer("allow_appshots = false\nenforce_residency = 'us'", MACHINE, of_logins=True)
        )
        assert told(scene.service.known()) == {"allowAppshots": True, "enforceResidency": "us"}
        assert len(scene.office.asked_at) == 1


def test_the_machines_file_is_read_strictly(tmp_path: Path) -> None:
    """None is no requirement; one that cannot be read stops the start, and the words name it."""
    path = tmp_path / "requirements.toml"
    assert read_system_layer(path) == NO_REQUIREMENTS
    path.write_text('allowed_login_methods = ["api"]\nlog_dir = "x"')
    values = read_system_layer(path).values
    assert values.allowed_login_methods == ["api"]
    assert values.log_dir == (tmp_path / "x").as_uri()
    for content in (b"x = [", b"\xff", b'allowed_login_methods = ["bogus"]'):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"requirements\.toml: "):
            read_system_layer(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_system_layer(path)


def test_this_machine_has_a_name_and_a_home() -> None:
    """Which some layers ask for."""
    machine = this_machine(Path("/codex"))
    assert machine.hostname
    assert machine.user_home.is_absolute()
