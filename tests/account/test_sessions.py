"""What is for one login alone: a notice about its security, and its session with its workspaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.errors import RequestFailed
from accountd.protocol import usage as wire
from accountd.secret import Secret
from accountd.storage.base import api_key_record, external_record
from fakes.payloads import see
from fakes.usage import ACCOUNTS, NOW, SECURITY, make_jwt, make_record, open_scene, use

if TYPE_CHECKING:
    from accountd.storage.base import AuthRecord

NOTICE = {"notice": {"title": "T", "description": "D", "action": {"label": "L", "url": "https://x.example"}}}
WORKSPACES = {"accounts": [{"id": "acct-1", "name": "Mine", "structure": "personal"}, {"id": "acct-2"}]}


async def test_a_security_notice_is_addressed_to_who_asked() -> None:
    """It has the ids of the login with which it was fetched, whatever ids the backend sent."""
    async with open_scene(make_record(), {SECURITY: NOTICE | {"account_id": "acct-2"}}) as scene:
        assert see(await scene.service.read_security_setup()) == {
            "notice": {
                "accountId": "acct-1",
                "userId": "user-1",
                "title": "T",
                "description": "D",
                "action": {"label": "L", "url": "https://x.example"},
            }
        }


@pytest.mark.parametrize(
    "record",
    [
        None,
        api_key_record(Secret("sk")),
        external_record(make_jwt(), "acct-1", None),
        make_record(account_id=None),
        make_record(chatgpt_user_id=None),
        make_record(chatgpt_account_is_fedramp=True),
    ],
    ids=["nobody", "key", "external", "no account id", "no user id", "government"],
)
async def test_nobody_else_is_asked_about_security(record: AuthRecord | None) -> None:
    """A notice is for one known person in one known workspace; for others the backend is not asked."""
    async with open_scene(None, {SECURITY: NOTICE}) as scene:
        await use(scene, record)
        assert await scene.service.read_security_setup() == wire.GetAccountSecuritySetupResponse(None)
        assert scene.server.seen == []


@pytest.mark.parametrize("answer", [500, 401, "rubbish", {"notice": {"title": "T"}}, {"notice": None}, {}])
async def test_a_notice_that_cannot_be_had_is_none(answer: object) -> None:
    """Nobody is told of a failure of what nobody asked for."""
    async with open_scene(make_record(), {SECURITY: answer}) as scene:
        assert (await scene.service.read_security_setup()).notice is None


async def test_a_slow_notice_is_none(autojump_clock: trio.testing.MockClock) -> None:
    """It is not waited for longer than three seconds."""
    async with open_scene(make_record(), {SECURITY: NOTICE}) as scene:
        scene.server.delays = {SECURITY: 4}
        start = trio.current_time()
        assert (await scene.service.read_security_setup()).notice is None
        assert trio.current_time() - start == pytest.approx(3)


OWN_SESSION = {
    "sessionId": "owner-1",
    "email": "ada@example.com",
    "userId": "user-1",
    "displayName": None,
    "imageUrl": None,
    "lastUsedAt": NOW,
    "isActive": True,
    "selectedWorkspaceAccountId": "acct-1",
    "workspaces": [{"accountId": "acct-1", "name": None, "imageUrl": None, "kind": None}],
}


@pytest.mark.parametrize(
    ("record", "change"),
    [
        (make_record(), {}),
        (make_record(owner=None), {"sessionId": "user-1"}),
        (make_record(account_id=None), {"selectedWorkspaceAccountId": None, "workspaces": []}),
    ],
)
async def test_the_login_is_the_one_session(
    record: AuthRecord, change: dict[str, object], autojump_clock: trio.testing.MockClock
) -> None:
    """It is known by its owner id, used this very second, and told without asking the backend."""
    async with open_scene(record) as scene:
        assert see(await scene.world.account.workspaces.read_session(look=False)) == OWN_SESSION | change
        assert scene.server.seen == []


@pytest.mark.parametrize(
    "record",
    [
        None,
        api_key_record(Secret("sk")),
        external_record(make_jwt(), "acct-1", None),
        make_record(chatgpt_user_id=None),
    ],
    ids=["nobody", "key", "external", "no user id"],
)
@pytest.mark.parametrize("look", [False, True])
async def test_without_a_login_of_ours_there_is_no_session(record: AuthRecord | None, look: bool) -> None:
    """Nobody is asked for authentication here; the list is empty."""
    async with open_scene(None) as scene:
        await use(scene, record)
        assert await scene.world.account.workspaces.read_session(look=look) is None
        assert scene.server.seen == []


async def test_a_look_at_the_backend_tells_the_workspaces() -> None:
    """Then, and not at the next time without a look, all workspaces are listed with their names."""
    async with open_scene(make_record(), {ACCOUNTS: WORKSPACES}) as scene:
        session = see(await scene.world.account.workspaces.read_session(look=True))
        assert [workspace["name"] for workspace in session["workspaces"]] == ["Mine", None]
        session = see(await scene.world.account.workspaces.read_session(look=False))
        assert session["workspaces"] == OWN_SESSION["workspaces"]


@pytest.mark.parametrize("answer", [500, 401, 404, {"accounts": None}, {"accounts": [{"id": 5}]}])
async def test_a_look_that_fails(answer: object) -> None:
    """The peer's text quotes nothing of the answer."""
    async with open_scene(make_record(), {ACCOUNTS: answer}) as scene:
        with pytest.raises(RequestFailed, match=r"^Failed to fetch workspace metadata$"):
            await scene.world.account.workspaces.read_session(look=True)


async def test_a_look_has_thirty_seconds(autojump_clock: trio.testing.MockClock) -> None:
    """After them a client is told so."""
    async with open_scene(make_record(), {ACCOUNTS: WORKSPACES}) as scene:
        scene.server.delays = {ACCOUNTS: 31}
        start = trio.current_time()
        with pytest.raises(RequestFailed, match=r"^Workspace metadata request timed out$"):
            await scene.world.account.workspaces.read_session(look=True)
        assert trio.current_time() - start == pytest.approx(30)


@pytest.mark.parametrize(
    ("newer", "is_same"),
    [
        (make_record(jti="refreshed"), True),
        (make_record("acct-2", "owner-2", chatgpt_user_id="user-2"), False),
        (make_record(owner="owner-2"), False),
        (api_key_record(Secret("sk")), False),
    ],
    ids=["refreshed", "another account", "another login", "key"],
)
async def test_an_account_that_changes_meanwhile_is_not_mixed_up(newer: AuthRecord, is_same: bool) -> None:
    """What was fetched for one login is told of that one alone; a refresh makes it no other."""
    async with open_scene(make_record(), {SECURITY: NOTICE, ACCOUNTS: WORKSPACES}) as scene:
        scene.server.meanwhile = lambda: scene.world.services.accounts.log_in(newer, announce=lambda: None)
        assert ((await scene.service.read_security_setup()).notice is not None) == is_same
        await scene.world.services.accounts.log_in(make_record(), announce=lambda: None)
        if is_same:
            assert await scene.world.account.workspaces.read_session(look=True) is not None
        else:
            with pytest.raises(RequestFailed, match=r"^Authentication changed while listing account sessions$"):
                await scene.world.account.workspaces.read_session(look=True)
