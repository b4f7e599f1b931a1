"""What clients that follow the logins are told: each step, each retry, and what there is when they come late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.login.browser import LIFETIME as BROWSER_LIFETIME
from accountd.login.browser import BrowserFlow
from accountd.oauth.device import LIFETIME
from accountd.protocol.account import BrowserLogin
from accountd.sandbox import Script
from accountd.storage.memory import MemoryStore
from fakes.client import open_client
from fakes.world import World, open_world

if TYPE_CHECKING:
    from accountd.storage.base import AuthRecord

APPROVED = Script(approve_after_polls=2)


class HeldStore(MemoryStore):
    """A store whose `save` waits until the test lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self.saving, self.go = trio.Event(), trio.Event()

    async def save(self, record: AuthRecord) -> None:
        """See MemoryStore."""
        self.saving.set()
        await self.go.wait()
        await super().save(record)


def states(world: World) -> list[str]:
    """Give the states that were told, in order."""
    return [told["state"] for told in world.progress]


async def test_every_step_is_told_once_and_in_order(autojump_clock: trio.testing.MockClock) -> None:
    """A login waits, exchanges and commits; each is told with its beginning and its end, then the completion."""
    async with open_world(APPROVED) as world:
        began = world.clock.now()
        login_id = await world.start_device_login()
        await world.wait_completion(login_id)
    assert states(world) == ["waiting", "exchanging", "committing"]
    assert world.progress[0] == {
        "loginId": login_id,
        "type": "chatgptDeviceCode",
        "state": "waiting",
        "startedAt": began,
        "expiresAt": began + LIFETIME,
        "retries": 0,
        "retryCause": None,
    }
    assert {(told["startedAt"], told["expiresAt"]) for told in world.progress} == {(began, began + LIFETIME)}


async def test_a_browser_login_has_its_own_type_and_time(autojump_clock: trio.testing.MockClock) -> None:
    """Of a browser login it is told that it is one, and that it is open for ten minutes."""
    async with open_world(Script()) as world:
        flow = BrowserFlow(
            world.services.issuer, originator="tests", workspaces=(), wishes=BrowserLogin(), ports=(0,)
        )
        await world.logins.start(flow, world.reply)
        [listed] = world.logins.under_way()
    [told] = world.progress
    assert told["type"] == "chatgpt"
    assert told["expiresAt"] - told["startedAt"] == pytest.approx(BROWSER_LIFETIME)
    assert listed.started.login_id == told["loginId"]


async def test_retries_are_counted_and_explained_until_one_is_answered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Each poll that does not reach the issuer is told with its number and cause; the first that does, as none."""
    async with open_world(Script(interval=1)) as world:
        login_id = await world.start_device_login()
        world.transport.offline = True
        await trio.sleep(8)
        retries = [told["retries"] for told in world.progress]
        assert retries == list(range(len(retries)))
        assert len(retries) > 2
        assert "no connection could be made" in world.progress[-1]["retryCause"]
        world.transport.offline = False
        await trio.sleep(30)
        assert (world.progress[-1]["retries"], world.progress[-1]["retryCause"]) == (0, None)
        told = len(world.progress)
        await trio.sleep(30)
        assert len(world.progress) == told
        await world.logins.cancel(login_id)


async def test_a_client_that_comes_later_can_follow_a_login(autojump_clock: trio.testing.MockClock) -> None:
    """The list has what the first client was shown, and where the login is now; another may cancel it."""
    async with open_world(Script()) as world:
        async with open_client(world.services, extensions={"accountd": {}}) as first:
            began = (await first.call("account/login/start", {"type": "chatgptDeviceCode"}))["result"]
        async with open_client(world.services, extensions={"accountd": {}}) as second:
            [login] = (await second.call("account/login/list"))["result"]["logins"]
            assert login["started"] == began
            assert login["progress"] == world.progress[-1]
            answer = await second.call("account/login/cancel", {"loginId": login["progress"]["loginId"]})
            assert answer["result"] == {"status": "canceled"}
            assert (await second.receive())["method"] == "account/login/completed"
            assert (await second.call("account/login/list"))["result"] == {"logins": []}


async def test_the_list_tells_of_a_commit_and_not_of_what_has_ended(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A login that is being stored is listed as that; one that was cancelled or has completed is not."""
    store = HeldStore()
    async with open_world(APPROVED, store=store) as world:
        login_id = await world.start_device_login()
        await store.saving.wait()
        [login] = world.logins.under_way()
        assert login.progress.state == "committing"
        store.go.set()
        await world.wait_completion(login_id)
        assert world.logins.under_way() == ()


async def test_clients_of_codex_are_told_nothing_of_it(autojump_clock: trio.testing.MockClock) -> None:
    """Without the extension there is neither the notification nor the method."""
    async with open_world(APPROVED) as world, open_client(world.services) as client:
        began = (await client.call("account/login/start", {"type": "chatgptDeviceCode"}))["result"]
        await world.wait_completion(began["loginId"])
        heard = [await client.call("account/login/list")]
        while "error" not in heard[-1]:
            heard.append(await client.receive())
        assert [message.get("method") for message in heard[:-1]] == ["account/login/completed", "account/updated"]
        refused, _, offered = heard[-1]["error"]["message"].partition(", expected one of")
        assert refused == "Invalid request: unknown variant `account/login/list`"
        assert "account/login/list" not in offered
