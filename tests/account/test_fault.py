"""Why a credential cannot be used: one of six stories, and the reason of each."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from accountd.account.routing import REMEMBERED
from accountd.config.policy import Policy
from accountd.errors import MalformedRecord, StorageError
from accountd.protocol.reasons import find_reason
from accountd.sandbox import Fault, Script
from fakes.client import open_client
from fakes.logged_in import HOUR, TOKEN, open_logged_in
from fakes.world import World, open_world

CHECK = "/backend-api/wham/accounts/check"


def reason_of(world: World) -> str | None:
    """Name what is at fault."""
    fault = world.reader.find_fault()
    return None if fault is None else find_reason(fault)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StorageError("no"), "storageError"),
        (MalformedRecord("odd"), "malformedRecord"),
        (None, "notLoggedIn"),
    ],
)
async def test_what_cannot_be_read_is_not_nobody(error: StorageError | None, reason: str) -> None:
    """Its reason is that of the store."""
    async with open_world() as world:
        world.credential.note_unreadable(error)
        assert reason_of(world) == reason


@pytest.mark.parametrize("policy", [Policy("api"), Policy(workspaces=("another",))])
async def test_what_is_not_permitted_has_the_reason_of_the_policy(
    policy: Policy, autojump_clock: trio.testing.MockClock
) -> None:
    """Until it is permitted again."""
    async with open_logged_in() as world:
        assert reason_of(world) is None
        permitting = world.services.policy.current
        world.services.policy.replace(policy)
        assert reason_of(world) == ("loginMethodForbidden" if policy.method else "workspaceForbidden")
        world.services.policy.replace(permitting)
        assert reason_of(world) is None


def failing(path: str, status: int) -> Script:
    """Answer each request for a path with a status; 0 is no answer."""
    return Script(faults=tuple(Fault(path, nth, status) for nth in range(1, 200)))


@pytest.mark.parametrize(
    ("status", "reason"), [(0, "issuerUnreachable"), (500, "refreshFailed"), (401, "refreshRefused")]
)
async def test_an_expired_token_has_the_story_of_its_last_refresh(
    status: int, reason: str, autojump_clock: trio.testing.MockClock
) -> None:
    """While it is good there is no fault, unless it is refused; and none once it is refreshed."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        world.sandbox.script = failing(TOKEN, status)
        await world.refresher.refresh_if_due(forced=True)
        assert reason_of(world) == (reason if status == 401 else None)
        await trio.sleep(2 * HOUR)
        assert reason_of(world) == reason
        if status != 401:
            world.sandbox.script = Script(token_lifetime=HOUR)
            await world.refresher.refresh_if_due(forced=True)
            assert reason_of(world) is None


async def test_a_look_up_that_fails_hides_nothing_from_our_own(autojump_clock: trio.testing.MockClock) -> None:
    """Who declares the extension is told what the token says, and why not more; it is not asked again at once."""
    async with open_logged_in() as world, open_client(world.services, extensions={"accountd": {}}) as client:
        world.sandbox.script = failing(CHECK, 503)
        for pause, looks in ((0, 1), (1, 1), (REMEMBERED, 2)):
            await trio.sleep(pause)
            answer = (await client.call("account/read", {}))["result"]
            assert (answer["account"]["email"], answer["account"]["planType"]) == ("ada@example.com", "plus")
            assert answer["workspaceRouting"] is None
            assert [request.path for request in world.sandbox.requests].count(CHECK) == looks
        status = (await client.call("accountd/status"))["result"]
        assert "503" in status["credential"]["workspaceError"]
