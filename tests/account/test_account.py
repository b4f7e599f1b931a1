"""The account: what it hides, follows and takes over, and what a logout leaves."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.config.policy import Policy
from accountd.errors import CredentialsLocked, MalformedRecord, StorageError
from accountd.protocol.account import (
    GetAccountResponse,
    GetAuthStatusResponse,
)
from accountd.sandbox import Fault, Script
from accountd.storage.base import AuthRecord
from accountd.storage.document import parse_record
from accountd.storage.file import FileStore
from accountd.storage.memory import MemoryStore
from fakes.logged_in import (
    APPROVED,
    TOKEN,
    FullDisk,
    log_in,
    login_of,
    open_logged_in,
    open_unsaved,
    supply_tokens,
)
from fakes.world import open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from accountd.account.account import Account

REVOKE = "/oauth/revoke"


@pytest.mark.parametrize(
    ("document", "policy"),
    [
        (b'{"OPENAI_API_KEY": "sk"}', Policy("chatgpt")),
        (b'{"personal_access_token": "at-1"}', Policy()),
    ],
    ids=["forbidden", "of another kind"],
)
async def test_a_credential_that_cannot_be_used_is_hidden_and_kept(document: bytes, policy: Policy) -> None:
    """What the policy forbids, or this daemon does not know, reads as logged out, and stays in the store."""
    store = MemoryStore(parse_record(document))
    async with open_world(store=store, policy=policy) as world:
        assert world.reader.known() == GetAccountResponse(account=None)
        assert world.reader.auth_status(include_token=True) == GetAuthStatusResponse()
    assert store.record is not None


async def test_a_login_for_a_workspace_that_is_not_allowed_is_hidden_and_kept(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """As in the peer, a stored login is held to the workspaces that are allowed now; nothing of it is spent."""
    async with open_world(APPROVED) as world:
        await log_in(world)
        assert isinstance(world.store, MemoryStore)
        store = world.store
    async with open_world(store=store, policy=Policy(workspaces=("acct-other",))) as world:
        assert world.reader.known() == GetAccountResponse(account=None)
        assert world.reader.auth_status(include_token=True) == GetAuthStatusResponse()
        await world.refresher.refresh_if_due(forced=True)
        assert world.sandbox.requests == []
    assert store.record is not None
    async with open_world(store=store, policy=Policy(workspaces=("account-sandbox",))) as world:
        assert world.reader.auth_status(include_token=False).auth_method == "chatgpt"


class UnreadableStore(MemoryStore):
    """A store that cannot be read."""

    def __init__(self, error: StorageError) -> None:
        super().__init__()
        self.error = error

    async def load(self) -> AuthRecord | None:
        """See MemoryStore."""
        raise self.error


@pytest.mark.parametrize(
    "error", [MalformedRecord("not a credential"), StorageError("Permission denied (os error 13)")]
)
async def test_a_store_that_cannot_be_read_is_a_warning(
    error: StorageError, caplog: pytest.LogCaptureFixture
) -> None:
    """The daemon starts, nobody is logged in, and the log says why."""
    async with open_world(store=UnreadableStore(error)) as world:
        assert world.reader.known() == GetAccountResponse(account=None)
    assert str(error) in caplog.text


async def test_a_logout_revokes_deletes_answers_and_tells(autojump_clock: trio.testing.MockClock) -> None:
    """The grant is ended at the issuer, the store is empty, the reply comes before the update."""
    async with open_world(APPROVED) as world:
        await log_in(world)
        world.heard.clear()
        await world.account.log_out(announce=lambda: world.heard.append({"reply": {}}))
        assert world.heard == [
            {"reply": {}},
            {"method": "account/updated", "authMode": None, "planType": None},
        ]
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is None
        assert world.reader.known() == GetAccountResponse(account=None)
        assert world.sandbox.requests[-1].path == REVOKE
        assert world.sandbox.requests[-1].status == 200


@pytest.mark.parametrize("script", [Script(faults=(Fault(REVOKE, 1, 500),)), Script(delay=3600)])
async def test_an_issuer_in_trouble_does_not_stop_a_logout(
    autojump_clock: trio.testing.MockClock, script: Script
) -> None:
    """The revocation is tried for ten seconds at most; then the credential is deleted without it."""
    async with open_world(APPROVED) as world:
        await log_in(world)
        world.sandbox.script = script
        asked = trio.current_time()
        await world.account.log_out(announce=lambda: None)
        assert trio.current_time() - asked <= 10
        assert world.credential.current is None


async def test_a_logout_once_begun_ends_logged_out(autojump_clock: trio.testing.MockClock) -> None:
    """A client that leaves during the revocation cuts it short; the credential is deleted all the same."""
    async with open_world(APPROVED) as world:
        await log_in(world)
        world.sandbox.script = Script(delay=5)
        with trio.move_on_after(1):
            await world.account.log_out(announce=lambda: None)
        assert isinstance(world.store, MemoryStore)
        assert world.store.record is None
        assert world.heard[-1] == {"method": "account/updated", "authMode": None, "planType": None}


class KeptStore(MemoryStore):
    """A store whose locks cannot be had, once `error` is set."""

    error: StorageError | None = None

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """See AuthStore.locked."""
        if self.error is not None:
            raise self.error
        yield


async def test_a_logout_does_without_locks_that_another_program_keeps(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A person can always log out: the issuer is told, the credential is gone, and the log names the program."""
    store = KeptStore()
    async with open_logged_in(store=store) as world:
        store.error = CredentialsLocked("another program has held the credential lock for 30 s: codex (pid 4711)")
        await world.account.log_out(announce=lambda: None)
        assert world.credential.current is None is store.record
        assert REVOKE in [request.path for request in world.sandbox.requests]
    assert "codex (pid 4711)" in caplog.text


async def test_a_logout_where_there_can_be_no_locks_revokes_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Where nothing could be deleted either, it fails before the issuer hears of it; the account is as it was."""
    store = KeptStore()
    async with open_logged_in(store=store) as world:
        before = world.credential.current
        store.error = StorageError("Read-only file system")
        with pytest.raises(StorageError):
            await world.account.log_out(announce=lambda: None)
        assert world.credential.current is before is store.record
        assert world.heard == []
        assert REVOKE not in [request.path for request in world.sandbox.requests]


async def test_a_logout_revokes_what_is_stored_now(autojump_clock: trio.testing.MockClock) -> None:
    """A credential that another program has stored since is the one that is revoked and deleted."""
    async with open_world(APPROVED) as world:
        await log_in(world)
        assert isinstance(world.store, MemoryStore)
        world.store.record = parse_record(b'{"OPENAI_API_KEY": "sk-somebody-else"}')
        await world.account.log_out(announce=lambda: None)
        assert REVOKE not in [request.path for request in world.sandbox.requests]
        assert await world.store.load() is None


async def test_a_key_beside_tokens_is_not_revoked(autojump_clock: trio.testing.MockClock) -> None:
    """Logging out of an API key asks nothing of the issuer."""
    async with open_world(store=MemoryStore(parse_record(b'{"OPENAI_API_KEY": "sk"}'))) as world:
        await world.account.log_out(announce=lambda: None)
        assert world.sandbox.requests == []


async def test_another_programs_changes_are_told(autojump_clock: trio.testing.MockClock) -> None:
    """A login, a logout and a login of another kind by somebody else reach our clients; the same does not."""
    async with open_logged_in() as world:
        assert isinstance(world.store, MemoryStore)
        record = world.store.record
        await world.account.store_watch.reload()
        assert world.heard == []
        for stored, mode in (
            (None, None),
            (record, "chatgpt"),
            (parse_record(b'{"OPENAI_API_KEY":"k"}'), "apikey"),
        ):
            world.store.record = stored
            await world.account.store_watch.reload()
            assert world.heard[-1]["authMode"] == mode
        assert len(world.heard) == 3


async def test_forgetting_asks_nothing_of_the_issuer(autojump_clock: trio.testing.MockClock) -> None:
    """The login ends here alone; its grant stays good for whoever else has it."""
    async with open_logged_in() as world:
        tokens = login_of(world).tokens
        await world.account.log_out(announce=lambda: None, revoke=False)
        assert world.credential.current is None
        assert world.sandbox.requests[-1].path == TOKEN
        assert await world.services.issuer.refresh(tokens.refresh_token, "forced")


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
        await world.account.store_watch.reload()
        assert login_of(world) is before
        fail_with(MalformedRecord("torn"))
        await world.account.store_watch.reload()
        assert world.credential.current is None


async def test_what_is_in_memory_alone_would_end_with_the_daemon(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    """A daemon that ends when it is idle asks for this: nobody logged in, and a file, are there the next time."""
    seen: list[bool] = []
    async with open_world(APPROVED) as world:
        seen.append(world.account.outlasts_the_daemon)
        await log_in(world)
        seen.append(world.account.outlasts_the_daemon)  # it is a store in memory
    async with open_world(APPROVED, store=FileStore(tmp_path)) as world:
        await log_in(world)
        seen.append(world.account.outlasts_the_daemon)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FileStore, "save", FullDisk.refuse)
            await world.refresher.refresh("forced")
            seen.append(world.account.outlasts_the_daemon)
            await supply_tokens(world)
            seen.append(world.account.outlasts_the_daemon)
    assert seen == [True, False, True, False, False]


class Guarded(FullDisk):
    """A store that notes what is done to it, and whether its lock was held then."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, bool]] = []

    async def save(self, record: AuthRecord) -> None:
        """See MemoryStore."""
        self.seen.append(("save", self._lock.locked()))
        await super().save(record)

    async def delete(self) -> None:
        """See MemoryStore."""
        self.seen.append(("delete", self._lock.locked()))
        await super().delete()


async def test_nothing_is_written_without_the_lock(autojump_clock: trio.testing.MockClock) -> None:
    """A login, a refresh, one that the disk took only later, and a logout all keep other programs out meanwhile."""
    store = Guarded()
    async with open_logged_in(store=store) as world:
        await world.refresher.refresh("forced")
        store.full = True
        await world.refresher.refresh("forced")
        store.full = False
        await world.refresher.save_again()
        await world.account.log_out(announce=lambda: None)
    assert store.seen == [(name, True) for name in ("save", "save", "save", "save", "delete")]


@pytest.mark.parametrize(
    "change",
    [
        lambda account: account.follow_policy(),
        lambda account: account.log_out(lambda: None),
        lambda account: account.store_watch.reload(),
        lambda account: account.refresher.save_again(),
    ],
    ids=["policy", "logout", "reload", "save"],
)
async def test_one_change_waits_for_another(
    change: Callable[[Account], Awaitable[None]], autojump_clock: trio.testing.MockClock
) -> None:
    """However long that takes: nothing is read, stored or told meanwhile."""
    async with open_unsaved() as (world, store), trio.open_nursery() as nursery:
        store.full = False
        store.record = parse_record(b'{"OPENAI_API_KEY": "sk-theirs"}')
        async with world.account._changing:
            known = world.account.credential.record
            nursery.start_soon(change, world.account)
            await trio.testing.wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 1
            assert (world.account.credential.record, store.record is None) == (known, False)
