"""The switch to another workspace of the same login, alone and beside all that others do at the same time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
import trio.testing

from accountd.account.workspaces import SignIn
from accountd.config.policy import Policy
from accountd.errors import InvalidRequest, RefreshRefused, RequestFailed
from accountd.protocol.account import GetAccountResponse
from accountd.protocol.sessions import AccountSession, AccountSessionsSwitchParams
from accountd.sandbox import Claims, Fault, Script, Workspace
from accountd.storage.base import AuthRecord, switched_login
from accountd.storage.document import parse_record
from accountd.storage.memory import MemoryStore
from fakes.logged_in import (
    HOUR,
    TOKEN,
    FullDisk,
    login_of,
    open_logged_in,
    refresh_elsewhere,
    refreshes,
    stored_login,
    supply_tokens,
)
from fakes.usage import make_record
from fakes.world import stored

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from accountd.storage.base import ChatgptLogin
    from fakes.world import World

ACME = Workspace(account_id="account-acme", name="Acme", plan="team")
BANK = Workspace(account_id="account-bank", sign_in=True, sso_connection="bank-okta")
CHECK, SWITCH = "/backend-api/wham/accounts/check", "/backend-api/accounts/switch-workspace-token"
SCRIPT = Script(approve_after_polls=0, workspaces=(ACME, BANK))
OFFSETS = 40
"""Moments in which something else begins, spread over a switch."""


async def switch(
    world: World, account_id: str = "account-acme", *, session: str | None = None, allow: bool = False
) -> SignIn | None:
    """Switch as a client does, whose answer is with what it hears."""

    def reply(answer: AccountSession) -> None:
        world.heard.append({"reply": answer.selected_workspace_account_id})

    login = world.credential.login
    session_id = session if session is not None else str(login and login.session_id)
    return await world.account.workspaces.switch(
        AccountSessionsSwitchParams(session_id, account_id, allow),
        reply,
        originator="tests",
        is_login_under_way=lambda: bool(world.logins.under_way()),
    )


def where(login: ChatgptLogin) -> str | None:
    """Give the workspace of a login, whose access token is for that."""
    assert login.claimed_account_id == login.account_id
    return login.account_id


async def test_a_switch_changes_the_access_token_and_the_workspace_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It is announced before it is answered, and where the workspace is need not be asked again."""
    async with open_logged_in(SCRIPT) as world:
        before, record = login_of(world), stored(world.store)
        await switch(world)
        after = login_of(world)
        assert where(after) == "account-acme"
        assert stored(world.store) == world.credential.record
        assert record is not None
        assert world.credential.record == msgspec.structs.replace(record, chatgpt=after)
        assert after == switched_login(before, after.tokens.access_token, "account-acme")
        assert after.tokens.access_token != before.tokens.access_token
        assert world.heard == [
            {"method": "account/updated", "authMode": "chatgpt", "planType": "team"},
            {"reply": "account-acme"},
        ]
        known = world.reader.known()
        assert known is not None
        assert known.account is not None
        assert msgspec.to_builtins(known.account)["workspaceName"] == "Acme"
        assert {"event": "workspace.switched", "account": "account-acme"}.items() <= world.audited[-1].items()
        await switch(world)
        assert world.heard[2:] == [{"reply": "account-acme"}]  # there already, so nobody is asked, and nothing told


@pytest.mark.parametrize(
    ("account_id", "session", "words"),
    [
        (" ", "another", "accountId must not be empty"),
        ("account-none", "another", "Only the active managed account session can be switched"),
        ("account-none", None, "Login is restricted to workspace id(s)"),
        ("account-away", None, "The selected workspace is unavailable"),
        ("account-shut", None, "The selected workspace is unavailable"),
        ("account\nodd", None, "The selected workspace is unavailable"),
        ("account-state", None, "Sign in to switch government workspaces"),
    ],
)
async def test_what_stands_in_the_way(
    account_id: str, session: str | None, words: str, autojump_clock: trio.testing.MockClock
) -> None:
    """The first of several things is told; what is wrong with a request, before anybody is asked."""
    shut = Workspace(account_id="account-shut", deactivated=True)
    state = Workspace(account_id="account-state", government=True)
    script = msgspec.structs.replace(SCRIPT, workspaces=(shut, state, Workspace(account_id="account\nodd")))
    async with open_logged_in(script) as world:
        named = ("account-sandbox", "account-away", "account-shut", "account\nodd", "account-state")
        world.services.policy.replace(Policy(workspaces=named))
        with pytest.raises(InvalidRequest, match=re.escape(words)):
            await switch(world, account_id, session=session, allow=True)
        asked = [request.path for request in world.sandbox.requests if request.path == CHECK]
        assert len(asked) == (account_id in named)
        await world.start_device_login()
        with pytest.raises(InvalidRequest, match=r"^Finish or cancel the current login"):
            await switch(world, account_id, session=session)


async def test_a_token_that_cannot_be_refreshed_is_still_exchanged(autojump_clock: trio.testing.MockClock) -> None:
    """It may be good for a while; the refresh is tried once."""
    async with open_logged_in(msgspec.structs.replace(SCRIPT, token_lifetime=10 * HOUR)) as world:
        world.clock._offset += 9.95 * HOUR
        faults = tuple(Fault(TOKEN, nth, 500) for nth in range(1, 9))
        world.sandbox.script = msgspec.structs.replace(SCRIPT, faults=faults)
        await switch(world)
        assert stored_login(world).account_id == "account-acme"
        assert refreshes(world) == 1


async def test_a_due_token_is_refreshed_before_it_is_exchanged(autojump_clock: trio.testing.MockClock) -> None:
    """What the backend is asked with is good for a while."""
    async with open_logged_in(msgspec.structs.replace(SCRIPT, token_lifetime=10 * HOUR)) as world:
        world.clock._offset += 9.95 * HOUR
        assert world.refresher.is_due()
        assert await world.account.workspaces.read_session(look=False) is not None
        assert refreshes(world) == 1
        world.clock._offset += 9.95 * HOUR
        await switch(world)
        assert refreshes(world) == 2
        assert stored_login(world).account_id == "account-acme"


async def test_a_refresh_after_a_switch_stays_where_one_is(autojump_clock: trio.testing.MockClock) -> None:
    """The issuer gives tokens for the workspace of the login, which are exchanged once more."""
    async with open_logged_in(SCRIPT) as world:
        await switch(world)
        world.heard.clear()
        await world.refresher.refresh("forced")
        assert where(login_of(world)) == "account-acme"
        assert stored_login(world) == login_of(world)
        assert [heard["method"] for heard in world.heard] == ["account/token/changed"]


async def test_what_another_program_has_switched_is_a_refresh(autojump_clock: trio.testing.MockClock) -> None:
    """It is the same session, with an access token that was just issued: nobody has to log in again."""
    async with open_logged_in(SCRIPT) as world:
        before = stored(world.store)
        await switch(world)
        after, asked = stored(world.store), refreshes(world)
        world.credential.become(before)
        await world.refresher.refresh("forced")
        assert world.credential.record is after
        assert refreshes(world) == asked


class Meanwhile(MemoryStore):
    """A store that another program writes right before it is locked."""

    act: Callable[[], object] | None = None

    async def load(self) -> AuthRecord | None:
        """See MemoryStore."""
        if (act := self.act) is not None:
            self.act = None
            act()
        return await super().load()


async def test_what_another_program_has_refreshed_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    """Its refresh token is the one that is good; our access token is put beside it."""
    store = Meanwhile()
    async with open_logged_in(SCRIPT, store) as world:
        before = login_of(world)
        store.act = lambda: refresh_elsewhere(world)
        await switch(world)
        after = stored_login(world)
        assert after.tokens.refresh_token != before.tokens.refresh_token
        assert after.tokens.id_token != before.tokens.id_token
        assert where(after) == "account-acme"
        await world.refresher.refresh("forced")  # which is not refused


@pytest.mark.parametrize(
    "other",
    [
        None,
        parse_record(b'{"OPENAI_API_KEY": "sk-theirs"}'),
        make_record(),
        make_record("account-sandbox", owner="another", chatgpt_user_id="user-sandbox"),
    ],
    ids=["nobody", "a key", "another person", "another login"],
)
async def test_what_is_anybody_elses_is_not_overwritten(
    other: AuthRecord | None, autojump_clock: trio.testing.MockClock
) -> None:
    """It is the account from then on."""
    store = Meanwhile()
    async with open_logged_in(SCRIPT, store) as world:
        store.act = lambda: setattr(store, "record", other)
        with pytest.raises(InvalidRequest, match=r"^Account credentials changed$"):
            await switch(world)
        assert store.record is world.credential.record is other


async def test_what_memory_alone_has_is_switched_and_stored(autojump_clock: trio.testing.MockClock) -> None:
    """The refresh token on the disk is spent; the one that a full disk would not take goes with the switch."""
    store = FullDisk()
    async with open_logged_in(SCRIPT, store) as world:
        store.full = True
        await world.refresher.refresh("forced")
        with pytest.raises(RequestFailed, match="the workspace was not switched: No space left"):
            await switch(world)
        assert world.credential.is_unsaved
        assert login_of(world).account_id == "account-sandbox"
        store.full = False
        newest = login_of(world).tokens.refresh_token
        await switch(world)
        assert stored_login(world).tokens.refresh_token == newest
        assert not world.credential.is_unsaved


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(CHECK, 1, 500), "Failed to fetch workspace metadata"),
        (Fault(SWITCH, 1, 403), "Workspace switch was rejected .HTTP 403 Forbidden."),
        (Fault(SWITCH, 1, 0), "Workspace switch failed: "),
        (Fault(SWITCH, 1, 200, {"access_token": "a.b\n.c"}), "what the backend gave cannot be used"),
        (Fault(CHECK, 2, 500), "Workspace validation failed: workspace routing discovery failed"),
    ],
)
async def test_a_switch_that_fails_has_changed_nothing(
    fault: Fault, words: str, autojump_clock: trio.testing.MockClock
) -> None:
    """Nothing was stored before all was known, so there is no way back that could fail as well."""
    async with open_logged_in(SCRIPT) as world:
        before = stored(world.store)
        world.sandbox.script = msgspec.structs.replace(SCRIPT, faults=(fault,))
        with pytest.raises((InvalidRequest, RequestFailed), match=words):
            await switch(world)
        assert stored(world.store) is world.credential.record is before
        assert world.heard == []
        await switch(world)


@pytest.mark.parametrize(
    "claims", [Claims(account_id="account-acme", user_id="user-grace"), Claims(account_id="account-bank"), None]
)
async def test_what_an_exchange_gives_is_looked_at(
    claims: Claims | None, autojump_clock: trio.testing.MockClock
) -> None:
    """For whoever asked for one workspace must not be given another, nor be made somebody else."""
    async with open_logged_in(SCRIPT) as world:
        token = "opaque"
        if claims is not None:
            world.sandbox.script = Script(claims=claims)
            token = world.sandbox.issue_tokens().access_token.reveal()
        fault = Fault(SWITCH, 1, 200, {"access_token": token})
        world.sandbox.script = msgspec.structs.replace(SCRIPT, faults=(fault,))
        with pytest.raises(InvalidRequest, match="different user or workspace" if claims else "invalid ID token"):
            await switch(world)
        assert where(stored_login(world)) == "account-sandbox"


async def test_a_workspace_whose_requirements_cannot_be_had_is_not_switched_to(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """As a login to it would not be stored."""
    office = msgspec.structs.replace(ACME, plan="business")
    async with open_logged_in(msgspec.structs.replace(SCRIPT, workspaces=(office,))) as world:
        with pytest.raises(
            RequestFailed, match=r"^Workspace validation failed: failed to load workspace requirements"
        ):
            await switch(world)
        assert stored_login(world).account_id == "account-sandbox"


async def test_a_restriction_that_comes_meanwhile_holds(autojump_clock: trio.testing.MockClock) -> None:
    """It is asked about once more before anything is stored."""
    store = Meanwhile()
    async with open_logged_in(SCRIPT, store) as world:
        restricted = Policy(workspaces=("account-sandbox",))
        store.act = lambda: world.services.policy.replace(restricted)
        with pytest.raises(InvalidRequest, match=r"^Login is restricted to workspace id\(s\) account-sandbox\.$"):
            await switch(world)
        assert stored_login(world).account_id == "account-sandbox"


async def test_a_switch_does_not_heal_a_refused_refresh_token(autojump_clock: trio.testing.MockClock) -> None:
    """It is the same one in every workspace, so it is not sent again; those who were told of it are told so."""
    async with open_logged_in(SCRIPT) as world:
        world.sandbox.script = msgspec.structs.replace(SCRIPT, faults=(Fault(TOKEN, 1, 401),))
        with pytest.raises(RefreshRefused):
            await world.refresher.refresh("forced")
        await switch(world)
        assert stored_login(world).account_id == "account-acme"
        assert [heard.get("authMode") for heard in world.heard] == [None, "chatgpt", None, None]
        assert world.reader.known() == GetAccountResponse(account=None)
        with pytest.raises(RefreshRefused):
            await world.refresher.refresh("forced")
        assert refreshes(world) == 1


async def test_a_clients_own_tokens_are_not_switched(autojump_clock: trio.testing.MockClock) -> None:
    """They are in use before the session that is stored."""
    async with open_logged_in(SCRIPT) as world:
        await supply_tokens(world)
        with pytest.raises(InvalidRequest, match="requires a managed ChatGPT login"):
            await switch(world)


class Slow(MemoryStore):
    """A store that takes a while to be written, under its lock, and is not done when it has the record."""

    async def save(self, record: AuthRecord) -> None:
        """See MemoryStore."""
        assert self._lock.locked()
        await super().save(record)
        await trio.sleep(1)


async def test_a_switch_that_is_being_stored_is_seen_through(autojump_clock: trio.testing.MockClock) -> None:
    """Under the lock that other programs respect, and whoever leaves: what is stored is known, and answered."""
    async with open_logged_in(SCRIPT, Slow()) as world:
        with trio.move_on_after(0.5):
            await switch(world)
        assert where(login_of(world)) == where(stored_login(world)) == "account-acme"
        assert world.heard[-1] == {"reply": "account-acme"}


async def start_at(moment: float, act: Callable[[], Awaitable[object]]) -> None:
    """Do something after so many seconds."""
    await trio.sleep(moment)
    await act()


@pytest.mark.parametrize("first", ["switch", "refresh"])
async def test_a_switch_and_a_refresh_end_in_one_login(first: str, autojump_clock: trio.testing.MockClock) -> None:
    """At whatever moment the one begins of the other: no refresh token comes twice, and none is lost."""
    for offset in range(OFFSETS):
        async with open_logged_in(SCRIPT) as world:
            world.transport.distance = 0.5
            both = [lambda: switch(world), lambda: world.refresher.refresh("forced")]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(both[first == "refresh"])
                nursery.start_soon(start_at, 5 * offset / OFFSETS, both[first == "switch"])
            assert stored_login(world) == login_of(world)
            assert where(login_of(world)) == "account-acme"
            await world.refresher.refresh("forced")
            assert refreshes(world) == 2


async def test_a_switch_and_a_logout_end_logged_out(autojump_clock: trio.testing.MockClock) -> None:
    """At whatever moment: the logout revokes what there is, and the switch is answered for what it did."""
    for offset in range(OFFSETS):
        async with open_logged_in(SCRIPT) as world:
            world.transport.distance = 0.5
            token = login_of(world).tokens.refresh_token

            async def try_to_switch(world: World = world) -> None:
                try:
                    await switch(world)
                except InvalidRequest:
                    world.heard.append({"reply": None})

            async def log_out(world: World = world) -> None:
                await world.account.log_out(lambda: world.heard.append({"reply": "logged out"}))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(start_at, 2.5, try_to_switch)
                nursery.start_soon(start_at, 5 * offset / OFFSETS, log_out)
            assert stored(world.store) is world.credential.record is None
            found = world.sandbox._state.find_refresh_token(token)
            assert found is not None
            assert found.grant.revoked
            replies = [heard["reply"] for heard in world.heard if "reply" in heard]
            assert replies in (["account-acme", "logged out"], ["logged out", None])


async def test_two_switches_are_made_in_turn(autojump_clock: trio.testing.MockClock) -> None:
    """The last asked wins, and each is answered for what it did."""
    async with open_logged_in(SCRIPT) as world:
        await switch(world)
        world.heard.clear()
        world.transport.distance = 0.5
        async with trio.open_nursery() as nursery:
            nursery.start_soon(switch, world, "account-sandbox")
            await trio.sleep(0.1)
            nursery.start_soon(switch, world, "account-acme")
        assert [heard["reply"] for heard in world.heard if "reply" in heard] == ["account-sandbox", "account-acme"]
        assert login_of(world).account_id == "account-acme"


async def test_a_workspace_with_a_sign_in_says_what_it_wants(autojump_clock: trio.testing.MockClock) -> None:
    """Of the session's person, at the connection that the backend names; nothing has changed."""
    async with open_logged_in(SCRIPT) as world:
        login = login_of(world)
        with pytest.raises(InvalidRequest, match=r"^The selected workspace requires a new sign-in$"):
            await switch(world, "account-bank")
        wanted = await switch(world, "account-bank", allow=True)
        assert wanted == SignIn(
            "account-bank", "user-sandbox", login.login_owner_id, "ada@example.com", "bank-okta"
        )
        assert login_of(world) is login
