"""Refreshing: on request, on need, ahead of time, and beside other programs that do the same."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
import trio.testing

from accountd.errors import InvalidRequest, RefreshFailed, RefreshRefused, RequestFailed, StorageError
from accountd.protocol.account import GetAccountResponse, GetAuthStatusResponse
from accountd.refresh import AHEAD, LONGEST_RETRY
from accountd.sandbox import Claims, Fault, Script
from accountd.storage.base import AuthRecord, ChatgptLogin, MalformedRecord, parse_record, render_record
from accountd.storage.memory import MemoryStore
from fakes.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN = "/oauth/token"
APPROVED = Script(approve_after_polls=0)
HOUR = 3600.0


@asynccontextmanager
async def open_logged_in(script: Script = APPROVED, store: MemoryStore | None = None) -> AsyncIterator[World]:
    """Give a world in which somebody has logged in by device code."""
    async with open_world(script, store=store or MemoryStore()) as world:
        assert (await world.wait_completion(await world.start_device_login()))["success"]
        world.heard.clear()
        yield world


def login_of(world: World) -> ChatgptLogin:
    """Give the login that the account has."""
    assert world.account.login is not None
    return world.account.login


def stored_login(world: World) -> ChatgptLogin:
    """Give the login that the store has."""
    assert isinstance(world.store, MemoryStore)
    assert world.store.record is not None
    assert world.store.record.chatgpt is not None
    return world.store.record.chatgpt


def refreshes(world: World) -> int:
    """Count the requests to the token endpoint, but for the exchange of the login."""
    return [request.path for request in world.sandbox.requests].count(TOKEN) - 1


def refresh_elsewhere(world: World) -> None:
    """Be another program that refreshes and stores: a new token of the same account."""
    assert isinstance(world.store, MemoryStore)
    assert world.store.record is not None
    login = msgspec.structs.replace(stored_login(world), tokens=world.sandbox.issue_tokens())
    world.store.record = msgspec.structs.replace(world.store.record, chatgpt=login)


async def test_a_forced_refresh_stores_what_it_shows(autojump_clock: trio.testing.MockClock) -> None:
    """New tokens, in the store and in memory; what belongs to the login and not to the tokens is kept."""
    async with open_logged_in() as world:
        before = login_of(world)
        await world.services.refresher.refresh("forced")
        after = login_of(world)
        assert after.tokens != before.tokens
        assert stored_login(world) == after
        assert (after.login_owner_id, after.account_id, after.provenance) == (
            before.login_owner_id,
            before.account_id,
            before.provenance,
        )
        assert world.heard == []  # nothing that a client could see is different


async def test_many_callers_share_one_flight(autojump_clock: trio.testing.MockClock) -> None:
    """However many ask, and whichever of them leave, the refresh token is spent once."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(delay=5)
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(world.services.refresher.refresh, "forced")

            async def leave() -> None:
                with trio.move_on_after(1):
                    await world.services.refresher.refresh("forced")

            nursery.start_soon(leave)
        assert refreshes(world) == 1


async def test_a_flight_goes_on_when_everybody_has_left(autojump_clock: trio.testing.MockClock) -> None:
    """A client that asks and leaves gets its refresh all the same; the token is in the store."""
    async with open_logged_in() as world:
        before = login_of(world)
        world.sandbox.script = Script(delay=5)
        with trio.move_on_after(1):
            await world.services.refresher.refresh("forced")
        await trio.sleep(10)
        assert stored_login(world).tokens != before.tokens


async def test_a_shutdown_lets_a_spent_token_come_home(autojump_clock: trio.testing.MockClock) -> None:
    """A refresh that has been sent is seen through, or its token would be lost."""
    store = MemoryStore()
    async with open_logged_in(store=store) as world:
        before = login_of(world)
        world.sandbox.script = Script(delay=5)
        with trio.move_on_after(1):
            await world.services.refresher.refresh("forced")
    assert store.record is not None
    assert store.record.chatgpt is not None
    assert store.record.chatgpt.tokens != before.tokens


async def test_a_newer_token_in_the_store_is_adopted_without_a_request(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Where another program was first, its token is as good, and ours is not spent."""
    async with open_logged_in() as world:
        refresh_elsewhere(world)
        await world.services.refresher.refresh("forced")
        assert refreshes(world) == 0
        assert login_of(world) == stored_login(world)


async def test_a_reused_token_is_looked_up_once_more(autojump_clock: trio.testing.MockClock) -> None:
    """A program that takes no locks may have been first by a moment: what it stored is adopted."""

    class Racing(MemoryStore):
        """A store that another program writes between our look and the issuer's answer."""

        world: World | None = None

        async def load(self) -> AuthRecord | None:
            """See MemoryStore."""
            record = await super().load()
            if self.world is not None:
                refresh_elsewhere(self.world)
                self.world = None
            return record

    store = Racing()
    async with open_logged_in(store=store) as world:
        error = {"error": {"code": "refresh_token_reused"}}
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 401, error),))
        store.world = world
        await world.services.refresher.refresh("forced")
        assert login_of(world) == stored_login(world)
        assert world.reader.auth_status(include_token=True).auth_token is not None


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("refresh_token_expired", "has expired"),
        ("refresh_token_reused", "was already used"),
        ("refresh_token_invalidated", "was revoked"),
        ("something_else", "could not be refreshed. Please log out"),
    ],
)
async def test_a_refusal_is_final_for_that_credential(
    autojump_clock: trio.testing.MockClock, code: str, words: str
) -> None:
    """Nobody is logged in any more for clients, no second request is made, and the file is kept."""
    async with open_logged_in() as world:
        fault = Fault(TOKEN, 1, 401, {"error": {"code": code}})
        world.sandbox.script = Script(faults=(fault,))
        for _ in range(3):
            with pytest.raises(RefreshRefused, match=words):
                await world.services.refresher.refresh("forced")
        assert refreshes(world) == 1
        assert world.reader.known() == GetAccountResponse(account=None)
        assert world.reader.auth_status(include_token=True) == GetAuthStatusResponse("chatgpt", None)
        assert stored_login(world) is not None
        await trio.sleep(100 * HOUR)
        assert refreshes(world) == 1


async def test_a_refusal_ends_with_a_new_credential(autojump_clock: trio.testing.MockClock) -> None:
    """A login, or what another program stored, makes the account whole again."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 401),))
        with pytest.raises(RefreshRefused):
            await world.services.refresher.refresh("forced")
        refresh_elsewhere(world)
        await world.account.reload()
        assert world.reader.auth_status(include_token=True).auth_token is not None


@pytest.mark.parametrize(
    "fault", [Fault(TOKEN, 1, 500), Fault(TOKEN, 1, 400, {"error": "invalid_grant"}), Fault(TOKEN, 1, 200, "?")]
)
async def test_a_failure_changes_nothing_and_the_next_try_may_do_better(
    autojump_clock: trio.testing.MockClock, fault: Fault
) -> None:
    """The old token stays in use; asking again asks the issuer again."""
    async with open_logged_in() as world:
        before = login_of(world)
        world.sandbox.script = Script(faults=(fault,))
        with pytest.raises(RefreshFailed):
            await world.services.refresher.refresh("forced")
        assert login_of(world) is before
        assert world.reader.auth_status(include_token=True).auth_token is not None
        await world.services.refresher.refresh("forced")
        assert login_of(world).tokens != before.tokens


async def test_every_waiter_gets_an_error_of_its_own(autojump_clock: trio.testing.MockClock) -> None:
    """Raising an exception changes it, so no two tasks raise the same."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(delay=1, faults=(Fault(TOKEN, 1, 500),))
        caught: list[RefreshFailed] = []

        async def ask() -> None:
            try:
                await world.services.refresher.refresh("forced")
            except RefreshFailed as error:
                caught.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
        assert len({id(error) for error in caught}) == 2


async def test_an_account_that_changed_underneath_is_not_overwritten(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """If somebody else has logged in since, theirs is the account, and ours is not spent on it."""
    async with open_logged_in() as world:
        assert isinstance(world.store, MemoryStore)
        world.store.record = other = parse_record(b'{"OPENAI_API_KEY": "sk-theirs"}')
        with pytest.raises(RefreshRefused, match="signed in to another account"):
            await world.services.refresher.refresh("forced")
        assert refreshes(world) == 0
        assert world.account.current is other
        assert world.heard[-1]["authMode"] == "apikey"


async def test_a_logout_during_a_refresh_is_not_undone(autojump_clock: trio.testing.MockClock) -> None:
    """A refresh that comes home after the logout began does not bring the credential back."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(delay=5)
        async with trio.open_nursery() as nursery:

            async def refresh() -> None:
                await world.services.refresher.refresh("forced")

            nursery.start_soon(refresh)
            await trio.sleep(1)
            await world.account.log_out(announce=lambda: None)
        await trio.sleep(10)
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is None
        assert world.account.current is None


class FullDisk(MemoryStore):
    """A store that may refuse to be written."""

    full = False

    async def save(self, record: AuthRecord) -> None:
        """See MemoryStore."""
        if self.full:
            raise StorageError("No space left on device (os error 28)")
        await super().save(record)


async def test_a_token_that_the_disk_will_not_take_is_not_lost(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The old one is spent, so the new one is used from memory, and stored as soon as that is possible."""
    store = FullDisk()
    async with open_logged_in(store=store) as world:
        store.full = True
        await world.services.refresher.refresh("forced")
        kept = login_of(world)
        assert stored_login(world) != kept
        assert "in memory alone" in caplog.text
        await world.account.reload()  # what the store has is older, and must not win
        assert login_of(world) == kept
        await trio.sleep(12 * HOUR)  # and it is refreshed as ever
        assert refreshes(world) >= 12
        assert not world.services.refresher.is_due()
        store.full = False
        await trio.sleep(60)
        assert stored_login(world) == login_of(world)
        assert not world.account.is_unsaved


async def test_a_credential_of_others_wins_over_one_that_was_never_stored(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """What somebody stored after us is newer than what the store would not take."""
    store = FullDisk()
    async with open_logged_in(store=store) as world:
        store.full = True
        await world.services.refresher.refresh("forced")
        store.full = False
        store.record = other = parse_record(b'{"OPENAI_API_KEY": "sk-theirs"}')
        await world.account.save_again()
        assert store.record is other
        await world.account.reload()
        assert world.account.current is other


async def test_the_end_of_a_refusal_is_told_to_those_who_heard_of_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Clients of the extension hear that nobody is logged in, and later that somebody is again."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 401),))
        with pytest.raises(RefreshRefused):
            await world.services.refresher.refresh("forced")
        refresh_elsewhere(world)
        await world.services.refresher.refresh("forced")
        assert [heard["authMode"] for heard in world.heard] == [None, "chatgpt"]


async def test_a_program_that_spends_first_and_locks_later_is_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Codex takes the locks only to store what it got; it may be waiting for ours when the issuer says `reused`."""
    async with open_logged_in() as world:
        error = {"error": {"code": "refresh_token_reused"}}
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 401, error),))

        async def store_when_the_locks_are_free() -> None:
            await trio.sleep(0.01)
            async with world.store.locked():
                await trio.sleep(0.5)
                refresh_elsewhere(world)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(store_when_the_locks_are_free)
            await world.services.refresher.refresh("forced")
        assert login_of(world) == stored_login(world)
        assert world.heard == []


async def test_a_token_is_refreshed_before_it_is_needed(autojump_clock: trio.testing.MockClock) -> None:
    """Ahead of its last five minutes, by itself, once; and between there is not one wake-up."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        sleeps = world.clock.sleeps
        await trio.sleep(HOUR - 300 - AHEAD - 1)
        assert refreshes(world) == 0
        assert world.clock.sleeps - sleeps <= 1
        await trio.sleep(AHEAD + 2)
        assert refreshes(world) == 1


async def test_a_week_passes_with_one_refresh_an_hour(autojump_clock: trio.testing.MockClock) -> None:
    """Every token is replaced in time, once; nobody ever holds one that is about to expire."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        for _ in range(7 * 24):
            await trio.sleep(HOUR)
            assert not world.services.refresher.is_due()
        assert 7 * 24 <= refreshes(world) <= 7 * 24 * HOUR / (HOUR - 300 - AHEAD) + 1
        assert world.clock.sleeps <= 2 * refreshes(world) + 2


async def test_a_machine_that_slept_refreshes_when_it_wakes(autojump_clock: trio.testing.MockClock) -> None:
    """The timer goes by the time of day: after a night's suspend the token is refreshed at once."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        await trio.sleep(600)
        world.clock.jump(8 * HOUR)
        await trio.sleep(1)
        assert refreshes(world) == 1
        assert not world.services.refresher.is_due()


async def test_a_clock_that_is_set_back_and_forth_costs_no_refresh(autojump_clock: trio.testing.MockClock) -> None:
    """Looking again is all that a jump causes, unless it passes the time that counts."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        for seconds in (-HOUR, HOUR, 1800, -1800):
            world.clock.jump(seconds)
            await trio.sleep(1)
        assert refreshes(world) == 0


async def test_an_outage_is_met_with_patience(autojump_clock: trio.testing.MockClock) -> None:
    """Tries get rarer, never more than one in a quarter of an hour; when the network is back, so is the token."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        world.transport.offline = True
        await trio.sleep(12 * HOUR)
        world.transport.offline = False
        await trio.sleep(LONGEST_RETRY + 1)
        assert refreshes(world) == 1
        assert not world.services.refresher.is_due()


async def test_a_token_that_does_not_say_when_it_expires_is_refreshed_after_eight_days(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Without an `exp` the age of the last refresh decides."""
    async with open_world(APPROVED) as world:
        tokens = world.sandbox.issue_tokens()
        opaque = {
            "id_token": tokens.id_token.reveal(),
            "access_token": "opaque",
            "refresh_token": tokens.refresh_token.reveal(),
            "account_id": "account-sandbox",
        }
        document = {"tokens": opaque, "last_refresh": "2027-01-15T08:00:00.123456789Z"}  # the clock's beginning
        assert isinstance(world.store, MemoryStore)
        world.store.record = parse_record(msgspec.json.encode(document))
        await world.account.reload()
        await trio.sleep(7.9 * 86400)
        assert refreshes(world) == -1
        await trio.sleep(0.1 * 86400 + 1)
        assert refreshes(world) == 0


async def test_tokens_that_live_for_a_minute_do_not_wear_the_issuer_out(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Where every token is due as soon as it comes, there is a pause between refreshes all the same."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=60)) as world:
        await trio.sleep(600)
        assert refreshes(world) <= 21


async def test_an_api_key_is_never_refreshed(autojump_clock: trio.testing.MockClock) -> None:
    """Without a ChatGPT login there is nothing to do, whoever asks."""
    store = MemoryStore(parse_record(b'{"OPENAI_API_KEY": "sk"}'))
    async with open_world(store=store) as world:
        await world.services.refresher.ensure_fresh(forced=True)
        await trio.sleep(1000 * HOUR)
        assert world.sandbox.requests == []


async def test_a_changed_plan_is_told(autojump_clock: trio.testing.MockClock) -> None:
    """A refresh after which a client would see another account is announced."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(claims=Claims(plan="pro"))
        await world.services.refresher.refresh("forced")
        assert world.heard == [{"method": "account/updated", "authMode": "chatgpt", "planType": "pro"}]


async def test_another_programs_changes_are_told(autojump_clock: trio.testing.MockClock) -> None:
    """A login, a logout and a login of another kind by somebody else reach our clients; the same does not."""
    async with open_logged_in() as world:
        assert isinstance(world.store, MemoryStore)
        record = world.store.record
        await world.account.reload()
        assert world.heard == []
        for stored, mode in (
            (None, None),
            (record, "chatgpt"),
            (parse_record(b'{"OPENAI_API_KEY":"k"}'), "apikey"),
        ):
            world.store.record = stored
            await world.account.reload()
            assert world.heard[-1]["authMode"] == mode
        assert len(world.heard) == 3


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


async def test_a_token_that_cannot_be_had_is_an_error(autojump_clock: trio.testing.MockClock) -> None:
    """Nobody logged in, a lifetime that no token has, an issuer in trouble, a login that is refused."""
    async with open_world() as world:
        with pytest.raises(InvalidRequest, match="nobody is logged in"):
            await world.reader.hand_out(300)
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=HOUR)) as world:
        with pytest.raises(RequestFailed, match="no token can be had that is good for 7200 s"):
            await world.reader.hand_out(7200)
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 500),))
        with pytest.raises(RequestFailed, match="500 Internal Server Error"):
            await world.reader.hand_out(7200)
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 401),))
        with pytest.raises(RequestFailed, match="log out and sign in again"):
            await world.reader.hand_out(7200)
        with pytest.raises(RequestFailed, match="no longer accepted"):
            await world.reader.hand_out(0)


async def test_a_key_is_handed_out_as_it_is() -> None:
    """An API key does not expire."""
    async with open_world(store=MemoryStore(parse_record(b'{"OPENAI_API_KEY": "sk"}'))) as world:
        token = await world.reader.hand_out(86_400)
        assert (token.auth_mode, token.token, token.expires_at) == ("apikey", "sk", None)


async def test_forgetting_asks_nothing_of_the_issuer(autojump_clock: trio.testing.MockClock) -> None:
    """The login ends here alone; its grant stays good for whoever else has it."""
    async with open_logged_in() as world:
        tokens = login_of(world).tokens
        await world.account.log_out(announce=lambda: None, revoke=False)
        assert world.account.current is None
        assert world.sandbox.requests[-1].path == TOKEN
        assert await world.services.issuer.refresh(tokens.refresh_token, "forced")


async def test_what_others_write_beside_the_tokens_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    """A member that another program has added since is in the document after a refresh as well."""
    async with open_logged_in() as world:
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is not None
        document = msgspec.json.decode(render_record(world.store.record)) | {"new": 1}
        document["tokens"]["newer"] = 2
        world.store.record = parse_record(msgspec.json.encode(document))
        await world.services.refresher.refresh("forced")
        assert refreshes(world) == 1
        document = msgspec.json.decode(render_record(world.store.record))
        assert (document["new"], document["tokens"]["newer"]) == (1, 2)


async def test_a_store_that_fails_for_a_moment_logs_nobody_out(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be read now says nothing; what is there and is no credential does."""
    async with open_logged_in() as world:
        before = login_of(world)

        def fail_with(error: StorageError) -> None:
            async def load(_: MemoryStore) -> AuthRecord | None:
                raise error

            monkeypatch.setattr(MemoryStore, "load", load)

        fail_with(StorageError("Input/output error (os error 5)"))
        await world.account.reload()
        assert login_of(world) is before
        fail_with(MalformedRecord("torn"))
        await world.account.reload()
        assert world.account.current is None
