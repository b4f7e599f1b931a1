"""What a client's requests do, by way of the services, and which errors they end in."""

from __future__ import annotations

import trio
import trio.testing

from accountd.sandbox import Fault, Script
from fakes.client import DEVICE, error, open_client
from fakes.logged_in import open_logged_in
from fakes.world import open_world


async def test_any_client_may_cancel() -> None:
    """A login is cancelled by its id, in any spelling of it; what is no id is an error."""
    async with open_world(Script()) as world:
        async with open_client(world.services) as starter, open_client(world.services) as other:
            await starter.send(DEVICE)
            login_id = (await starter.receive())["result"]["loginId"]
            cancel = {"loginId": login_id.upper()}
            await other.send({"id": 1, "method": "account/login/cancel", "params": cancel})
            assert await other.receive() == {"id": 1, "result": {"status": "canceled"}}
            assert (await other.receive())["params"]["error"] == "Login was not completed"
            assert await other.call("account/login/cancel", cancel) == {"id": 1, "result": {"status": "notFound"}}
            assert await other.call("account/login/cancel", {"loginId": "not-a-uuid"}) == error(
                -32600, "invalid login id: not-a-uuid"
            )


async def test_a_failing_look_up_is_the_answer(autojump_clock: trio.testing.MockClock) -> None:
    """What the backend would not tell is an error of the read, with the code for what is not its fault."""
    async with open_world(Script(approve_after_polls=0)) as world, open_client(world.services) as client:
        await client.send(DEVICE)
        for _ in range(3):
            await client.receive()
        world.sandbox.script = Script(faults=(Fault("/backend-api/wham/accounts/check", 1, 500),))
        assert await client.call("account/read", {}) == error(-32603, "workspace routing discovery failed")
        assert (await client.call("account/read", {}))["result"]["account"]["workspaceName"] == "Sandbox workspace"


async def test_who_declares_the_extension_is_told_reasons(autojump_clock: trio.testing.MockClock) -> None:
    """Of a login that failed, and of a request; to others each message is what it always was."""
    async with (
        open_world(Script(approve_after_polls=0, deny=True)) as world,
        open_client(world.services) as stock,
        open_client(world.services, extensions={"accountd": {}}) as ours,
    ):
        await ours.send(DEVICE)
        told = [await ours.receive() for _ in range(3)][-1]["params"]
        heard = (await stock.receive())["params"]
        assert told.pop("accountd") == {"reason": "loginDenied"}
        assert heard == told
        for method, reason in (("account/token/read", "notLoggedIn"), ("nothing/known", "invalidRequest")):
            assert (await ours.call(method, {}))["error"]["data"] == {"accountd": {"reason": reason}}
            assert "data" not in (await stock.call(method, {}))["error"]


async def test_a_shut_manager_begins_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """A start that is under way when the daemon stops is refused, in the peer's words, and never announced."""
    async with open_world(Script(delay=1)) as world, open_client(world.services) as client:
        await client.send(DEVICE)
        await trio.testing.wait_all_tasks_blocked()
        await world.logins.shut()
        assert await client.receive() == error(-32600, "Server is draining; retry after reconnecting", 8)
        assert world.heard == []


async def test_a_logout_ends_the_login_that_waits() -> None:
    """It is cancelled before there is an answer: nobody logs in by a code of before the logout."""
    async with open_world(Script()) as world, open_client(world.services) as client:
        waiting = await world.start_device_login()
        await client.send({"id": 9, "method": "account/logout"})
        assert (await client.receive())["params"]["loginId"] == waiting
        assert (await client.receive())["id"] == 9


async def test_to_forget_a_login_asks_nothing_of_the_issuer(autojump_clock: trio.testing.MockClock) -> None:
    """What others have of the same login stays good."""
    async with (
        open_logged_in() as world,
        open_client(world.services, experimentalApi=True, extensions={"accountd": {}}) as client,
    ):
        asked = len(world.sandbox.requests)
        assert (await client.call("account/forget"))["result"] == {}
        assert world.credential.current is None
        assert len(world.sandbox.requests) == asked
