"""The agent has the login that the daemon has: what it is given when, and what it is answered."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio
import trio.testing

from accountd.client.errors import CallFailed, ClientError, DaemonUnreachable
from accountd.errors import AgentUnavailable, RequestFailed
from accountd.front.asked import Asked
from accountd.front.child import Child
from accountd.front.feed import BARRIER_TIMEOUT, FEED_TIMEOUT, RENEWAL_TIMEOUT, Feed
from accountd.protocol.account import ReadTokenResponse

LOGIN = {"type": "chatgptAuthTokens", "accessToken": "a1", "chatgptAccountId": "acc", "chatgptPlanType": "plus"}
KEY = {"type": "apiKey", "apiKey": "sk-1"}
DEAD = CallFailed(-32603, "refused", "refreshRefused")
AWAY = DaemonUnreachable("away")
ASKS = Asked("account/chatgptAuthTokens/refresh", 0, b"{}", b"")


Start = Callable[[Any], Awaitable[tuple["Feed", "FakeDaemon", "FakeAgent"]]]


def token(text: str, account_id: str | None = "acc", owner: str | None = None) -> ReadTokenResponse:
    """Make what the daemon hands out; without an account it is a key."""
    mode, plan = ("chatgpt", "plus") if account_id else ("apikey", None)
    return ReadTokenResponse(mode, text, None, account_id, plan, owner)  # type: ignore[arg-type]  # both are literals


class FakeDaemon:
    """A daemon as the client library gives it. `held` is its login; an error is a login that is dead."""

    def __init__(self, held: ReadTokenResponse | ClientError | None) -> None:
        self.held = held
        self.next = token("a2")
        self.refreshes = 0
        self.refresh_seconds = 0.1
        self.others: dict[str, ReadTokenResponse] = {}

    async def read_token(self, *, min_valid: int, account: str | None = None) -> ReadTokenResponse:
        """See Client."""
        assert min_valid == 0
        await trio.lowlevel.checkpoint()
        if account is not None:
            return self.others[account]
        if isinstance(self.held, ReadTokenResponse):
            return self.held
        raise self.held or CallFailed(-32600, "nobody is logged in", "notLoggedIn")

    async def read_account(self, *, refresh: bool, account: str | None = None) -> None:
        """See Client."""
        assert refresh
        self.refreshes += 1
        await trio.sleep(self.refresh_seconds)
        if account is not None:
            self.others[account] = self.next
        else:
            self.held = self.next


class FakeAgent:
    """A child, which notes what it is asked and answered. `gate` holds its answers."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answers: list[dict[str, Any]] = []
        self.kept: str | None = None
        self.gate = trio.Event()
        self.gate.set()
        self.control = self
        self.socket, self.pid, self.version = "/s", 7, "0.171.0"
        self.turns = 0

    async def has_turns(self) -> bool:
        """See Child."""
        await trio.lowlevel.checkpoint()
        return self.turns > 0

    async def ask(self, method: str, params: dict[str, object]) -> dict[str, object]:
        """See Child."""
        if method == "getAuthStatus":
            return {"authMethod": self.kept}
        self.asked.append(params if method == "account/login/start" else method)
        await self.gate.wait()
        return {}

    def send(self, payload: bytes) -> None:
        """See Endpoint."""
        self.answers.append(json.loads(payload))


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Give what feeds a new agent for the first time, to the end of the test."""
    async with AsyncExitStack() as held_open:

        async def start(held: ReadTokenResponse | ClientError | None) -> tuple[Feed, FakeDaemon, FakeAgent]:
            daemon, agent = FakeDaemon(held), FakeAgent()
            feed = Feed(daemon)  # type: ignore[arg-type]  # as much of a Client as is used
            await held_open.enter_async_context(feed.feeding(as_child(agent)))
            return feed, daemon, agent

        yield start


def as_child(agent: FakeAgent) -> Child:
    """Take it for a child."""
    return agent  # type: ignore[return-value]  # as much of one as is used


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        (token("a1"), [LOGIN]),
        (token("sk-1", None), ["account/logout", KEY]),
        (None, ["account/logout"]),
        (DEAD, []),
    ],
    ids=["chatgpt", "key", "nobody", "dead"],
)
async def test_a_new_agent_is_given_what_the_daemon_has(
    start: Start, held: ReadTokenResponse | CallFailed | None, asked: list[Any]
) -> None:
    """A login, a key, or nothing, though another front may have given it one; and it is left with a dead one."""
    _, _, agent = await start(held)
    assert agent.asked == asked


@pytest.mark.parametrize(
    ("then", "asked"),
    [
        (token("a1"), []),
        (token("a2"), [{**LOGIN, "accessToken": "a2"}]),
        (token("a1", "other"), [{**LOGIN, "chatgptAccountId": "other"}]),
        (token("sk-1", None), ["account/logout", KEY]),
        (None, ["account/logout"]),
        (CallFailed(-32600, "not permitted", "workspaceForbidden"), ["account/logout"]),
        (DEAD, []),
    ],
    ids=["same", "rotated", "another", "key", "nobody", "forbidden", "dead"],
)
async def test_a_change_is_given_once(
    start: Start, then: ReadTokenResponse | CallFailed | None, asked: list[Any]
) -> None:
    """However many have heard of it; a dead one stays, and with that, or a forbidden one, no prompt is sent."""
    feed, daemon, agent = await start(token("a1"))
    agent.asked.clear()
    daemon.held = then
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(feed.sync)
    assert agent.asked == asked
    assert feed.refusal == (str(then) if isinstance(then, CallFailed) else None)


async def test_an_agent_that_does_not_take_it_keeps_nobody_waiting(
    start: Start, autojump_clock: trio.testing.MockClock
) -> None:
    """Clients are told of the change after a while, and requests go on to the agent, but for a prompt.

    It is between two logins then, also when the daemon has the first one again, and is given that once more.
    """
    feed, daemon, agent = await start(token("a1"))
    agent.gate, daemon.held = trio.Event(), token("sk-1", None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.sync)
        await trio.testing.wait_all_tasks_blocked()
        before = trio.current_time()
        await feed.wait_settled()
        assert trio.current_time() - before == pytest.approx(min(FEED_TIMEOUT, BARRIER_TIMEOUT))
    with pytest.raises(RequestFailed, match="has not taken"):
        await feed.require_login(as_child(agent))
    daemon.held = token("a1")
    agent.gate.set()
    await feed.require_login(as_child(agent))
    assert agent.asked == [LOGIN, "account/logout", "account/logout", LOGIN]


async def test_a_new_agent_that_refuses_its_login_is_not_used() -> None:
    """Its start fails, with what it said."""

    class Refusing(FakeAgent):
        async def ask(self, method: str, params: dict[str, object]) -> dict[str, object]:
            raise AgentUnavailable("no")

    feed = Feed(FakeDaemon(token("a1")))  # type: ignore[arg-type]  # as above
    with pytest.raises(AgentUnavailable):
        async with feed.feeding(as_child(Refusing())):
            pytest.fail("it is used")


async def test_threads_that_are_refused_together_cost_one_refresh(
    start: Start, autojump_clock: trio.testing.MockClock
) -> None:
    """And a moment later another one is made: that token was refused too."""
    feed, daemon, agent = await start(token("a1"))
    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(feed.answer, as_child(agent), ASKS)
    assert daemon.refreshes == 1
    told = {"accessToken": "a2", "chatgptAccountId": "acc", "chatgptPlanType": "plus"}
    assert agent.answers == [{"id": 0, "result": told}] * 6
    await trio.sleep(3)
    await feed.answer(as_child(agent), ASKS)
    assert daemon.refreshes == 2


async def test_a_token_that_the_agent_has_not_seen_is_the_answer(start: Start) -> None:
    """The daemon has refreshed meanwhile, so it need not again; and the agent need not be given it again."""
    feed, daemon, agent = await start(token("a1"))
    daemon.held = token("a2")
    await feed.answer(as_child(agent), ASKS)
    await feed.sync()
    assert daemon.refreshes == 0
    assert agent.answers[0]["result"]["accessToken"] == "a2"
    assert agent.asked == [LOGIN]


@pytest.mark.parametrize(
    ("held", "kept", "refusal"),
    [
        (AWAY, None, "away"),
        (AWAY, "chatgptAuthTokens", None),
        (None, None, "log in there"),
        (token("a1"), None, None),
    ],
)
async def test_without_a_login_nothing_is_sent_to_the_model(
    held: ReadTokenResponse | ClientError | None, kept: str | None, refusal: str | None
) -> None:
    """Where it is known that there is none; an agent that is found again may have one."""
    agent = FakeAgent()
    agent.kept = kept
    feed = Feed(FakeDaemon(held), without_login="log in there")  # type: ignore[arg-type]  # as above
    async with feed.feeding(as_child(agent)):
        assert feed.refusal == refusal


@pytest.mark.parametrize("held", [None, token("sk-1", None), DEAD])
async def test_without_a_token_the_answer_is_an_error_at_once(
    start: Start, held: ReadTokenResponse | CallFailed | None
) -> None:
    """An agent that is not answered waits for a minute and a half."""
    feed, daemon, agent = await start(token("a1"))
    daemon.held = daemon.next = held  # type: ignore[assignment]  # a refresh changes nothing
    daemon.refresh_seconds = 0
    await feed.answer(as_child(agent), ASKS)
    assert agent.answers[0]["error"]["code"] == -32603


async def test_a_refresh_that_takes_long_is_an_error_in_time(
    start: Start, autojump_clock: trio.testing.MockClock
) -> None:
    """The agent waits for ten seconds. Meanwhile its other requests go on."""
    feed, daemon, agent = await start(token("a1"))
    daemon.refresh_seconds = 60
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.answer, as_child(agent), ASKS)
        await trio.testing.wait_all_tasks_blocked()
        begun = trio.current_time()
        await feed.wait_settled()
        assert trio.current_time() == begun
    assert trio.current_time() - begun == pytest.approx(RENEWAL_TIMEOUT)
    assert agent.answers[0]["error"]["code"] == -32603


async def test_what_else_an_agent_asks_is_refused(start: Start) -> None:
    """It is on the connection of ours, where nobody can answer it."""
    feed, _, agent = await start(None)
    await feed.answer(as_child(agent), Asked("item/tool/call", 4, b"{}", b""))
    assert agent.answers == [
        {"id": 4, "error": {"code": -32601, "message": "accountd does not answer `item/tool/call`"}}
    ]


async def test_two_agents_are_each_given_what_they_do_not_have(start: Start) -> None:
    """One that only finishes its turns has another login by then, and is given the next one too."""
    feed, daemon, first = await start(token("a1"))
    second = FakeAgent()
    second.socket, second.pid = "/t", 8
    daemon.held = token("a2")
    async with feed.feeding(as_child(second)):
        assert (first.asked, second.asked) == ([LOGIN], [{**LOGIN, "accessToken": "a2"}])
        await feed.sync()
        assert first.asked[1:] == second.asked
        assert [(each.pid, each.auth_mode) for each in feed.describe_agents()] == [(7, "chatgpt"), (8, "chatgpt")]
    assert [each.pid for each in feed.describe_agents()] == [7]


async def test_a_switch_ends_no_turn(start: Start, autojump_clock: trio.testing.MockClock) -> None:
    """An agent with turns keeps its account, and is renewed from that, until they are over; but for a logout."""
    feed, daemon, agent = await start(token("a1", owner="home"))
    agent.asked.clear()
    agent.turns, daemon.held, daemon.next = 1, token("b1", "other", owner="work"), token("a2", owner="home")
    daemon.others["home"] = token("a1", owner="home")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.catch_up)
        await feed.sync()
        await trio.sleep(5)
        await feed.answer(as_child(agent), ASKS)
        assert agent.asked == []
        assert agent.answers[-1]["result"]["accessToken"] == "a2"
        agent.turns = 0
        await trio.sleep(1)
        assert [each["accessToken"] for each in agent.asked] == ["b1"]
        agent.turns, daemon.held = 1, None
        await feed.sync()
        assert agent.asked[1:] == ["account/logout"]
        nursery.cancel_scope.cancel()
