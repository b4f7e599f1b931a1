"""One client between the daemon and the agent: what goes where, in which order, and what happens at an end."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
import trio.testing

from fakes.front import HELLO, INTRODUCED, open_scene

UPDATED = {"method": "account/updated", "params": {"authMode": "chatgpt"}}
SYMPTOM = "auth refresh request failed: code=-32603"


@pytest.mark.parametrize(
    "method",
    ["account/read", "account/login/start", "account/token/read", "accountSession/list", "accountd/status"],
)
async def test_the_daemon_has_the_accounts(method: str) -> None:
    """It gets the bytes as they came, and its answer comes back; and no agent is started for that."""
    async with open_scene() as (scene, client):
        await scene.introduce(client)
        line = b'{ "method": "%s", "id":7,  "params" : {"a":[1 ,2]}}' % method.encode()
        await client.say(line)
        assert scene.daemon.raw == [line]
        await scene.daemon.say({"id": 7, "result": {}})
        assert client.take() == [{"id": 7, "result": {}}]
        assert scene.agents == []


@pytest.mark.parametrize(
    "method", ["thread/start", "account/bedrock/read", "configRequirements/read", "config/read", "not/yet/known"]
)
async def test_the_agent_has_all_else(method: str) -> None:
    """It hears first who the client is, without our extension; then the bytes as they came, with their id."""
    async with open_scene() as (scene, client):
        await scene.introduce(client)
        line = b'{"id":1 ,"method":"%s"}' % method.encode()
        await client.say(line)
        [agent] = scene.agents
        [hello] = agent.take()
        assert hello["params"]["clientInfo"] == HELLO["params"]["clientInfo"]  # type: ignore[index]  # a dict, above
        assert "accountd" not in json.dumps(hello["params"])
        await agent.say({"id": hello["id"], "result": INTRODUCED})
        assert agent.raw == [b'{"method":"initialized"}', line]
        await agent.say({"id": 1, "result": {"big": "x" * 100_000}})
        assert [message["id"] for message in client.take()] == [1]
        assert scene.daemon.take() == []


async def test_the_user_agent_names_the_agent() -> None:
    """Clients take the version from there; the daemon's is that of the protocol."""
    async with open_scene() as (scene, client):
        await client.say(HELLO)
        await scene.daemon.say({"id": 1, "result": INTRODUCED})
        assert client.take()[0]["result"]["userAgent"] == "x/0.169.0 (Linux; x86_64) y"


async def test_before_it_is_introduced_the_daemon_answers() -> None:
    """As it answers all who have not said who they are, and what is no message."""
    async with open_scene() as (scene, client):
        await client.say({"id": 1, "method": "thread/start"}, b"rubbish")
        assert len(scene.daemon.raw) == 2
        assert scene.agents == []


async def test_of_accounts_the_agent_says_nothing() -> None:
    """What it tells and asks of tokens that it was given is for nobody; all else is passed on."""
    async with open_scene() as (scene, client):
        await scene.introduce(client)
        agent = await scene.open_agents(client)
        approval = {"id": 0, "method": "item/commandExecution/requestApproval", "params": {}}
        await agent.say(
            UPDATED,
            {"method": "account/login/completed", "params": {}},
            {"id": 5, "method": "account/chatgptAuthTokens/refresh", "params": {}},
            {"method": "account/rateLimits/updated", "params": {}},
            approval,
        )
        assert client.take() == [{"method": "account/rateLimits/updated", "params": {}}, approval]
        await client.say({"id": 0, "result": {"decision": "accept"}})
        assert agent.take() == [{"id": 0, "result": {"decision": "accept"}}]


async def test_what_the_daemon_asks_has_an_id_of_its_own() -> None:
    """The agent's are whole numbers too."""
    async with open_scene() as (scene, client):
        await scene.introduce(client)
        await scene.daemon.say({"id": 3, "method": "account/chatgptAuthTokens/refresh", "params": {"a": 1}})
        assert client.take() == [
            {"id": "accountd-3", "method": "account/chatgptAuthTokens/refresh", "params": {"a": 1}}
        ]
        await client.say({"id": "accountd-3", "error": {"code": 1, "message": "no"}})
        assert scene.daemon.take() == [{"id": 3, "error": {"code": 1, "message": "no"}}]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (None, UPDATED),
        (None, {"method": "account/login/completed", "params": {}}),
        ({"id": 4, "method": "account/logout"}, {"id": 4, "result": {}}),
        ({"id": 4, "method": "account/login/start", "params": {"type": "apiKey"}}, {"id": 4, "result": {}}),
    ],
)
async def test_the_agent_has_a_change_before_the_client_hears_of_it(
    asked: dict[str, Any] | None, said: dict[str, Any]
) -> None:
    """And what the client asks the agent meanwhile waits, and what it asks the daemon does not."""
    async with open_scene() as (scene, client):
        await scene.introduce(client)
        agent = await scene.open_agents(client)
        if asked is not None:
            await client.say(asked)
        scene.feed.gate = trio.Event()
        await scene.daemon.say(said)
        await client.say({"id": 8, "method": "turn/start"}, {"id": 9, "method": "account/read"})
        assert client.take() == []
        assert agent.take() == []
        assert scene.daemon.take()[-1]["id"] == 9
        scene.feed.gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert client.take() == [said]
        assert [message["id"] for message in agent.take()] == [8]


async def test_what_waits_for_the_login_is_not_overtaken() -> None:
    """Neither by a notification, which has nothing to wait for, nor by what comes when the agent has it."""
    async with open_scene() as (scene, client):
        await scene.introduce(client)
        agent = await scene.open_agents(client)
        said: list[dict[str, Any]] = [
            {"id": 2, "method": "thread/list"},
            {"method": "a/note"},
            {"id": 3, "method": "model/list"},
        ]
        scene.feed.gate = trio.Event()
        await client.say(*said[:2])
        assert agent.take() == []
        scene.feed.gate.set()
        await client.say(said[2])
        assert agent.take() == said


async def test_with_a_provider_that_needs_no_login_the_agent_tells_of_the_account() -> None:
    """The client would show its sign-in screen otherwise."""
    async with open_scene() as (scene, client):
        scene.needs_login = False
        await scene.introduce(client)
        agent = await scene.open_agents(client)
        await client.say({"id": 2, "method": "account/read"}, {"id": 3, "method": "account/login/start"})
        assert [message["id"] for message in agent.take()] == [2]
        assert [message["id"] for message in scene.daemon.take()] == [3]


async def test_an_agent_that_is_lost_ends_its_clients() -> None:
    """What was asked is answered; what the client has there is gone, so it has to connect again."""
    async with open_scene() as (scene, client):
        await scene.introduce(client)
        agent = await scene.open_agents(client)
        await client.say({"id": 2, "method": "turn/start"})
        agent.endpoint.end("was killed")
        await trio.testing.wait_all_tasks_blocked()
        assert [(m["id"], m["error"]["code"]) for m in client.take()] == [("first", -32603), (2, -32603)]
        assert client.endpoint.ended is not None


async def test_a_daemon_that_is_lost_is_found_again(autojump_clock: trio.testing.MockClock) -> None:
    """The client is introduced to the next one; it asks again what reads, and fails what does not."""
    async with open_scene() as (scene, client):
        await scene.introduce(client)
        await client.say({"id": 2, "method": "account/read"}, {"id": 3, "method": "account/login/start"})
        scene.daemon.endpoint.end("was killed")
        with trio.fail_after(5):
            while len(scene.daemons) < 2:  # noqa: ASYNC110  # the clock jumps
                await trio.sleep(0.1)
        await trio.testing.wait_all_tasks_blocked()
        assert [(m["id"], m["error"]["code"]) for m in client.take()] == [(3, -32603)]
        [hello] = scene.daemon.take()
        assert hello["params"] == HELLO["params"]
        await scene.daemon.say({"id": hello["id"], "result": INTRODUCED})
        assert [message.get("id") for message in scene.daemon.take()] == [None, 2]
        await scene.daemon.say({"id": 2, "result": {}})
        assert client.take() == [{"id": 2, "result": {}}]


async def test_a_client_that_says_nothing_more_hears_its_answers() -> None:
    """A script sends what it has, and its end, at once."""
    async with open_scene() as (scene, client):
        await scene.introduce(client)
        await client.say({"id": 2, "method": "account/read"})
        await client.endpoint._stream.send_stream.aclose()  # type: ignore[attr-defined]  # a StapledStream
        await trio.testing.wait_all_tasks_blocked()
        await scene.daemon.say({"id": 2, "result": {}})
        assert client.take() == [{"id": 2, "result": {}}]
        assert client.endpoint.ended is not None


async def test_a_client_that_does_not_read_stops_its_own_agent() -> None:
    """What waits for it is bounded; the agent is read again when it reads."""
    async with open_scene() as (scene, client):
        await scene.introduce(client)
        agent = await scene.open_agents(client)
        hold = trio.Event()
        client.endpoint._before_reading = hold.wait
        await agent.say({"method": "item/delta", "params": {}})
        for number in range(40):
            await agent.say(json.dumps({"method": "item/delta", "params": [number, "x" * 100_000]}).encode())
        assert scene.router._client._outbox._size < 2 << 20
        hold.set()
        await trio.testing.wait_all_tasks_blocked()
        assert [message["params"][0] for message in client.take()[1:]] == list(range(40))


async def test_what_is_too_large_for_the_daemon_is_an_error_and_no_end() -> None:
    """A turn with images is larger than any message about accounts may be."""
    async with open_scene() as (scene, client):
        await scene.introduce(client)
        await client.say({"id": 2, "method": "account/read", "params": {"x": "y" * (1 << 20)}})
        assert [message["error"]["code"] for message in client.take()] == [-32600]
        assert scene.daemon.take() == []


async def test_a_turn_with_a_dead_login_ends_in_codexs_own_words() -> None:
    """At the first sign of it, instead of after six tries; and the next turn is not begun."""
    async with open_scene() as (scene, client):
        await scene.introduce(client)
        agent = await scene.open_agents(client)
        scene.feed.refusal = "Please log out and sign in again."
        trouble = {"message": "Reconnecting... 2/5", "codexErrorInfo": "other", "additionalDetails": SYMPTOM}
        params = {"error": trouble, "willRetry": True, "threadId": "t", "turnId": "u"}
        await agent.say({"method": "error", "params": params})
        assert scene.feed.interrupted == [("t", "u")]
        turn = {"id": "u", "status": "interrupted", "error": None}
        await agent.say({"method": "turn/completed", "params": {"threadId": "t", "turn": turn}})
        error, completed = client.take()
        assert (error["params"]["willRetry"], error["params"]["error"]["message"]) == (False, scene.feed.refusal)
        assert completed["params"]["turn"]["status"] == "failed"
        assert completed["params"]["turn"]["error"]["codexErrorInfo"] == "unauthorized"
        agent.take()
        await client.say({"id": 2, "method": "turn/start"})
        assert client.take()[0]["error"]["message"] == scene.feed.refusal
        assert agent.take() == []


async def test_a_provider_that_needs_no_login_is_asked_with_a_dead_one() -> None:
    """It is not sent the login anyway."""
    async with open_scene() as (scene, client):
        scene.needs_login = False
        scene.feed.refusal = "Please log out and sign in again."
        await scene.introduce(client)
        agent = await scene.open_agents(client)
        await client.say({"id": 2, "method": "turn/start"})
        assert [message["id"] for message in agent.take()] == [2]
