"""The account of a token socket that another machine may have: asked, remembered, and told of."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from accountd.client.errors import CallFailed, DaemonUnreachable
from accountd.client.notifications import Gap
from accountd.front.remote_account import ANSWER_TIMEOUT, RemoteAccount
from accountd.protocol.account import AccountUpdated, GetAccountResponse, GetAuthStatusResponse
from fakes.front import HELLO, Peer, Scene, open_scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ADA = {"account": {"type": "chatgpt", "email": "ada@example.com"}, "requiresOpenaiAuth": True}
STATUS = {"authMethod": "chatgpt", "authToken": "a1", "requiresOpenaiAuth": True}
ASK = {"id": 2, "method": "account/read", "params": {}}


class FakeClient:
    """The client of a token socket. `gate` holds its answers."""

    path = "/s"

    def __init__(self) -> None:
        self.is_connected = True
        self.asked: list[str] = []
        self.gate = trio.Event()
        self.gate.set()
        self.put, self.said = trio.open_memory_channel[Any](10)

    async def call(self, method: str, _params: object) -> object:
        """See Client."""
        self.asked.append(method)
        await self.gate.wait()
        if method == "account/token/read":
            raise CallFailed(-32001, "too many tokens")
        return ADA if method == "account/read" else STATUS

    async def read_account(self) -> GetAccountResponse:
        """See Client."""
        return GetAccountResponse(account=None)

    async def read_auth_status(self) -> GetAuthStatusResponse:
        """See Client."""
        return GetAuthStatusResponse("apikey")

    def notifications(self) -> AsyncIterator[object]:
        """See Client."""
        return self.said


@asynccontextmanager
async def open_remote() -> AsyncIterator[tuple[FakeClient, Scene, Peer]]:
    """Have a client of a front whose account is a token socket's, introduced."""
    theirs = FakeClient()
    remote = RemoteAccount(theirs)  # type: ignore[arg-type]  # as much of a Client as is used
    async with open_scene(remote) as (scene, client), trio.open_nursery() as nursery:
        nursery.start_soon(follow, remote, scene)
        await client.say(HELLO, {"method": "initialized"})
        yield theirs, scene, client
        nursery.cancel_scope.cancel()


async def follow(remote: RemoteAccount, scene: Scene) -> None:
    """Give the agent each change, as the feed does."""
    async for _ in remote.notifications():
        await scene.feed.sync()


async def test_who_comes_is_introduced_whether_or_not_the_other_side_is_there() -> None:
    """With the release of the agent, whose CODEX_HOME it is."""
    async with open_remote() as (theirs, _, client):
        [hello] = client.take()
        assert hello["result"]["codexHome"] == "/box"
        assert "/0.169.0 " in hello["result"]["userAgent"]
        await client.say({"id": 2, "method": "initialize", "params": HELLO["params"]}, b"rubbish")
        assert [(m["id"], m["error"]["code"]) for m in client.take()] == [(2, -32600), (None, -32700)]
        assert theirs.asked == []


async def test_out_of_reach_the_answer_is_the_last_known(autojump_clock: trio.testing.MockClock) -> None:
    """At once when that is known, and soon when the other side is silent; a token is not remembered."""
    async with open_remote() as (theirs, _, client):
        status = {"id": 3, "method": "getAuthStatus", "params": {"includeToken": True}}
        await client.say(ASK, status)
        client.take()
        theirs.gate = trio.Event()
        await client.say(ASK)
        assert client.take() == []
        await trio.sleep(ANSWER_TIMEOUT)
        theirs.is_connected = False
        await client.say(status)
        assert [m["result"] for m in client.take()] == [ADA, {**STATUS, "authToken": None}]


async def test_out_of_reach_from_the_start_it_is_said() -> None:
    """It is never said that nobody is logged in when nobody could be asked."""
    async with open_remote() as (theirs, _, client):
        client.take()
        theirs.is_connected = False
        await client.say(ASK)
        assert client.take()[0]["error"]["message"] == "the account behind unix:///s is out of reach"
        with pytest.raises(DaemonUnreachable):
            await RemoteAccount(theirs).read_token()  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("method", ["account/login/start", "account/logout", "accountd/status"])
async def test_what_belongs_to_the_login_is_refused_with_where_that_is(method: str) -> None:
    """Nothing of it leaves this machine, such as a key to log in with."""
    async with open_remote() as (theirs, _, client):
        client.take()
        await client.say({"id": 2, "method": method, "params": {}})
        message = (
            f"{method} is not available here: the login is on the machine behind unix:///s; log in and out there"
        )
        assert client.take()[0]["error"]["message"] == message
        assert theirs.asked == []


async def test_limits_are_asked_of_the_agent_and_refusals_are_passed_on() -> None:
    """A token socket tells no limits; what it refuses is told in its words."""
    async with open_remote() as (_, scene, client):
        client.take()
        agent = await scene.open_agents(client)
        await client.say({"id": 2, "method": "account/rateLimits/read"}, {**ASK, "method": "account/token/read"})
        assert [message["id"] for message in agent.take()] == [2]
        assert client.take() == [{"id": 2, "error": {"code": -32001, "message": "too many tokens"}}]


async def test_a_change_is_told_when_the_agent_has_it() -> None:
    """And after a gap, in which the account may have become another, who is logged in now."""
    async with open_remote() as (theirs, scene, client):
        client.take()
        scene.feed.gate = trio.Event()
        for change in (AccountUpdated(None, None), Gap()):
            theirs.put.send_nowait(change)
        await trio.testing.wait_all_tasks_blocked()
        assert client.take() == []
        scene.feed.gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert [(m["method"], m["params"]["authMode"]) for m in client.take()] == [
            ("account/updated", None),
            ("account/updated", "apikey"),
        ]
