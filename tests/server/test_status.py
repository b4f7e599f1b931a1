"""`accountd/status`: the daemon counts what happens, where it happens, and says so without a secret."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio
import trio.testing

from accountd import __version__
from accountd.codex.version import CODEX_VERSION
from accountd.config.policy import Policy
from accountd.errors import RefreshError
from accountd.protocol.account import AccountUpdated
from accountd.sandbox import Fault, Script
from accountd.server.serve import Server
from accountd.server.token_socket import TokenSocket
from accountd.server.token_socket_holder import TokenSocketHolder
from accountd.storage.document import parse_record
from accountd.storage.memory import MemoryStore
from accountd.system.peer_credentials import Peer
from accountd.system.unix_socket import open_unix_listener
from fakes.client import CONFIG, Client, open_client
from fakes.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

EXTENSION: dict[str, Any] = {"extensions": {"accountd": {}}}


async def read(client: Client) -> dict[str, Any]:
    """Ask for the status, past whatever else is heard."""
    await client.send({"id": "status", "method": "accountd/status"})
    while (message := await client.receive()).get("id") != "status":
        pass
    status: dict[str, Any] = message["result"]
    return status


@asynccontextmanager
async def watching(world: World) -> AsyncIterator[Client]:
    """Give a client that has the extension."""
    async with open_client(world.services, **EXTENSION) as client:
        yield client


async def test_a_daemon_that_has_just_started_counts_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """Version, pid and start; nobody is logged in, nothing was done, and the noughts are there to be seen."""
    async with open_world() as world, watching(world) as client:
        started = world.clock.now()
        status = await read(client)
        assert (status["version"], status["protocolVersion"], status["pid"]) == (
            __version__,
            CODEX_VERSION,
            os.getpid(),
        )
        assert (status["installedVersion"], status["startedBy"]) == (__version__, "person")
        assert status["holdsOnlyCopy"] is False
        assert status["startedAt"] == pytest.approx(started)
        assert status["uptimeSeconds"] >= 0
        assert status["credential"] == {
            "mode": None,
            "needsLogin": False,
            "expiresAt": None,
            "reason": "notLoggedIn",
            "unusedBecause": None,
            "workspaceError": None,
        }
        assert status["store"]["kind"] == "memory"
        assert (status["logins"], status["nextRefresh"], status["lastRefresh"]) == ([], None, None)
        counters = status["counters"]
        assert counters.pop("requestsAnswered") == 1  # initialize
        assert set(counters["requestsRefused"]) == {"-32700", "-32600", "-32601", "-32603", "-32001"}
        assert not any(sum(count.values()) if isinstance(count, dict) else count for count in counters.values())


async def test_a_stock_client_does_not_have_it(autojump_clock: trio.testing.MockClock) -> None:
    """Without the extension the method is unknown, and that is counted as any refusal."""
    async with open_world() as world, open_client(world.services) as client:
        answer = await client.call("accountd/status")
        assert answer["error"]["message"].startswith("Invalid request: unknown variant `accountd/status`")
        assert world.services.counters.requests_refused == {-32600: 1}


async def test_an_app_server_is_told_of_as_long_as_it_is_connected(autojump_clock: trio.testing.MockClock) -> None:
    """As it was last reported, on its own connection; one that says too much is not kept."""
    report = {"pid": 7, "sockets": ["/s"], "agents": []}
    agents = [{"pid": 8, "version": "0.171.0", "authMode": "chatgpt"}]
    async with open_world() as world, watching(world) as client:
        async with watching(world) as front:
            await front.call("accountd/appServer/report", report)
            assert (await read(client))["appServers"] == [report]
            await front.call("accountd/appServer/report", {**report, "agents": agents})
            assert (await read(client))["appServers"] == [{**report, "agents": agents}]
            refused = await front.call("accountd/appServer/report", {**report, "sockets": ["/" * 70_000]})
            assert refused["error"]["code"] == -32600
        await trio.testing.wait_all_tasks_blocked()
        assert (await read(client))["appServers"] == []


async def test_why_what_is_stored_is_not_used_is_told(autojump_clock: trio.testing.MockClock) -> None:
    """Not only that nobody is logged in, for which `mode` is null."""
    record = parse_record(b'{"OPENAI_API_KEY": "sk-canary"}')
    async with open_world(store=MemoryStore(record), policy=Policy("chatgpt")) as world, watching(world) as client:
        status = await read(client)
        assert (status["credential"]["mode"], status["credential"]["reason"]) == (None, "loginMethodForbidden")
        assert status["credential"]["unusedBecause"] == "API key login is disabled. Use ChatGPT login instead."


async def test_requests_are_counted_by_how_they_end(autojump_clock: trio.testing.MockClock) -> None:
    """Answers, refusals by their code, and what is no request at all."""
    async with open_world() as world, watching(world) as client:
        await client.call("getAuthStatus", {})
        await client.call("thread/start", {})
        await client.call("no/such")
        await client.send(b"{")
        await client.receive()
        counters = (await read(client))["counters"]
        assert counters["requestsAnswered"] == 2
        refused = {code: count for code, count in counters["requestsRefused"].items() if count}
        assert refused == {"-32600": 1, "-32601": 1, "-32700": 1}


async def test_logins_are_counted_by_kind_and_end(autojump_clock: trio.testing.MockClock) -> None:
    """One that waits is listed without its code; it is cancelled, one fails, one with a key succeeds at once."""
    async with open_world() as world, watching(world) as client:
        login_id = await world.start_device_login()
        [login] = (await read(client))["logins"]
        assert (login["loginId"], login["type"], login["state"]) == (login_id, "chatgptDeviceCode", "waiting")
        assert "userCode" not in login
        await world.logins.cancel(login_id)
        world.sandbox.script = Script(approve_after_polls=0, deny=True)
        await world.wait_completion(await world.start_device_login())
        await client.send(
            {"id": 2, "method": "account/login/start", "params": {"type": "apiKey", "apiKey": "sk-canary"}}
        )
        status = await read(client)
        counters = status["counters"]
        assert counters["loginsStarted"] == {
            "apiKey": 1,
            "chatgpt": 0,
            "chatgptDeviceCode": 2,
            "chatgptAuthTokens": 0,
        }
        assert counters["loginsCancelled"]["chatgptDeviceCode"] == 1
        assert counters["loginsFailed"]["chatgptDeviceCode"] == 1
        assert counters["loginsCompleted"]["apiKey"] == 1
        assert counters["notificationsSent"] > 0
        assert status["credential"]["mode"] == "apikey"
        assert "sk-canary" not in repr(status)


async def test_refreshes_are_counted_and_the_last_one_is_told(autojump_clock: trio.testing.MockClock) -> None:
    """Done, failed with its reason, and when the next will be; a token that was handed out is counted."""
    async with open_world(Script(approve_after_polls=0)) as world, watching(world) as client:
        await world.wait_completion(await world.start_device_login())
        await trio.testing.wait_all_tasks_blocked()
        status = await read(client)
        expiry = status["credential"]["expiresAt"]
        assert world.clock.now() < status["nextRefresh"] < expiry
        await client.call("account/token/read", {})
        await client.call("getAuthStatus", {"includeToken": True})
        await client.call("getAuthStatus", {})
        await world.refresher.refresh("forced")
        last = (await read(client))["lastRefresh"]
        assert last == {"outcome": "done", "at": pytest.approx(world.clock.now()), "error": None}
        world.sandbox.script = Script(faults=(Fault(path="/oauth/token", nth=1, status=503),))
        with pytest.raises(RefreshError):
            await world.refresher.refresh("forced")
        status = await read(client)
        assert (status["lastRefresh"]["outcome"], bool(status["lastRefresh"]["error"])) == ("failed", True)
        assert status["counters"]["refreshes"] == {"done": 1, "failed": 1, "adopted": 0}
        assert status["counters"]["tokensHandedOut"] == 2
        tokens = world.credential.login
        assert tokens is not None
        assert tokens.tokens.access_token.reveal() not in repr(status)


async def test_a_login_that_is_refused_needs_a_person(autojump_clock: trio.testing.MockClock) -> None:
    """After a refusal the credential says so, and no refresh is to come."""
    async with open_world(Script(approve_after_polls=0)) as world, watching(world) as client:
        await world.wait_completion(await world.start_device_login())
        refusal = {"error": {"code": "refresh_token_expired"}}
        world.sandbox.script = Script(faults=(Fault(path="/oauth/token", nth=1, status=401, body=refusal),))
        with pytest.raises(RefreshError):
            await world.refresher.refresh("forced")
        await trio.testing.wait_all_tasks_blocked()
        status = await read(client)
        assert status["credential"]["needsLogin"]
        assert status["nextRefresh"] is None


async def test_a_client_that_does_not_read_is_counted(autojump_clock: trio.testing.MockClock) -> None:
    """Who is cut is counted once."""
    async with open_world() as world, open_client(world.services) as client:
        for size in (1, CONFIG.limits.outbox_bytes):
            client.connection._outbox.put(b"x" * size)
        world.services.hub.publish(AccountUpdated(None, None))
        assert world.services.counters.clients_cut == 1


async def test_a_token_socket_is_told_of(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Whether anybody can connect, and what was done there; null where there is none."""
    async with open_world() as world:
        async with watching(world) as client:
            assert (await read(client))["tokenSocket"] is None
        found = TokenSocket(tmp_path / "s", tmp_path / "lock")
        services = msgspec.structs.replace(world.services, token_sockets=TokenSocketHolder(found, TokenSocket))
        world.services.counters.guests.tokens_handed_out = 7
        async with open_client(services, **EXTENSION) as client:
            told = (await read(client))["tokenSocket"]
        assert (told["path"], told["trouble"]) == (str(tmp_path / "s"), "it has not been opened yet")
        assert (told["tokensHandedOut"], told["connections"]) == (7, 0)


async def test_connections_are_counted_and_strangers_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is let in counts while it is there; who is of another user counts as refused, and is not let in."""
    async with open_world() as world, trio.open_nursery() as nursery:
        counters = world.services.counters
        with open_unix_listener(tmp_path / "s") as listener:
            nursery.start_soon(Server(world.services, CONFIG).serve_socket, listener, nursery)
            async with await trio.open_unix_socket(tmp_path / "s") as stream:
                await stream.send_all(b"{\n")
                await stream.receive_some()
                assert (counters.connections, counters.connections_accepted) == (1, 1)
            for somebody in (Peer(4_000_000, 1), None):  # a stranger; one that had left when the kernel was asked
                monkeypatch.setattr("accountd.server.serve.peer_credentials", lambda _, peer=somebody: peer)
                async with await trio.open_unix_socket(tmp_path / "s") as stream:
                    assert await stream.receive_some() == b""
            while counters.connections:
                await trio.lowlevel.checkpoint()
            assert (counters.connections_accepted, counters.connections_refused) == (1, 1)
            nursery.cancel_scope.cancel()
