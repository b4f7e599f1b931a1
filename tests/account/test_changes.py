"""Changes of the account that meet others, or a disk that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.errors import MalformedRecord, RefreshRefused, StorageError
from accountd.secret import Secret
from accountd.storage.base import AuthRecord, StoreDescription, api_key_record
from accountd.storage.document import parse_record
from accountd.storage.memory import MemoryStore
from fakes.logged_in import login_of, open_logged_in, open_unsaved, refreshes, stored_login, supply_tokens
from fakes.world import open_world

if TYPE_CHECKING:
    from accountd.storage.base import StoreKind
    from accountd.web.issuer import Issuer

REVOKE = "/oauth/revoke"


class SlowToRead(MemoryStore):
    """A store whose `load` gives, after a second, what was there before it."""

    slow = False

    async def load(self) -> AuthRecord | None:
        """See MemoryStore."""
        record = self.record
        if self.slow:
            await trio.sleep(1)
        return record


class SlowToWrite(MemoryStore):
    """A store whose `save` takes a second."""

    async def save(self, record: AuthRecord) -> None:
        """See MemoryStore."""
        await trio.sleep(1)
        await super().save(record)


class ReadOnly(MemoryStore):
    """A store that cannot be emptied."""

    async def delete(self) -> None:
        """See MemoryStore."""
        await trio.lowlevel.checkpoint()
        raise StorageError("Read-only file system (os error 30)")


class Sick(MemoryStore):
    """A store of some kind that cannot be read at first, and counts the tries."""

    def __init__(self, kind: StoreKind) -> None:
        super().__init__(parse_record(b'{"OPENAI_API_KEY": "sk"}'))
        self.kind = kind
        self.sick = True
        self.fault: StorageError = StorageError("Input/output error (os error 5)")
        self.reads = 0

    def describe(self) -> StoreDescription:
        """See MemoryStore."""
        return StoreDescription(self.kind, "somewhere")

    async def load(self) -> AuthRecord | None:
        """See MemoryStore."""
        self.reads += 1
        if self.sick:
            raise self.fault
        return await super().load()


@pytest.mark.parametrize(("kind", "tries"), [("file", [2, 3, 4, 4]), ("keyring", [1, 1, 1, 1])])
async def test_a_file_that_could_not_be_read_is_tried_until_it_can_be(kind: StoreKind, tries: list[int]) -> None:
    """At each request, and no longer; a keyring, where each try might take seconds, is not tried at all."""
    store = Sick(kind)
    seen: list[int] = []
    async with open_world(store=store) as world:
        for sick in (True, True, False, False):
            store.sick = sick
            await world.refresher.refresh_if_due()
            seen.append(store.reads)
        assert seen == tries
        assert (world.credential.current is not None) == (kind == "file")


async def test_a_token_is_handed_out_of_a_file_that_can_be_read_again() -> None:
    """Whoever asks for one has it looked at, and is not told that nobody is logged in."""
    store = Sick("file")
    async with open_world(store=store) as world:
        store.sick = False
        assert (await world.reader.hand_out(0)).token == "sk"


async def test_why_a_file_cannot_be_read_is_known_as_long_as_it_cannot() -> None:
    """A person is told that, and what to do, and not only that nobody is logged in; also once it is not there."""
    store = Sick("file")
    async with open_world(store=store) as world:
        assert str(world.credential.objection) == "Input/output error (os error 5)"
        await world.account.store_watch.reload()
        assert str(world.credential.objection) == "Input/output error (os error 5)"
        store.fault = MalformedRecord("it is no credential")
        await world.account.store_watch.reload()
        assert str(world.credential.objection) == "it is no credential. Log in again."
        store.record, store.sick = None, False
        await world.account.store_watch.reload()
        assert world.credential.objection is None


async def test_a_look_at_the_store_does_not_undo_a_login(autojump_clock: trio.testing.MockClock) -> None:
    """What was read before the login was stored is not taken for what another program has written since."""
    store = SlowToRead(parse_record(b'{"OPENAI_API_KEY": "sk-old"}'))
    async with open_world(store=store) as world:
        store.slow = True
        store.record = parse_record(b'{"OPENAI_API_KEY": "sk-theirs"}')
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.account.store_watch.reload)
            await trio.sleep(0.5)
            await world.services.accounts.log_in(api_key_record(Secret("sk-new")), lambda: None)
        assert world.reader.auth_status(include_token=True).auth_token == "sk-new"


async def test_a_logout_that_fails_on_the_disk_is_none(autojump_clock: trio.testing.MockClock) -> None:
    """Nobody is told of it, and whoever was logged in still is, as the next start would find."""
    async with open_world(store=ReadOnly(parse_record(b'{"OPENAI_API_KEY": "sk"}'))) as world:
        answered: list[None] = []
        with pytest.raises(StorageError, match="Read-only file system"):
            await world.account.log_out(announce=lambda: answered.append(None))
        assert answered == []
        assert world.heard == []
        assert world.audited == []
        assert world.reader.auth_status(include_token=True).auth_token == "sk"


async def test_what_a_logout_revokes_is_the_newest_token(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the disk has not taken it: the stored one is spent, and may be nothing to the issuer."""
    revoked: list[Secret] = []

    async def revoke(_: Issuer, token: Secret) -> None:
        await trio.lowlevel.checkpoint()
        revoked.append(token)

    async with open_unsaved() as (world, _):
        newest = login_of(world).tokens.refresh_token
        monkeypatch.setattr(type(world.services.issuer), "revoke", revoke)
        await world.account.log_out(announce=lambda: None)
    assert revoked == [newest]


async def test_a_clients_own_tokens_are_not_ours_to_revoke(autojump_clock: trio.testing.MockClock) -> None:
    """A logout forgets them, and asks nothing of the issuer: the client may go on with them elsewhere."""
    async with open_world() as world:
        await supply_tokens(world)
        await world.account.log_out(announce=lambda: None)
        assert not world.credential.is_external
        assert REVOKE not in [request.path for request in world.sandbox.requests]


async def test_a_look_at_the_store_does_not_undo_a_refresh(autojump_clock: trio.testing.MockClock) -> None:
    """What was read before the refresh is spent, and is not taken for another program's."""
    store = SlowToRead()
    async with open_logged_in(store=store) as world:
        async with trio.open_nursery() as nursery:
            store.slow = True
            nursery.start_soon(world.account.store_watch.reload)
            await trio.sleep(0.5)
            store.slow = False
            await world.refresher.refresh("forced")
        assert login_of(world) == stored_login(world)


async def test_a_login_that_another_program_has_ended_is_not_refreshed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Nothing is spent for it, nothing written, and nobody is logged in here either, nor has had a refresh."""
    async with open_logged_in() as world:
        assert isinstance(world.store, MemoryStore)
        world.store.record = None
        with pytest.raises(RefreshRefused, match="you have since logged out"):
            await world.refresher.refresh("forced")
        assert refreshes(world) == 0
        assert world.store.record is None
        assert world.credential.current is None
        assert world.credential.last_refresh is None


async def test_nobody_sees_a_token_that_is_not_stored_yet(autojump_clock: trio.testing.MockClock) -> None:
    """While the disk takes its time, the old one is given out."""
    store = SlowToWrite()
    async with open_logged_in(store=store) as world:
        before = login_of(world)
        async with trio.open_nursery() as nursery:

            async def refresh() -> None:
                await world.refresher.refresh("forced")

            nursery.start_soon(refresh)
            await trio.sleep(0.5)
            assert refreshes(world) == 1
            assert login_of(world) is before
        assert login_of(world) == stored_login(world)


async def test_what_the_disk_would_not_take_is_stored_when_the_daemon_ends(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Nobody would have these tokens any more: it is tried once more, before it would be time to."""
    async with open_unsaved() as (world, store):
        kept = login_of(world)
        store.full = False
        assert stored_login(world) != kept
    assert stored_login(world) == kept
