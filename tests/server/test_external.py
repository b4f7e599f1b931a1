"""A client's own tokens, and the questions that go with them, seen from the clients."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from accountd.config.policy import Policy
from accountd.errors import ClientFailed
from accountd.protocol.methods import ServerRequest
from accountd.sandbox import Claims, Fault, Sandbox, Script
from accountd.storage.document import parse_record
from accountd.storage.memory import MemoryStore
from fakes.client import Client, open_client
from fakes.world import World, open_world

CHECK = "/backend-api/wham/accounts/check"
REFRESH = "account/chatgptAuthTokens/refresh"
NUMBER: ServerRequest[dict[str, int], int] = ServerRequest("m", dict[str, int], int)
COMPLETED, UPDATED = "account/login/completed", "account/updated"
ACTIVE = "External auth is active. Use account/login/start (chatgptAuthTokens) to update it or account/logout"


def tokens(world: World, plan: str | None = None) -> dict[str, Any]:
    """Give params with tokens that the backend takes."""
    given = {
        "accessToken": world.sandbox.issue_tokens().access_token.reveal(),
        "chatgptAccountId": "account-sandbox",
    }
    return {"type": "chatgptAuthTokens", **given, **({"chatgptPlanType": plan} if plan else {})}


async def start(client: Client, params: dict[str, Any]) -> list[dict[str, Any]]:
    """Supply tokens; give the answer and the two notifications."""
    await client.send({"id": 1, "method": "account/login/start", "params": params})
    return [await client.receive() for _ in range(3)]


async def answer_question(client: Client, **answer: object) -> dict[str, Any]:
    """Wait for the server's question, and answer it."""
    question = await client.receive()
    assert question["method"] == REFRESH
    await client.send({"id": question["id"], **answer})
    params: dict[str, Any] = question["params"]
    return params


async def test_supplied_tokens_are_the_account_and_are_nowhere_stored(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The named plan goes before the token's; what was stored is as it was; all clients are told."""
    stored = parse_record(b'{"OPENAI_API_KEY": "sk-stored"}')
    async with open_world(store=MemoryStore(stored)) as world:
        async with open_client(world.services, experimentalApi=True) as client:
            answer, completed, updated = await start(client, tokens(world, "pro"))
            assert answer["result"] == {"type": "chatgptAuthTokens"}
            assert completed["params"]["success"]
            assert updated["params"] == {"authMode": "chatgptAuthTokens", "planType": "pro", "reason": None}
            read = (await client.call("account/read", {"refreshToken": True}))["result"]
            assert read["account"]["planType"] == "pro"
            assert read["workspaceRouting"]["chatgptAccountId"] == "account-sandbox"
            status = (await client.call("getAuthStatus", {"includeToken": True}))["result"]
            assert status["authMethod"] == "chatgptAuthTokens"
            assert status["authToken"]
            assert [request.path for request in world.sandbox.requests] == [CHECK]  # and no refresh
        assert await world.store.load() is stored
        assert world.credential.is_external  # whoever supplied them has left


async def test_while_they_are_used_no_other_login_begins(autojump_clock: trio.testing.MockClock) -> None:
    """A key, a code and a browser are refused at once; other tokens replace them; a logout ends all there is."""
    async with open_world(store=MemoryStore(parse_record(b'{"OPENAI_API_KEY": "sk"}'))) as world:
        async with open_client(world.services, experimentalApi=True) as client:
            await start(client, tokens(world))
            for params in (
                {"type": "apiKey", "apiKey": "x"},
                {"type": "chatgptDeviceCode"},
                {"type": "chatgpt"},
            ):
                refused = await client.call("account/login/start", params)
                assert refused["error"]["message"].startswith(ACTIVE)
            assert world.sandbox.requests == []
            assert world.services.counters.logins_started.keys() == {"chatgptAuthTokens"}
            await start(client, tokens(world, "team"))
            assert (await client.call("account/logout"))["result"] == {}
            assert (await client.receive())["params"] == {"authMode": None, "planType": None, "reason": None}
            assert (await client.call("account/read", {}))["result"]["account"] is None
        assert await world.store.load() is None


async def test_supplying_tokens_ends_a_login_that_waits(autojump_clock: trio.testing.MockClock) -> None:
    """The newest wins, here as well."""
    async with open_world(Script()) as world, open_client(world.services, experimentalApi=True) as client:
        login_id = await world.start_device_login()
        await client.send({"id": 1, "method": "account/login/start", "params": tokens(world)})
        assert (await client.receive())["params"]["loginId"] == login_id
        assert (await client.receive())["id"] == 1


async def test_no_login_replaces_them_that_was_being_prepared(autojump_clock: trio.testing.MockClock) -> None:
    """One whose code is still on its way when they come is refused, as it would be later."""
    async with open_world(Script(delay=1)) as world:
        async with (
            open_client(world.services) as other,
            open_client(world.services, experimentalApi=True) as client,
        ):
            await other.send({"id": 2, "method": "account/login/start", "params": {"type": "chatgptDeviceCode"}})
            await trio.testing.wait_all_tasks_blocked()
            await start(client, tokens(world))
            assert [(await other.receive())["method"] for _ in range(2)] == [COMPLETED, UPDATED]
            assert (await other.receive())["error"]["message"].startswith(ACTIVE)
        assert world.credential.is_external


async def test_no_login_replaces_them_that_waits_for_its_turn_after_them(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A key that came a moment later is refused; a login that began meanwhile is cancelled, as an older one is."""
    async with open_world(Script()) as world:
        async with (
            open_client(world.services) as other,
            open_client(world.services, experimentalApi=True) as client,
        ):
            async with world.account._changing:
                await client.send({"id": 1, "method": "account/login/start", "params": tokens(world)})
                await trio.testing.wait_all_tasks_blocked()
                login_id = await world.start_device_login()
                key = {"type": "apiKey", "apiKey": "sk-1"}
                await other.send({"id": 2, "method": "account/login/start", "params": key})
                await trio.testing.wait_all_tasks_blocked()
                assert world.completions()[0]["loginId"] == login_id  # the key has ended that
                login_id = await world.start_device_login()
            assert (await world.wait_completion(login_id))["success"] is False
            while (answer := await other.receive()).get("id") != 2:
                pass
            assert answer["error"]["message"].startswith(ACTIVE)
        assert world.credential.is_external
        assert await world.store.load() is None


@pytest.mark.parametrize(
    ("policy", "code", "message"),
    [
        (Policy("api"), -32600, "External ChatGPT auth is disabled. Use API key login instead."),
        (
            Policy(workspaces=("a", "b")),
            -32600,
            'External auth must use one of workspace(s) ["a", "b"], but received "account-sandbox".',
        ),
    ],
)
async def test_the_policy_holds_for_them(policy: Policy, code: int, message: str) -> None:
    """What is forbidden is refused in the peer's words, and nothing is announced."""
    async with open_world(policy=policy) as world:
        async with open_client(world.services, experimentalApi=True) as client:
            refused = await client.call("account/login/start", tokens(world))
            assert refused["error"] == {"code": code, "message": message}
            bad = {"type": "chatgptAuthTokens", "accessToken": "no jwt", "chatgptAccountId": "a"}
            assert "error" in await client.call("account/login/start", bad)
        assert world.heard == []


async def test_tokens_that_are_none_are_refused() -> None:
    """An access token that is no JWT says nothing about its person."""
    async with open_world() as world, open_client(world.services, experimentalApi=True) as client:
        bad = {"type": "chatgptAuthTokens", "accessToken": "no jwt", "chatgptAccountId": "a"}
        assert (await client.call("account/login/start", bad))["error"] == {
            "code": -32603,
            "message": "failed to set external auth: invalid ID token format",
        }


async def test_who_supplied_them_is_asked_for_others_and_nobody_else(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A 401 from the backend becomes a question to that client; with its answer the backend is asked once more."""
    async with open_world(Script(faults=(Fault(CHECK, 1, 401),))) as world:
        async with (
            open_client(world.services, experimentalApi=True) as supplier,
            open_client(world.services, experimentalApi=True) as other,
        ):
            await start(supplier, tokens(world))
            for _ in range(2):
                await other.receive()
            await other.send({"id": 5, "method": "account/read", "params": {}})
            params = await answer_question(supplier, result=tokens(world, "team"))
            assert params == {"reason": "unauthorized", "previousAccountId": "account-sandbox"}
            # The plan is another one now, which is told; then the answer.
            assert (await other.receive())["params"]["planType"] == "team"
            answer = await other.receive()
            assert answer["result"]["account"]["planType"] == "team"


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32000, "message": "no"}},
        {"result": {"accessToken": 5}},
        {"result": {"accessToken": "no jwt", "chatgptAccountId": "account-sandbox"}},
        {"error": "?"},
    ],
)
async def test_an_answer_that_helps_not_is_an_error_of_the_read(
    autojump_clock: trio.testing.MockClock, answer: dict[str, Any]
) -> None:
    """Refusals and rubbish leave the tokens as they were; the read says what the backend said."""
    async with open_world(Script(faults=(Fault(CHECK, 1, 401),))) as world:
        async with open_client(world.services, experimentalApi=True) as client:
            await start(client, tokens(world))
            await client.send({"id": 5, "method": "account/read", "params": {}})
            await answer_question(client, **answer)
            assert (await client.receive())["error"]["message"] == "workspace routing discovery unauthorized (401)"
            assert (await client.call("account/read", {}))["result"]["account"] is not None


async def test_a_client_that_does_not_answer_is_waited_for_ten_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Then the read fails; the answer that comes late is let go."""
    async with open_world(Script(faults=(Fault(CHECK, 1, 401),))) as world:
        async with open_client(world.services, experimentalApi=True) as client:
            await start(client, tokens(world))
            await client.send({"id": 5, "method": "account/read", "params": {}})
            question = await client.receive()
            asked = trio.current_time()
            assert "unauthorized" in (await client.receive())["error"]["message"]
            assert trio.current_time() - asked == pytest.approx(10, abs=0.1)
            await client.send({"id": question["id"], "result": tokens(world)})
            assert (await client.call("account/read", {}))["result"]["account"] is not None


async def test_a_client_that_has_left_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    """Nobody can be asked, so the read fails at once; the tokens stay until a logout."""
    async with open_world() as world, open_client(world.services) as other:
        async with open_client(world.services, experimentalApi=True) as supplier:
            await start(supplier, tokens(world))
        world.sandbox.script = Script(faults=(Fault(CHECK, 1, 401),))
        for _ in range(2):
            await other.receive()
        asked = trio.current_time()
        assert "unauthorized" in (await other.call("account/read", {}))["error"]["message"]
        assert trio.current_time() - asked < 1
        assert (await other.call("account/read", {}))["result"]["account"] is not None


async def test_a_client_that_is_cut_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    """One that is disconnected for not reading answers nothing any more: not what it was asked, nor the next."""
    async with open_world() as world, open_client(world.services, experimentalApi=True) as supplier:
        await start(supplier, tokens(world))
        questions, asked = supplier.connection._server_requests, trio.current_time()
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(ClientFailed, match="the client has left"):
                    await questions.ask(NUMBER, {}, timeout=10)

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            supplier.connection._cut()
        await ask()
        supplier.connection._send(b"{}")  # which nobody is there to send, and nothing is started for
        assert trio.current_time() - asked < 1


async def test_a_logout_while_the_question_is_open_is_not_undone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The answer to a question that nobody needs any more brings nothing back."""
    async with open_world(Script(faults=(Fault(CHECK, 1, 401),))) as world:
        async with (
            open_client(world.services, experimentalApi=True) as supplier,
            open_client(world.services) as other,
        ):
            await start(supplier, tokens(world))
            await supplier.send({"id": 5, "method": "account/read", "params": {}})
            question = await supplier.receive()
            for _ in range(2):
                await other.receive()
            assert (await other.call("account/logout"))["result"] == {}
            await supplier.send({"id": question["id"], "result": tokens(world)})
            await trio.testing.wait_all_tasks_blocked()
        assert world.credential.current is None


async def test_the_word_of_a_client_is_not_all_that_counts(autojump_clock: trio.testing.MockClock) -> None:
    """The token has to be for the workspace that it names, and for one that is permitted."""
    for allowed, refusal in (
        (
            ("account-sandbox",),
            'External auth must use one of workspace(s) ["account-sandbox"], but received "other".',
        ),
        ((), "External auth must name the workspace of its accessToken in chatgptAccountId."),
    ):
        async with open_world(
            Script(claims=Claims(account_id="other")), policy=Policy(workspaces=allowed)
        ) as world:
            async with open_client(world.services, experimentalApi=True) as client:
                refused = await client.call("account/login/start", tokens(world))
                assert refused["error"] == {"code": -32600, "message": refusal}
            assert world.credential.current is None


@pytest.mark.parametrize(("named", "claimed"), [("elsewhere", "account-sandbox"), ("account-sandbox", "elsewhere")])
async def test_another_workspace_is_checked_again(
    named: str, claimed: str, autojump_clock: trio.testing.MockClock
) -> None:
    """Tokens that come later are held to the policy as the first ones were: the word for them, and their own."""
    policy = Policy(workspaces=("account-sandbox",))
    async with open_world(Script(faults=(Fault(CHECK, 1, 401),)), policy=policy) as world:
        async with open_client(world.services, experimentalApi=True) as client:
            first = tokens(world)
            await start(client, first)
            await client.send({"id": 5, "method": "account/read", "params": {}})
            other = Sandbox(Script(claims=Claims(account_id=claimed))).issue_tokens().access_token.reveal()
            answer = {"accessToken": other, "chatgptAccountId": named}
            await answer_question(client, result=answer)
            assert "unauthorized" in (await client.receive())["error"]["message"]
            status = await client.call("getAuthStatus", {"includeToken": True})
            assert status["result"]["authToken"] == first["accessToken"]
