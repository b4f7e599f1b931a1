"""A refresh that is answered with tokens of somebody or somewhere else: a mismatch, and what is kept then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import trio

from accountd.account.continuity import find_mismatch
from accountd.errors import RefreshFailed
from accountd.oauth.claims import parse_claims
from accountd.oauth.refresh import Refreshed
from accountd.protocol.account import GetAccountResponse
from accountd.sandbox import Claims, Fault, Sandbox, Script, Workspace
from accountd.secret import Secret
from accountd.storage.base import ChatgptLogin
from fakes.logged_in import HOUR, FullDisk, login_of, open_logged_in, refreshes, stored_login

if TYPE_CHECKING:
    import trio.testing

    from accountd.oauth.tokens import TokenSet

ADA = Claims()
ELSEWHERE = Claims(account_id="elsewhere")
GRACE = Claims(user_id="user-grace")
HERE = Workspace(account_id="account-sandbox")
SWITCH = "/backend-api/accounts/switch-workspace-token"


def issue(claims: Claims = ADA) -> TokenSet:
    """Give tokens with these claims."""
    return Sandbox(Script(claims=claims)).issue_tokens()


def login(access: Claims = ADA, identity: Claims = ADA) -> ChatgptLogin:
    """Give a login whose two tokens may say different things; its id is that of the access token."""
    tokens = msgspec.structs.replace(issue(access), id_token=issue(identity).id_token)
    return ChatgptLogin(tokens, parse_claims(tokens.id_token), access.account_id)


ALL = Refreshed(issue().id_token, issue().access_token, issue().refresh_token)


@pytest.mark.parametrize(
    ("known", "refreshed", "words"),
    [
        (login(), ALL, None),
        (login(), Refreshed(), None),
        (login(), Refreshed(access_token=issue(ELSEWHERE).access_token), "another workspace"),
        (login(), Refreshed(access_token=issue(GRACE).access_token), "another person"),
        (login(), Refreshed(id_token=issue(GRACE).id_token), "another person"),
        (login(), Refreshed(id_token=issue(ELSEWHERE).id_token), None),  # it is not asked for its workspace
        (login(), Refreshed(access_token=Secret("opaque"), id_token=Secret("broken")), None),
        (login(ELSEWHERE), ALL, "another workspace"),  # after a switch, back to where one logged in
        (login(ELSEWHERE), Refreshed(access_token=issue(ELSEWHERE).access_token), None),
        (login(ADA, GRACE), ALL, None),  # the person is the access token's
        (msgspec.structs.replace(login(), account_id=None), ALL, None),
        (
            msgspec.structs.replace(login(), account_id=None),
            Refreshed(access_token=issue(ELSEWHERE).access_token),
            "another workspace",
        ),
    ],
)
def test_it_has_to_be_the_same_person_and_workspace(
    known: ChatgptLogin, refreshed: Refreshed, words: str | None
) -> None:
    """As far as the tokens say; what they leave out is no mismatch."""
    found = find_mismatch(known, refreshed)
    assert (found and found.words) == words


async def test_tokens_of_another_workspace_are_exchanged(autojump_clock: trio.testing.MockClock) -> None:
    """Before anybody sees them; the other tokens are those of the refresh."""
    async with open_logged_in() as world:
        before = login_of(world)
        world.sandbox.script = Script(claims=ELSEWHERE, workspaces=(HERE,))
        await world.refresher.refresh("forced")
        for found in (login_of(world), stored_login(world)):
            assert found.claimed_account_id == found.account_id == "account-sandbox"
            assert found.tokens.access_token != before.tokens.access_token
            assert found.tokens.refresh_token != before.tokens.refresh_token
            assert found.claims.account_id == "elsewhere"
        assert [heard["method"] for heard in world.heard] == ["account/updated"]  # of the plan there


@pytest.mark.parametrize(
    "fault",
    [
        Fault(SWITCH, 1, 0),
        Fault(SWITCH, 1, 503),
        Fault(SWITCH, 1, 401),
        Fault(SWITCH, 1, 403, "<html><title>Just a moment</title>"),
        Fault(SWITCH, 1, 200, {}),
        Fault(SWITCH, 1, 200, {"access_token": issue(ELSEWHERE).access_token.reveal()}),
    ],
    ids=["dropped", "503", "401", "a page", "no token", "another workspace's"],
)
async def test_tokens_that_cannot_be_exchanged_now_are_not_used(
    fault: Fault, autojump_clock: trio.testing.MockClock
) -> None:
    """They are neither stored nor given; the refresh token beside them is kept, since the old one is spent."""
    async with open_logged_in() as world:
        before = login_of(world)
        world.sandbox.script = Script(claims=ELSEWHERE, workspaces=(HERE,), faults=(fault,))
        with pytest.raises(RefreshFailed, match="tokens of another workspace, not exchanged yet: "):
            await world.refresher.refresh("forced")
        for found in (login_of(world), stored_login(world)):
            assert found.tokens.access_token == before.tokens.access_token
            assert found.claims == before.claims
            assert found.tokens.refresh_token != before.tokens.refresh_token
        assert world.reader.auth_status(include_token=True).auth_token == before.tokens.access_token.reveal()
        assert world.heard == []
        await world.refresher.refresh("forced")
        assert login_of(world).claimed_account_id == "account-sandbox"
        assert login_of(world).tokens.access_token != before.tokens.access_token


async def test_tokens_that_may_not_be_exchanged_are_stored_and_not_used(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The person is not of the workspace any more: nobody is logged in, which is told, and no more is spent."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(claims=ELSEWHERE)
        with pytest.raises(RefreshFailed, match="not used; log in again: Workspace switch was rejected"):
            await world.refresher.refresh("forced")
        assert stored_login(world).claimed_account_id == "elsewhere"
        assert world.reader.known() == GetAccountResponse(account=None)
        assert "for another workspace" in str(world.reader.find_fault())
        assert [heard["authMode"] for heard in world.heard] == [None]
        await trio.sleep(100 * HOUR)
        assert refreshes(world) == 1


async def test_of_another_persons_tokens_nothing_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    """Not the refresh token either, which is theirs."""
    async with open_logged_in() as world:
        before = login_of(world)
        world.sandbox.script = Script(claims=GRACE)
        for token in world.sandbox._state._refresh_tokens.values():
            token.grant.claims = GRACE
        with pytest.raises(RefreshFailed, match="tokens of another person"):
            await world.refresher.refresh("forced")
        assert login_of(world) is before
        assert stored_login(world) == before


async def test_a_refresh_token_that_the_disk_will_not_take_is_not_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It is in memory, and stored as soon as the disk has room."""
    store = FullDisk()
    async with open_logged_in(store=store) as world:
        store.full = True
        world.sandbox.script = Script(claims=ELSEWHERE, faults=(Fault(SWITCH, 1, 503),))
        with pytest.raises(RefreshFailed):
            await world.refresher.refresh("forced")
        assert world.credential.is_unsaved
        store.full = False
        await world.refresher.save_again()
        assert stored_login(world) == login_of(world)


async def test_an_issuer_that_goes_on_so_is_not_worn_out(autojump_clock: trio.testing.MockClock) -> None:
    """What is kept of an answer is no reason to ask again at once."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=600)) as world:
        faults = tuple(Fault(SWITCH, nth, 503) for nth in range(1, 100))
        world.sandbox.script = Script(claims=ELSEWHERE, token_lifetime=600, faults=faults)
        await trio.sleep(3600)
        assert 2 <= refreshes(world) <= 12
