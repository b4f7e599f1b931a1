"""Refreshing tokens: from the store or the issuer, beside other programs that do the same."""

from __future__ import annotations

import msgspec
import pytest
import trio
import trio.testing

from accountd.errors import RefreshFailed, RefreshRefused, StorageError
from accountd.files.read import MAX_FILE
from accountd.protocol.account import (
    GetAccountResponse,
    GetAuthStatusResponse,
)
from accountd.sandbox import Claims, Fault, Script
from accountd.secret import Secret
from accountd.storage.base import AuthRecord, rotated_record
from accountd.storage.document import parse_record, render_record
from accountd.storage.memory import MemoryStore
from fakes.logged_in import (
    HOUR,
    TOKEN,
    login_of,
    open_logged_in,
    open_unsaved,
    refresh_elsewhere,
    refreshes,
    stored_login,
)
from fakes.world import World


class Unreadable(MemoryStore):
    """A store that can be read so many times."""

    loads = 100

    async def load(self) -> AuthRecord | None:
        """See MemoryStore."""
        if not self.loads:
            raise StorageError("Input/output error (os error 5)")
        self.loads -= 1
        return await super().load()


async def test_a_newer_token_in_the_store_is_adopted_without_a_request(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Where another program was first, its token is as good, and ours is not spent."""
    async with open_logged_in() as world:
        refresh_elsewhere(world)
        await world.refresher.refresh("forced")
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
        await world.refresher.refresh("forced")
        assert login_of(world) == stored_login(world)
        assert world.reader.auth_status(include_token=True).auth_token is not None


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
            await world.refresher.refresh("forced")
        assert login_of(world) == stored_login(world)
        assert [said["method"] for said in world.heard] == ["account/token/changed"]


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
                await world.refresher.refresh("forced")
        assert refreshes(world) == 1
        assert world.reader.known() == GetAccountResponse(account=None)
        assert world.reader.auth_status(include_token=True) == GetAuthStatusResponse("chatgpt", None)
        assert stored_login(world) is not None
        await trio.sleep(100 * HOUR)
        assert refreshes(world) == 1


async def test_beside_an_access_token_that_cannot_be_used_the_refresh_token_is_kept(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The issuer spent the older one, which the next try would be refused for."""
    async with open_logged_in() as world:
        before = login_of(world)
        given = {"access_token": "a token of two\nlines", "refresh_token": "rt_that_is_the_next"}
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 200, given),))
        with pytest.raises(RefreshFailed, match="the access token has a blank in it"):
            await world.refresher.refresh("forced")
        for found in (login_of(world), stored_login(world)):
            assert found.tokens.refresh_token == Secret("rt_that_is_the_next")
            assert found.tokens.access_token == before.tokens.access_token
        assert world.heard == []


async def test_an_id_token_that_is_too_long_is_not_taken(autojump_clock: trio.testing.MockClock) -> None:
    """With it the document would be longer than what is read of one, so that nobody would be logged in."""
    async with open_logged_in() as world:
        before = login_of(world)
        given = {
            "id_token": before.tokens.id_token.reveal() + "a" * MAX_FILE,
            "refresh_token": "rt_that_is_the_next",
        }
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 200, given),))
        await world.refresher.refresh("forced")
        assert stored_login(world).tokens.id_token == before.tokens.id_token
        assert stored_login(world).tokens.refresh_token == Secret("rt_that_is_the_next")


async def test_what_the_disk_kept_is_no_refresh_of_what_memory_has(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Tokens that the disk would not take are refused: the older ones on it are spent, and not gone back to."""
    async with open_unsaved() as (world, _):
        kept = login_of(world)
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 401, {"error": {"code": "refresh_token_reused"}}),))
        with pytest.raises(RefreshRefused):
            await world.refresher.refresh("forced")
        assert login_of(world) is kept
        assert world.reader.known() == GetAccountResponse(account=None)


@pytest.mark.parametrize("lifetime", [HOUR, -HOUR])
async def test_without_a_refresh_token_nothing_is_asked(
    lifetime: int, autojump_clock: trio.testing.MockClock
) -> None:
    """One has to log in again, once the access token has expired; what others have stored meanwhile is taken."""
    async with open_logged_in(Script(approve_after_polls=0, token_lifetime=lifetime)) as world:
        record, before = await world.store.load(), refreshes(world)
        assert record is not None
        await world.store.save(rotated_record(record, login_of(world), Secret("")))
        await world.account.store_watch.reload()
        with pytest.raises(RefreshRefused, match="because there is no refresh token"):
            await world.refresher.refresh("forced")
        assert refreshes(world) == before
        assert (world.credential.find_refusal(login_of(world)) is None) == (lifetime > 0)
        refresh_elsewhere(world)
        await world.refresher.refresh("forced")
        assert login_of(world) == stored_login(world)


async def test_a_refusal_ends_with_a_new_credential(autojump_clock: trio.testing.MockClock) -> None:
    """A login, or what another program stored, makes the account whole again."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 401),))
        with pytest.raises(RefreshRefused):
            await world.refresher.refresh("forced")
        refresh_elsewhere(world)
        await world.account.store_watch.reload()
        assert world.reader.auth_status(include_token=True).auth_token is not None


async def test_the_end_of_a_refusal_is_told_to_those_who_heard_of_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Clients of the extension hear that nobody is logged in, and later that somebody is again."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 401),))
        with pytest.raises(RefreshRefused):
            await world.refresher.refresh("forced")
        refresh_elsewhere(world)
        await world.refresher.refresh("forced")
        assert [heard["authMode"] for heard in world.heard] == [None, "chatgpt"]


async def test_an_account_that_changed_underneath_is_not_overwritten(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """If somebody else has logged in since, theirs is the account, and ours is not spent on it."""
    async with open_logged_in() as world:
        assert isinstance(world.store, MemoryStore)
        world.store.record = other = parse_record(b'{"OPENAI_API_KEY": "sk-theirs"}')
        with pytest.raises(RefreshRefused, match="signed in to another account"):
            await world.refresher.refresh("forced")
        assert refreshes(world) == 0
        assert world.credential.current is other
        assert world.heard[-1]["authMode"] == "apikey"


async def test_another_person_of_the_same_workspace_is_not_taken_for_a_refresh(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It is told that the account is another one, though its id is the same."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(claims=Claims(email="grace@example.com", user_id="user-grace"))
        refresh_elsewhere(world)
        with pytest.raises(RefreshRefused, match="signed in to another account"):
            await world.refresher.refresh("forced")
        assert refreshes(world) == 0
        assert login_of(world).claims.email == "grace@example.com"
        assert [heard["method"] for heard in world.heard] == ["account/updated"]


async def test_a_logout_during_a_refresh_is_not_undone(autojump_clock: trio.testing.MockClock) -> None:
    """A refresh that comes home after the logout began does not bring the credential back."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(delay=5)
        async with trio.open_nursery() as nursery:

            async def refresh() -> None:
                await world.refresher.refresh("forced")

            nursery.start_soon(refresh)
            await trio.sleep(1)
            await world.account.log_out(announce=lambda: None)
        await trio.sleep(10)
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is None
        assert world.credential.current is None


@pytest.mark.parametrize("failure", [StorageError("full"), MemoryError(), ValueError("Bearer x")])
async def test_a_token_that_the_disk_will_not_take_is_not_lost(
    failure: Exception, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The old one is spent, so the new one is used from memory, and stored as soon as that is possible."""
    async with open_unsaved(failure) as (world, store):
        kept = login_of(world)
        assert stored_login(world) != kept
        assert "in memory alone" in caplog.text
        await world.account.store_watch.reload()  # what the store has is older, and must not win
        assert login_of(world) == kept
        await trio.sleep(12 * HOUR)  # and it is refreshed as ever
        assert refreshes(world) >= 12
        assert not world.refresher.is_due()
        store.full = False
        await trio.sleep(60)
        assert stored_login(world) == login_of(world)
        assert not world.credential.is_unsaved


async def test_a_credential_of_others_wins_over_one_that_was_never_stored(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """What somebody stored after us is newer than what the store would not take."""
    async with open_unsaved() as (world, store):
        store.full = False
        store.record = other = parse_record(b'{"OPENAI_API_KEY": "sk-theirs"}')
        await world.refresher.save_again()
        assert store.record is other
        await world.account.store_watch.reload()
        assert world.credential.current is other


async def test_what_others_write_beside_the_tokens_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    """A member that another program has added since is in the document after a refresh as well."""
    async with open_logged_in() as world:
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is not None
        document = msgspec.json.decode(render_record(world.store.record)) | {"new": 1}
        document["tokens"]["newer"] = 2
        world.store.record = parse_record(msgspec.json.encode(document))
        await world.refresher.refresh("forced")
        assert refreshes(world) == 1
        document = msgspec.json.decode(render_record(world.store.record))
        assert (document["new"], document["tokens"]["newer"]) == (1, 2)


async def test_a_changed_plan_is_told(autojump_clock: trio.testing.MockClock) -> None:
    """A refresh after which a client would see another account is announced."""
    async with open_logged_in() as world:
        world.sandbox.script = Script(claims=Claims(plan="pro"))
        await world.refresher.refresh("forced")
        assert world.heard == [{"method": "account/updated", "authMode": "chatgpt", "planType": "pro"}]


async def test_a_refusal_is_not_held_against_a_login_that_came_meanwhile(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Who logs in while one looks whether another program spent the token is logged in, and stays so."""
    async with open_logged_in() as world:
        error = {"error": {"code": "refresh_token_reused"}}
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 401, error),))
        async with trio.open_nursery() as nursery:

            async def refresh() -> None:
                await world.refresher.refresh("forced")

            nursery.start_soon(refresh)
            await trio.sleep(0.1)
            await world.logins.start_api_key(Secret("sk-new"), lambda _: None)
        assert world.reader.auth_status(include_token=True).auth_token == "sk-new"
        assert [heard["authMode"] for heard in world.heard if "authMode" in heard] == ["apikey"]
        assert not [event for event in world.audited if event.get("outcome") == "refused"]


@pytest.mark.parametrize("before_the_request", [True, False])
async def test_a_store_that_cannot_be_read_during_a_refresh(
    autojump_clock: trio.testing.MockClock, before_the_request: bool
) -> None:
    """Before anything is sent it is a failure for now; afterwards it does not change what the issuer has said."""
    store = Unreadable()
    async with open_logged_in(store=store) as world:
        store.loads = 0 if before_the_request else 1
        world.sandbox.script = Script(faults=(Fault(TOKEN, 1, 401),))
        with pytest.raises(RefreshFailed if before_the_request else RefreshRefused) as caught:
            await world.refresher.refresh("forced")
        assert refreshes(world) == (0 if before_the_request else 1)
        assert ("Input/output" in str(caught.value)) == before_the_request
        store.loads = 100
        assert (world.reader.known() == GetAccountResponse(account=None)) == (not before_the_request)
