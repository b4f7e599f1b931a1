"""What clients are told of the account, and given of its tokens."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
import trio
import trio.testing

from accountd.account.refresh import PAUSE
from accountd.errors import InvalidRequest, RequestFailed
from accountd.oauth import claims
from accountd.protocol.account import (
    ApiKeyAccount,
    ChatgptAccount,
    GetAccountResponse,
    GetAuthStatusResponse,
    WorkspaceRouting,
)
from accountd.protocol.reasons import find_reason
from accountd.sandbox import Claims, Fault, Script
from accountd.storage.document import parse_record
from accountd.storage.memory import MemoryStore
from fakes.client import open_client
from fakes.logged_in import (
    APPROVED,
    HOUR,
    TOKEN,
    log_in,
    login_of,
    open_logged_in,
    refreshes,
)
from fakes.world import open_world

CHECK = "/backend-api/wham/accounts/check"


async def test_nobody_is_logged_in_at_first() -> None:
    """An empty store is no account, and nobody is asked about it."""
    async with open_world() as world:
        assert world.reader.known() == GetAccountResponse(account=None)
        assert world.reader.auth_status(include_token=True) == GetAuthStatusResponse()
        assert world.sandbox.requests == []


async def test_a_chatgpt_account_is_told_with_its_workspace(autojump_clock: trio.testing.MockClock) -> None:
    """The first read asks the backend for the workspace; those after it remember."""
    async with open_world(APPROVED) as world:
        await log_in(world)
        assert world.reader.known() is None
        answer = await world.reader.look_up()
        assert answer == GetAccountResponse(
            account=ChatgptAccount("ada@example.com", "plus", "Sandbox workspace"),
            user_id="user-sandbox",
            workspace_routing=WorkspaceRouting("account-sandbox", "http://127.0.0.1", "NO_CONSTRAINT"),
        )
        assert world.reader.known() == answer
        assert [request.path for request in world.sandbox.requests].count(CHECK) == 1


async def test_the_workspace_of_a_login_is_remembered_for_that_login(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """However often its tokens are refreshed; of the next login the backend is asked again."""
    async with open_world(APPROVED) as world:
        await log_in(world)
        answer = await world.reader.look_up()
        await world.refresher.refresh("forced")
        assert world.reader.known() == answer
        other = Claims(account_id="account-other", workspace_name="Another workspace")
        world.sandbox.script = Script(approve_after_polls=0, claims=other)
        await log_in(world)
        assert world.reader.known() is None
        told = (await world.reader.look_up()).account
        assert told == ChatgptAccount("ada@example.com", "plus", "Another workspace")


async def test_many_readers_ask_the_backend_once(autojump_clock: trio.testing.MockClock) -> None:
    """Readers that come while the workspace is being looked up wait for that look-up."""
    async with open_world(Script(approve_after_polls=0, delay=1)) as world:
        await log_in(world)
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(world.reader.look_up)
        assert [request.path for request in world.sandbox.requests].count(CHECK) == 1


async def test_a_reader_that_leaves_does_not_take_the_others_along(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """When the reader that asks is cancelled, the next one asks."""
    async with open_world(Script(approve_after_polls=0, delay=1)) as world:
        await log_in(world)
        async with trio.open_nursery() as nursery:

            async def leave() -> None:
                with trio.move_on_after(0.5):
                    await world.reader.look_up()

            nursery.start_soon(leave)
            await trio.testing.wait_all_tasks_blocked()
            answer = await world.reader.look_up()
        assert isinstance(answer.account, ChatgptAccount)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault(CHECK, 1, 500), "workspace routing discovery failed"),
        (Fault(CHECK, 1, 0), "workspace routing discovery failed"),
        (Fault(CHECK, 1, 200, "rubbish"), "workspace routing discovery failed"),
        (Fault(CHECK, 1, 200, {"accounts": []}), "selected workspace missing from routing discovery"),
        (Fault(CHECK, 1, 302), "workspace routing discovery failed"),
    ],
    ids=["500", "dropped", "rubbish", "missing", "redirect"],
)
async def test_a_failed_look_up_fails_that_read_alone(
    autojump_clock: trio.testing.MockClock, fault: Fault, text: str
) -> None:
    """The read says why, in the peer's words; the next read asks again; the login was never in doubt."""
    async with open_world(APPROVED) as world:
        await log_in(world)
        world.sandbox.script = Script(faults=(fault,))
        with pytest.raises(RequestFailed, match=text):
            await world.reader.look_up()
        assert world.reader.auth_status(include_token=False).auth_method == "chatgpt"
        assert isinstance((await world.reader.look_up()).account, ChatgptAccount)


async def test_tokens_that_the_backend_refuses_are_refreshed_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A second 401 is answered with a refresh and one more try; a third one is the answer."""
    refused = tuple(Fault(CHECK, nth, 401) for nth in (1, 2, 3))
    async with open_world(APPROVED) as world:
        await log_in(world)
        world.sandbox.script = Script(faults=refused[:2])
        assert isinstance((await world.reader.look_up()).account, ChatgptAccount)
        await world.refresher.refresh("forced")
        world.account.routing._found = None
        world.sandbox.script = Script(faults=refused)
        with pytest.raises(RequestFailed, match=r"workspace routing discovery unauthorized \(401\)"):
            await world.reader.look_up()
        paths = [request.path for request in world.sandbox.requests]
        assert paths.count("/oauth/token") == 4  # the login, after two refusals, ours, after two


async def test_tokens_that_cannot_be_refreshed_either_are_told_to_be_refused(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Where the refresh fails as well, the answer is the backend's."""
    async with open_world(APPROVED) as world:
        await log_in(world)
        world.sandbox.script = Script(
            faults=(Fault(CHECK, 1, 401), Fault(CHECK, 2, 401), Fault("/oauth/token", 1, 500))
        )
        with pytest.raises(RequestFailed, match="unauthorized"):
            await world.reader.look_up()


async def test_a_backend_that_does_not_answer_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    """A look-up ends after fifteen seconds."""
    async with open_world(APPROVED) as world:
        await log_in(world)
        world.sandbox.script = Script(delay=3600)
        asked = trio.current_time()
        with pytest.raises(RequestFailed, match="workspace routing discovery timed out"):
            await world.reader.look_up()
        assert trio.current_time() - asked == pytest.approx(15)


async def test_a_login_without_a_workspace_needs_no_look_up(autojump_clock: trio.testing.MockClock) -> None:
    """Tokens that name no workspace are a login all the same; there is nothing to ask the backend."""
    async with open_world(Script(approve_after_polls=0, claims=Claims(account_id=""))) as world:
        await log_in(world)
        answer = world.reader.known()
    assert answer is not None
    assert answer.workspace_routing is None
    assert answer.account == ChatgptAccount("ada@example.com", "plus", None)


async def test_a_token_is_given_only_on_request(autojump_clock: trio.testing.MockClock) -> None:
    """`getAuthStatus` gives the access token if asked; no answer of the account has a refresh token in it."""
    async with open_world(APPROVED) as world:
        await log_in(world)
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is not None
        login = world.store.record.chatgpt
        assert login is not None
        assert world.reader.auth_status(include_token=False) == GetAuthStatusResponse("chatgpt", None)
        told = world.reader.auth_status(include_token=True)
        assert told.auth_token == login.tokens.access_token.reveal()
        everything = msgspec.json.encode([told, await world.reader.look_up(), world.heard])
        assert login.tokens.refresh_token.reveal().encode() not in everything


async def test_an_api_key_from_an_old_file_is_an_account() -> None:
    """A file with a key and no mode, as older programs wrote it, is a login with an API key."""
    async with open_world(store=MemoryStore(parse_record(b'{"OPENAI_API_KEY": "sk-from-file"}'))) as world:
        assert world.reader.known() == GetAccountResponse(account=ApiKeyAccount())
        assert world.reader.auth_status(include_token=True) == GetAuthStatusResponse("apikey", "sk-from-file")


async def test_an_empty_key_is_an_account_without_a_token() -> None:
    """The peer reads an empty key as an account that has nothing to show, and so do we."""
    async with open_world(store=MemoryStore(parse_record(b'{"OPENAI_API_KEY": ""}'))) as world:
        assert world.reader.known() == GetAccountResponse(account=ApiKeyAccount())
        assert world.reader.auth_status(include_token=True) == GetAuthStatusResponse()


async def test_a_token_is_handed_out_as_long_as_it_is_good_enough(autojump_clock: trio.testing.MockClock) -> None:
    """It is refreshed only if it would not last for as long as is asked; what is told is when it expires."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        token = await world.reader.hand_out(300)
        assert token.token == login_of(world).tokens.access_token.reveal()
        assert token.expires_at is not None
        assert token.expires_at - world.clock.now() == pytest.approx(HOUR, abs=10)
        assert (token.auth_mode, token.chatgpt_account_id) == ("chatgpt", "account-sandbox")
        assert refreshes(world) == 0
        await trio.sleep(1800)
        assert (await world.reader.hand_out(1900)).token != token.token
        assert refreshes(world) == 1


async def test_what_is_in_a_token_is_read_once(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it comes: neither handing it out nor asking how it is decodes it again, which may take a while."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        monkeypatch.setattr(claims, "parse_claims", lambda _: pytest.fail("a token is decoded"))
        token = await world.reader.hand_out(300)
        assert token.expires_at == login_of(world).expires_at
        assert world.refresher.seconds_left() is not None
        async with open_client(world.services, extensions={"accountd": {}}) as client:
            answer = await client.call("accountd/status")
            assert answer["result"]["credential"]["expiresAt"] == token.expires_at


async def test_a_token_that_cannot_be_had_is_an_error(autojump_clock: trio.testing.MockClock) -> None:
    """Nobody logged in, a lifetime that no token has, an issuer in trouble, a login that is refused."""
    async with open_world() as world:
        with pytest.raises(InvalidRequest, match="nobody is logged in"):
            await world.reader.hand_out(300)
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        with pytest.raises(RequestFailed, match="no token can be had that is good for 7200 s"):
            await world.reader.hand_out(7200)
        with pytest.raises(RequestFailed, match="no token can be had that is good for 7200 s"):
            await world.reader.hand_out(7200)
        assert refreshes(world) == 1  # another one would be no better
        await trio.sleep(PAUSE)
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 500),))
        with pytest.raises(RequestFailed, match="500 Internal Server Error"):
            await world.reader.hand_out(7200)
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 401),))
        with pytest.raises(RequestFailed, match="log out and sign in again"):
            await world.reader.hand_out(7200)
        with pytest.raises(RequestFailed, match="sign in again") as raised:
            await world.reader.hand_out(0)
        assert find_reason(raised.value) == "refreshRefused"


@pytest.mark.parametrize(("ahead", "lifetime"), [(None, 60), (None, -9000), (0.0, -9000)])
async def test_a_token_that_was_just_issued_is_as_good_as_it_gets(
    ahead: float | None, lifetime: int, autojump_clock: trio.testing.MockClock
) -> None:
    """Where nobody tells the time, or it has expired when it comes, it is handed out; few refreshes are spent."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=lifetime)) as world:
        world.clock.told_ahead = ahead
        for _ in range(40):
            with suppress(RequestFailed):
                assert (await world.reader.hand_out(300)).token == login_of(world).tokens.access_token.reveal()
            await world.refresher.refresh_if_due()
            await trio.sleep(1)
        assert 1 <= refreshes(world) <= 2
        spent = refreshes(world)
        await trio.sleep(HOUR)
        assert refreshes(world) - spent <= (8 if lifetime < 0 else HOUR / PAUSE)


async def test_an_error_for_want_of_a_token_names_the_clock(autojump_clock: trio.testing.MockClock) -> None:
    """If that is known to be wrong."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        world.clock.told_ahead = -7200.0
        with pytest.raises(RequestFailed, match="; the clock of this machine is 7200 s behind the issuer's"):
            await world.reader.hand_out(7200)


async def test_a_key_is_handed_out_as_it_is() -> None:
    """An API key does not expire."""
    async with open_world(store=MemoryStore(parse_record(b'{"OPENAI_API_KEY": "sk"}'))) as world:
        token = await world.reader.hand_out(86_400)
        assert (token.auth_mode, token.token, token.expires_at) == ("apikey", "sk", None)
