"""What ends a login from outside, what does not, and what is left of it then."""

from __future__ import annotations

import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from accountd.config.policy import Policy
from accountd.errors import InvalidRequest, RequestFailed, StorageError
from accountd.login.browser import BrowserFlow
from accountd.login.device_code import DeviceCodeAttempt, DeviceCodeFlow
from accountd.login.lifecycle import Login
from accountd.protocol.account import BrowserLogin, ExternalTokensLogin
from accountd.sandbox import Script
from accountd.secret import Secret
from accountd.storage.memory import MemoryStore
from fakes.world import open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from accountd.errors import AccountdError
    from accountd.login.flow import Retrying
    from accountd.login.manager import LoginManager
    from accountd.oauth.device import Approval, DeviceCode
    from accountd.protocol.account import (
        ChatgptAuthTokensRefreshParams,
        ChatgptAuthTokensRefreshResponse,
    )
    from accountd.storage.base import AuthRecord
    from accountd.web.issuer import Issuer

FAREWELL = 2.0
"""Seconds that a stubborn attempt takes to end."""


class StubbornAttempt(DeviceCodeAttempt):
    """An attempt that has something to finish when it is cancelled, as one that closes a connection has.

    Its words are the class of what ended it.
    """

    def conclude(self, error: AccountdError | None) -> str | None:
        """See Attempt."""
        return type(error).__name__

    async def wait_approval(self, retrying: Retrying) -> Approval:
        """See Attempt."""
        try:
            return await super().wait_approval(retrying)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(FAREWELL)


class StubbornFlow(DeviceCodeFlow):
    """A flow of stubborn attempts."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[StubbornAttempt]:
        """See Flow."""
        async with super().open() as attempt:
            yield StubbornAttempt(attempt._issuer, attempt._code)


class LateAttempt(DeviceCodeAttempt):
    """An attempt that learns that the issuer was not reached, and is cancelled, at one and the same moment."""

    def __init__(self, issuer: Issuer, code: DeviceCode) -> None:
        super().__init__(issuer, code)
        self.answered = trio.Event()

    async def wait_approval(self, retrying: Retrying) -> Approval:
        """See Attempt."""
        await self.answered.wait()
        retrying(1, "not reached")
        return await super().wait_approval(retrying)


class LateFlow(DeviceCodeFlow):
    """A flow with one late attempt."""

    attempt: LateAttempt

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LateAttempt]:
        """See Flow."""
        async with super().open() as attempt:
            self.attempt = LateAttempt(attempt._issuer, attempt._code)
            yield self.attempt


class BrokenStore(MemoryStore):
    """A store that cannot be written."""

    async def save(self, record: AuthRecord) -> None:
        """See MemoryStore."""
        await trio.lowlevel.checkpoint()
        raise StorageError("No space left on device (os error 28)")


async def ask_nobody(params: ChatgptAuthTokensRefreshParams) -> ChatgptAuthTokensRefreshResponse:
    """Be a client that is never asked."""
    raise NotImplementedError


async def give_a_key(logins: LoginManager) -> None:
    """Log in with an API key."""
    await logins.start_api_key(Secret("sk-new"), lambda _: None)


async def supply_tokens(logins: LoginManager) -> None:
    """Supply tokens that are none."""
    await logins.start_external(ExternalTokensLogin("no jwt", "account"), ask_nobody, lambda _: None)


@pytest.mark.parametrize(
    ("begin", "policy", "error"),
    [
        (give_a_key, Policy("chatgpt"), InvalidRequest),
        (supply_tokens, Policy(workspaces=("elsewhere",)), InvalidRequest),
        (supply_tokens, Policy(), RequestFailed),
    ],
    ids=["a key that is forbidden", "tokens of a forbidden workspace", "tokens that are none"],
)
async def test_what_may_not_begin_ends_nothing(
    autojump_clock: trio.testing.MockClock,
    begin: Callable[[LoginManager], Awaitable[None]],
    policy: Policy,
    error: type[Exception],
) -> None:
    """A login at once that is refused leaves the one that waits as it was."""
    async with open_world(Script(), policy=policy) as world:
        waiting = await world.start_device_login()
        with pytest.raises(error):
            await begin(world.logins)
        assert [login.progress.login_id for login in world.logins.under_way()] == [waiting]
        assert world.heard == []


@pytest.mark.parametrize("shut", [False, True])
async def test_whoever_ends_them_all_waits_for_their_completions(
    autojump_clock: trio.testing.MockClock, shut: bool
) -> None:
    """A login that takes its time to end has completed when a logout, a key or the daemon goes on."""
    async with open_world(Script()) as world:
        await world.logins.start(StubbornFlow(world.services.issuer), lambda _: None)
        await trio.testing.wait_all_tasks_blocked()
        begun = trio.current_time()
        await (world.logins.shut() if shut else world.logins.cancel_all())
        [completion] = world.completions()
        assert completion["error"] == ("DaemonEnding" if shut else "LoginCancelled")
        assert trio.current_time() - begun == pytest.approx(FAREWELL)


async def test_an_address_that_comes_while_tokens_are_fetched_is_too_late(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The person has approved already; whoever pastes then is told that nobody waits for it."""
    async with open_world() as world:
        replies: list[Any] = []
        flow = BrowserFlow(
            world.services.issuer, originator="tests", workspaces=(), wishes=BrowserLogin(), ports=(0,)
        )
        await world.logins.start(flow, replies.append)
        location = await world.sandbox.authorize(replies[0].auth_url, approve=True)
        world.sandbox.script = Script(delay=5)
        world.logins.submit_callback(replies[0].login_id, location)
        await trio.sleep(1)
        assert world.progress[-1]["state"] == "exchanging"
        with pytest.raises(InvalidRequest, match="no login with this id waits"):
            world.logins.submit_callback(replies[0].login_id, location)
        assert (await world.wait_completion(replies[0].login_id))["success"]


async def test_what_has_ended_is_forgotten(autojump_clock: trio.testing.MockClock) -> None:
    """However a login ends, nothing of it is kept: a daemon that runs for months does not grow with each."""
    of_others = [thing for thing in gc.get_objects() if isinstance(thing, Login)]  # of tests before this one
    async with open_world(Script(approve_after_polls=0)) as world:
        for script in (Script(approve_after_polls=0), Script(deny=True), Script()):
            world.sandbox.script = script
            login_id = await world.start_device_login()
            if script == Script():
                await world.logins.cancel(login_id)
            await world.wait_completion(login_id)
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        assert [thing for thing in gc.get_objects() if isinstance(thing, Login)] == of_others
        assert not await world.logins.cancel(login_id)


async def test_a_key_that_cannot_be_stored_is_counted_and_noted_as_failed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """By the kind of the failure, and never as a login that completed."""
    async with open_world(store=BrokenStore()) as world:
        with pytest.raises(RequestFailed):
            await give_a_key(world.logins)
        counters = world.services.counters
        assert (counters.logins_started["apiKey"], counters.logins_failed["apiKey"]) == (1, 1)
        assert counters.logins_completed["apiKey"] == 0
        [event] = world.audited
        assert (event["event"], event["reason"]) == ("login.failed", "StorageError")


async def test_nothing_is_told_of_a_login_that_is_cancelled_already(autojump_clock: trio.testing.MockClock) -> None:
    """A retry that is noted in the moment of the cancel is no progress any more: what follows is its completion."""
    async with open_world(Script()) as world:
        flow = LateFlow(world.services.issuer)
        await world.logins.start(flow, lambda _: None)
        [login] = world.logins._logins.values()
        flow.attempt.answered.set()
        assert login.cancel()
        await world.wait_completion(login.id)
        assert [told["retries"] for told in world.progress] == [0]
        assert world.completions()[0]["error"] == "Login was not completed"
