"""Logins from beginning to completion, on a clock that jumps."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
import trio.testing

from accountd.config.policy import Policy
from accountd.errors import InvalidRequest, RequestFailed, StorageError
from accountd.login.device_code import DeviceCodeFlow
from accountd.login.lifecycle import State
from accountd.protocol.account import DeviceCodeLoginStarted
from accountd.sandbox import Claims, Fault, Sandbox, Script
from accountd.secret import Secret
from accountd.storage.document import parse_record, render_record
from accountd.storage.file import FileStore
from accountd.storage.memory import MemoryStore
from fakes.world import APPROVED, open_world, stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from accountd.errors import AccountdError
    from accountd.login.flow import Granted, Retrying
    from accountd.storage.base import AuthRecord

POLL = "/api/accounts/deviceauth/token"
USERCODE = "/api/accounts/deviceauth/usercode"
EXCHANGE = "/oauth/token"


class BrokenStore(MemoryStore):
    """A store that cannot be written."""

    async def save(self, record: AuthRecord) -> None:
        """See MemoryStore."""
        await trio.lowlevel.checkpoint()
        raise StorageError("No space left on device (os error 28)")


class BuggyAttempt:
    """An attempt with a bug."""

    lifetime = 60.0

    def __init__(self, bug: type[Exception]) -> None:
        self._bug = bug

    def started(self, login_id: str) -> DeviceCodeLoginStarted:
        """See Attempt."""
        return DeviceCodeLoginStarted(login_id, "http://127.0.0.1/codex/device", "AAAA-BBBB")

    async def wait_approval(self, retrying: Retrying) -> None:
        """See Attempt."""
        raise self._bug

    async def exchange(self, approval: None) -> Granted:
        """See Attempt."""
        raise NotImplementedError

    def submit_callback(self, url: str) -> None:
        """See Attempt."""
        raise NotImplementedError

    def conclude(self, error: AccountdError | None) -> str | None:
        """See Attempt."""
        return str(error)


class BuggyFlow:
    """A flow with a bug."""

    def __init__(self, bug: type[Exception]) -> None:
        self._bug = bug

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BuggyAttempt]:
        """See Flow."""
        yield BuggyAttempt(self._bug)


async def test_an_approved_login_is_stored_then_told(autojump_clock: trio.testing.MockClock) -> None:
    """After the approval the credential is in the store, and clients hear completed, then updated."""
    async with open_world(APPROVED) as world:
        login_id = await world.start_device_login()
        completion = await world.wait_completion(login_id)
        record = stored(world.store)
    assert completion["success"]
    assert completion["error"] is None
    assert record is not None
    assert record.mode == "chatgpt"
    assert [heard["method"] for heard in world.heard] == ["account/login/completed", "account/updated"]
    assert world.heard[1]["authMode"] == "chatgpt"
    assert world.heard[1]["planType"] == "plus"


async def test_the_reply_comes_before_anything_is_heard_of_the_end(autojump_clock: trio.testing.MockClock) -> None:
    """Even where the issuer approves at the first poll, a client knows the login's id before it completes."""
    async with open_world(Script(approve_after_polls=0, interval=0)) as world:
        await world.logins.start(DeviceCodeFlow(world.services.issuer), world.reply)
        login_id = world.heard[0]["reply"]["loginId"]
        await world.wait_completion(login_id)
    assert "reply" in world.heard[0]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (Script(approve_after_polls=1, deny=True), "device auth was denied"),
        (Script(approve_after_polls=1, expire=True), "device auth timed out: the issuer has let the code expire"),
        (Script(code_lifetime=10**6), "device auth timed out after 15 minutes"),
        (
            Script(approve_after_polls=0, faults=(Fault(POLL, 1, 401),)),
            "device auth failed with status 401 Unauthorized: the script asked for this",
        ),
        (
            Script(approve_after_polls=0, faults=(Fault(EXCHANGE, 1, 400, {"error": "invalid_grant"}),)),
            "device code exchange failed: token endpoint returned status 400 Bad Request: invalid_grant",
        ),
        (
            Script(
                approve_after_polls=0,
                faults=(Fault(EXCHANGE, 1, 200, {"id_token": "x", "access_token": "y", "refresh_token": "z"}),),
            ),
            "invalid ID token format",
        ),
    ],
    ids=["denied", "expired", "nobody came", "poll refused", "exchange refused", "no JWT"],
)
async def test_a_failed_login_says_why_and_changes_nothing(
    autojump_clock: trio.testing.MockClock, script: Script, error: str
) -> None:
    """Each way to fail after the start ends in one completion with its text; who was logged in still is."""
    before = parse_record(b'{"OPENAI_API_KEY": "sk-before"}')
    async with open_world(script, store=MemoryStore(before)) as world:
        completion = await world.wait_completion(await world.start_device_login())
        assert stored(world.store) is before
        assert world.credential.current is before
    assert not completion["success"]
    assert completion["error"] == error
    assert len(world.heard) == 1


async def test_without_its_requirements_an_organisations_login_is_not_stored(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A backend that does not tell them fails the login; who was logged in still is, here and in the store."""
    before = parse_record(b'{"OPENAI_API_KEY": "sk-before"}')
    script = Script(approve_after_polls=0, claims=Claims(plan="enterprise"))
    async with open_world(script, store=MemoryStore(before)) as world:
        completion = await world.wait_completion(await world.start_device_login())
        assert "equirements" in completion["error"]
        assert stored(world.store) is before
        assert world.credential.current is before


async def test_a_failure_before_the_code_is_the_requests_error(autojump_clock: trio.testing.MockClock) -> None:
    """Where the issuer gives no code, the request fails, nothing is announced, and an older login goes on."""
    async with open_world(Script(approve_after_polls=3)) as world:
        older = await world.start_device_login()
        world.sandbox.script = Script(disabled=True)
        with pytest.raises(InvalidRequest, match="not enabled"):
            await world.start_device_login()
        world.sandbox.script = Script(faults=(Fault(USERCODE, 1, 503),))
        with pytest.raises(RequestFailed, match=r"failed to request device code: .* 503 Service Unavailable"):
            await world.start_device_login()
        world.transport.offline = True
        with pytest.raises(RequestFailed, match=r"error sending request to 127.0.0.1"):
            await world.start_device_login()
        assert world.heard == []
        world.transport.offline = False
        world.sandbox.script = APPROVED
        assert (await world.wait_completion(older))["success"]


async def test_a_login_that_could_not_be_stored_does_not_begin(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Nobody is asked to approve it: the request fails, with the path and what to do."""
    (tmp_path / "auth.json").mkdir()
    async with open_world(APPROVED, store=FileStore(tmp_path)) as world:
        words = (
            f"the login could not be stored: {tmp_path}/auth.json cannot be written: Is a directory (os error 21); "
        )
        world.transport.offline = True
        with pytest.raises(RequestFailed, match=f"^{re.escape(words)}a folder is in its place: `mv "):
            await world.start_device_login()
        world.transport.offline = False
        (tmp_path / "auth.json").rmdir()
        assert (await world.wait_completion(await world.start_device_login()))["success"]


async def test_a_network_that_is_down_for_minutes_costs_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """Transport errors while polling are waited out, and an approval after them still counts."""
    async with open_world(Script()) as world:
        login_id = await world.start_device_login()
        world.transport.offline = True
        await trio.sleep(600)
        assert world.heard == []
        world.transport.offline = False
        world.sandbox.script = Script(approve_after_polls=0)
        assert (await world.wait_completion(login_id))["success"]


async def test_the_newest_login_wins(autojump_clock: trio.testing.MockClock) -> None:
    """A second login ends the first, which completes once; the second one is the account."""
    async with open_world(Script()) as world:
        first = await world.start_device_login()
        second = await world.start_device_login()
        assert (await world.wait_completion(first))["error"] == "Login was not completed"
        world.sandbox.script = APPROVED
        assert (await world.wait_completion(second))["success"]
    assert [completion["loginId"] for completion in world.completions()] == [first, second]


async def test_an_api_key_ends_the_login_that_waits(autojump_clock: trio.testing.MockClock) -> None:
    """A login with a key is done at once: the reply, its completion without an id, and the update."""
    async with open_world(Script()) as world:
        waiting = await world.start_device_login()
        await world.logins.start_api_key(Secret("sk-new"), world.reply)
        assert world.heard[0]["loginId"] == waiting
        assert world.heard[1] == {"reply": {"type": "apiKey"}}
        assert world.heard[2]["loginId"] is None
        assert world.heard[2]["success"]
        assert world.heard[3] == {"method": "account/updated", "authMode": "apikey", "planType": None}
        record = stored(world.store)
        assert record is not None
        assert render_record(record) == b'{\n  "auth_mode": "apikey",\n  "OPENAI_API_KEY": "sk-new"\n}'


async def test_a_key_that_cannot_be_stored_is_an_error_and_no_login(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """When the disk refuses a key, the request says so, and nobody hears of a login."""
    async with open_world(store=BrokenStore()) as world:
        with pytest.raises(RequestFailed, match=r"failed to save api key: No space left on device \(os error 28\)"):
            await world.logins.start_api_key(Secret("sk-new"), world.reply)
        assert world.heard == []
        assert world.credential.current is None


async def test_tokens_that_cannot_be_stored_are_a_failed_login(autojump_clock: trio.testing.MockClock) -> None:
    """When the disk refuses the tokens, the completion says why, and the account is the one before."""
    async with open_world(APPROVED, store=BrokenStore()) as world:
        completion = await world.wait_completion(await world.start_device_login())
        assert completion["error"] == "No space left on device (os error 28)"
        assert not completion["success"]
        assert world.credential.current is None


async def test_a_forbidden_workspace_is_refused_before_anything_is_stored(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Tokens of a workspace that the policy does not name end the login, and the store is not touched."""
    script = Script(approve_after_polls=0, claims=Claims(account_id="acct-elsewhere"))
    async with open_world(script, policy=Policy(workspaces=("acct-a", "acct-b"))) as world:
        completion = await world.wait_completion(await world.start_device_login())
        assert completion["error"] == "Login is restricted to workspace id(s) acct-a, acct-b."
        assert stored(world.store) is None


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy(workspaces=("account-sandbox",)), "Login is restricted to workspace id(s) account-sandbox."),
        (Policy(), "The access token is for another workspace than the account id beside it."),
    ],
)
async def test_an_access_token_of_another_workspace_than_the_id_token_is_refused(
    policy: Policy, words: str, autojump_clock: trio.testing.MockClock
) -> None:
    """It is what is handed out; that of the ID token is what would be said of it."""
    given = msgspec.structs.replace(
        Sandbox(Script()).issue_tokens(),
        access_token=Sandbox(Script(claims=Claims(account_id="acct-elsewhere"))).issue_tokens().access_token,
    )
    answer = {name: getattr(given, name).reveal() for name in ("id_token", "access_token", "refresh_token")}
    script = Script(approve_after_polls=0, faults=(Fault("/oauth/token", 1, 200, answer),))
    async with open_world(script, policy=policy) as world:
        completion = await world.wait_completion(await world.start_device_login())
        assert completion["error"] == words
        assert stored(world.store) is None


async def test_a_forbidden_method_is_refused_at_once() -> None:
    """Where the configuration forces one method, the other is an error, and the issuer is not asked."""
    async with open_world(policy=Policy("api")) as world:
        with pytest.raises(InvalidRequest, match=r"ChatGPT login is disabled. Use API key login instead."):
            await world.start_device_login()
        assert world.sandbox.requests == []
    async with open_world(policy=Policy("chatgpt")) as world:
        with pytest.raises(InvalidRequest, match=r"API key login is disabled. Use ChatGPT login instead."):
            await world.logins.start_api_key(Secret("sk"), world.reply)


@pytest.mark.parametrize(
    ("bug", "told", "logged"),
    [
        (ZeroDivisionError, "internal error; the log of accountd says more", "not foreseen"),
        (MemoryError, "accountd has no room for this now: out of memory", "for want of room"),
    ],
)
async def test_a_bug_in_a_flow_ends_its_login_alone(
    bug: type[Exception],
    told: str,
    logged: str,
    autojump_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An exception that nobody foresaw completes the login without details, and the manager goes on.

    One that is about what the machine has too little of is nobody's bug, and the person is told of what.
    """
    async with open_world(APPROVED) as world:
        await world.logins.start(BuggyFlow(bug), world.reply)
        await trio.sleep(1)
        assert world.completions()[0]["error"] == told
        assert (await world.wait_completion(await world.start_device_login()))["success"]
    assert logged in caplog.text


async def test_at_most_one_login_waits(autojump_clock: trio.testing.MockClock) -> None:
    """Of many logins begun at once, all but one have been cancelled when the starts have been answered."""
    async with open_world(Script()) as world, trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(world.start_device_login)
        await trio.sleep(5)
        waiting = [login for login in world.logins._logins.values() if login.state is State.WAITING]
        assert len(waiting) == 1
        assert len(world.completions()) == 9
