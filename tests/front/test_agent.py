"""When a child is started, when it is not, and when it is ended."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.errors import AgentSilent, AgentUnavailable
from accountd.front import agent as agents
from accountd.front.agent import IDLE_TIMEOUT, RETRY_DELAYS, Agent
from accountd.front.child import Child

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Children:
    """What is started, and whether it comes up."""

    def __init__(self) -> None:
        self.started: list[Child] = []
        self.fails = False

    @asynccontextmanager
    async def open(self, _nursery: trio.Nursery) -> AsyncIterator[Child]:
        """Start one, which takes a while."""
        await trio.sleep(0.5)
        if self.fails:
            raise AgentUnavailable("it does not come up")
        self.started.append(Child("/s", len(self.started), self, trio.Event()))  # type: ignore[arg-type]  # it ends
        yield self.started[-1]

    def end(self, _how: str) -> None:
        """See Endpoint."""


@asynccontextmanager
async def serving(children: Children, *, ends_idle: bool = False) -> AsyncIterator[Agent]:
    """Have an agent's task run for the block."""

    @asynccontextmanager
    async def feed(_child: Child) -> AsyncIterator[None]:
        await trio.lowlevel.checkpoint()
        yield

    agent = Agent(children.open, feed, ends_idle=ends_idle)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent.serve)
        yield agent
        nursery.cancel_scope.cancel()


async def test_one_is_started_for_all_who_need_one(autojump_clock: trio.testing.MockClock) -> None:
    """When the first needs it, and not before."""
    children = Children()
    async with serving(children) as agent:
        await trio.sleep(100)
        assert children.started == []
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(agent.wait_ready)
        assert len(children.started) == 1


async def test_another_one_is_started_when_it_has_ended(autojump_clock: trio.testing.MockClock) -> None:
    """At once for whoever needs it then."""
    children = Children()
    async with serving(children) as agent:
        first = await agent.wait_ready()
        first.lost.set()
        await trio.testing.wait_all_tasks_blocked()
        assert await agent.wait_ready() is not first


async def test_starts_that_fail_are_told_and_tried_less_and_less(autojump_clock: trio.testing.MockClock) -> None:
    """Whoever needs an agent is told why there is none, at once while no other start is tried."""
    children = Children()
    children.fails = True
    async with serving(children) as agent:
        begun = trio.current_time()
        for _ in range(20):
            with pytest.raises(AgentUnavailable, match="does not come up"):
                await agent.wait_ready()
        assert trio.current_time() - begun < 20
        children.fails = False
        await trio.sleep(RETRY_DELAYS[1])
        await agent.wait_ready()


async def test_one_that_nobody_uses_is_ended(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared one alone, and after a good while."""
    children, told = Children(), list[int]()

    async def stop(pid: int, _has_ended: object) -> None:
        told.append(pid)
        children.started[-1].lost.set()

    monkeypatch.setattr(agents, "stop", stop)
    async with serving(children, ends_idle=True) as agent:
        await agent.wait_ready()
        with agent.use():
            await trio.sleep(2 * IDLE_TIMEOUT)
        assert told == []
        await trio.sleep(IDLE_TIMEOUT + 1)
        assert told == [0]
        assert agent.child is None


async def test_whoever_waits_for_the_lack_of_one_starts_none(autojump_clock: trio.testing.MockClock) -> None:
    """One that was idle has ended, and is no lack; a start that fails is."""
    children = Children()
    async with serving(children) as agent:
        (await agent.wait_ready()).lost.set()
        with trio.move_on_after(IDLE_TIMEOUT) as waiting:
            await agent.wait_unavailable()
        assert waiting.cancelled_caught
        assert len(children.started) == 1
        children.fails = True
        with pytest.raises(AgentUnavailable):
            await agent.wait_ready()
        await agent.wait_unavailable()


@pytest.mark.parametrize("error", [AgentUnavailable("told to end"), AgentSilent("does not answer")])
async def test_beside_one_that_was_told_to_end_there_is_another(
    error: AgentUnavailable, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds it out has that one, and it goes on until it ends; one that does not answer is killed."""
    killed = list[int]()
    monkeypatch.setattr(agents, "signal_session", lambda pid, _: killed.append(pid))

    async def require_lasting(_child: Child) -> None:
        await trio.lowlevel.checkpoint()
        raise error

    children = Children()
    async with serving(children) as agent:
        first = await agent.wait_ready()
        monkeypatch.setattr(Child, "require_lasting", require_lasting)
        for _ in range(2):
            with pytest.raises(type(error)):
                await agent.require_lasting(first)
        second = await agent.wait_ready()
        assert second is not first
        first.lost.set()
        await trio.testing.wait_all_tasks_blocked()
        assert agent.child is second
        assert killed == ([first.pid] if isinstance(error, AgentSilent) else [])
