"""Which methods a client has, and what is said to one that asks for another."""

from __future__ import annotations

import os
from typing import Any

import pytest
import trio.testing

from accountd.codex.methods import render_refusal
from accountd.protocol.methods import METHODS, TOKEN_METHODS
from accountd.server.door import make_token_door
from accountd.server.guests import Guests
from accountd.server.handlers import HANDLERS
from fakes.client import CONFIG, NOBODY, error, open_client
from fakes.world import open_world


async def test_nothing_but_initialize_comes_first() -> None:
    """Before it, methods are refused, though a malformed request is told so; after it, it is refused itself."""
    async with open_world() as world, open_client(world.services, initialize=False) as client:
        assert await client.call("account/read", {}) == error(-32600, "Not initialized")
        assert "invalid type: integer `5`" in (await client.call("account/read", 5))["error"]["message"]
        assert "unknown variant `nope`" in (await client.call("nope"))["error"]["message"]
        assert await client.call("thread/start", {}) == error(-32600, "Not initialized")
        bad_name = {"clientInfo": {"name": "two\nlines", "version": "1"}}
        assert (await client.call("initialize", bad_name))["error"]["message"] == (
            "Invalid clientInfo.name: 'two\nlines'. Must be a valid HTTP header value."
        )
        assert "result" in await client.initialize()
        assert await client.call("initialize", {"clientInfo": {"name": "x", "version": "1"}}) == error(
            -32600, "Already initialized"
        )
        assert await client.call("account/read", {}) == {"id": 1, "result": NOBODY}


@pytest.mark.parametrize("field", ["name", "version"])
async def test_a_client_has_a_name_of_a_reasonable_length(field: str) -> None:
    """It is kept, and sent to the issuer; a title is neither, and may be of any."""
    info = {"name": "x", "version": "1", "title": "x" * 50_000}
    async with open_world() as world, open_client(world.services, initialize=False) as client:
        refused = await client.call("initialize", {"clientInfo": {**info, field: "x" * 257}})
        assert refused == error(-32600, f"Invalid clientInfo.{field}: longer than 256 characters.")
        assert "result" in await client.call("initialize", {"clientInfo": {**info, field: "x" * 256}})


async def test_of_what_a_client_does_not_want_is_kept_what_there_is() -> None:
    """Names of notifications that nobody sends change nothing, and may be many."""
    names = [f"no/such/{number}" for number in range(4000)]
    async with open_world() as world:
        async with open_client(world.services, optOutNotificationMethods=[*names, "account/updated"]) as client:
            session = client.connection._dispatcher.session
            assert session is not None
            assert session.opted_out == {"account/updated"}


async def test_what_is_experimental_needs_the_capability() -> None:
    """External tokens are refused without it, in the peer's words."""
    tokens = {"type": "chatgptAuthTokens", "accessToken": "a.b.c", "chatgptAccountId": "acct-1"}
    async with open_world() as world:
        async with open_client(world.services) as client:
            assert await client.call("account/login/start", tokens) == error(
                -32600, "account/login/start.chatgptAuthTokens requires experimentalApi capability"
            )


def test_every_method_has_its_handler() -> None:
    """The table of methods and that of handlers name the same, but for what is the connection's own."""
    assert set(HANDLERS) == set(METHODS) - {"initialize"}


async def test_our_own_methods_are_shown_to_those_who_ask() -> None:
    """Without the extension they do not exist; with it they do, and are listed."""
    submit = {"loginId": "7b1b6a5e-0000-4000-8000-000000000000", "callbackUrl": "x"}
    async with open_world() as world:
        async with open_client(world.services) as client:
            message = (await client.call("account/login/submitCallback", submit))["error"]["message"]
            assert "unknown variant `account/login/submitCallback`" in message
            assert message.count("submitCallback") == 1
        async with open_client(world.services, extensions={"accountd": {}, "other": 1}) as client:
            message = (await client.call("account/login/submitCallback", submit))["error"]["message"]
            assert message == "no login with this id waits for the person"
            assert "submitCallback" in (await client.call("nope"))["error"]["message"]


async def test_the_agents_methods_are_answered_with_who_has_them() -> None:
    """A stock client that takes this for the agent's server is told so; what nobody knows is told as ever."""
    async with open_world() as world, open_client(world.services) as client:
        assert await client.call("thread/start", {"cwd": "/"}) == error(-32601, render_refusal("thread/start"))
        assert await client.call("model/list", None, "a") == error(-32601, render_refusal("model/list"), "a")
        assert (await client.call("threads/start", {}))["error"]["code"] == -32600
        await client.send({"method": "turn/interrupt"})  # a notification, which has no answer
        assert await client.call("account/read", {}) == {"id": 1, "result": NOBODY}


async def test_a_token_socket_answers_four_methods(autojump_clock: trio.testing.MockClock) -> None:
    """Who may have a token may read the account, and change nothing, whatever they declare."""
    async with open_world() as world:
        door = make_token_door(CONFIG.limits, Guests(CONFIG.limits, world.services.counters.guests))
        everything: dict[str, Any] = {"experimentalApi": True, "extensions": {"accountd": {}}}
        async with open_client(world.services, door=door, **everything) as client:
            assert (await client.call("account/read", {}))["result"] == NOBODY
            assert "result" in await client.call("getAuthStatus", {"includeToken": True})
            for method in set(METHODS) - TOKEN_METHODS:
                refused = await client.call(method, {})
                assert "not available on this socket" in refused["error"]["message"]
                assert os.uname().nodename in refused["error"]["message"]
            assert (await client.call("turn/start", {}))["error"]["code"] == -32601  # as on the other socket
