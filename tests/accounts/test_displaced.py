"""What other programs do to auth.json and the vault: found out with all locks held, before anything goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.account.external import ExternalTokens
from accountd.accounts.displaced import A_REQUEST
from accountd.audit.log import AuditLog
from accountd.config.policy import Policy, PolicyHolder
from accountd.errors import InvalidRequest, RequestFailed, StorageError
from accountd.sandbox import Script
from accountd.storage.base import external_record
from accountd.storage.memory import MemoryStore
from accountd.storage.vault import MemoryVault
from fakes.household import (
    ADA,
    CAROL,
    GRACE,
    add,
    check_household,
    find_records,
    log_in_at_the_issuer,
    open_files,
    states,
)
from fakes.world import open_world, stored

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.world import World


def store_elsewhere(world: World, record: object) -> None:
    """Have something in auth.json, as another program does."""
    assert isinstance(world.store, MemoryStore)
    world.store.record = record  # type: ignore[assignment]  # a record, or None


@pytest.mark.parametrize("seconds", [0.0, A_REQUEST])
async def test_what_is_removed_soon_after_a_switch_is_not_what_was_revoked(seconds: float) -> None:
    """`codex login` revokes what it has read, and removes what is there: a switch may have come in between."""
    async with open_world() as world:
        grace, _ = await add(world, GRACE), await add(world, ADA)
        await world.services.accounts.switch(grace, lambda: None)
        world.clock.jump(seconds)
        store_elsewhere(world, None)
        await world.account.store_watch.reload()
        await trio.testing.wait_all_tasks_blocked()
        assert states(world) == {"grace": "signedOut" if seconds else "doubtful", "ada": "stored"}
        assert world.services.accounts.active_id is None


async def test_who_another_daemon_has_brought_back_is_not_removed() -> None:
    """Two moves of another daemon are seen as two displacements, and by then the vault is as it was before them."""
    async with open_world() as world:
        await add(world, GRACE)
        await add(world, ADA)
        records = await find_records(world)
        async with world.services.accounts.moving:
            for name in ("grace", "ada"):
                store_elsewhere(world, records[name])
                await world.account.store_watch.reload()
        await trio.testing.wait_all_tasks_blocked()
        assert states(world) == {"grace": "stored", "ada": "active"}
        await check_household(world, "ada", "grace")


async def test_a_switch_to_who_has_logged_in_elsewhere_uses_that_login() -> None:
    """It is the newer one, and the one in the vault may not even be good any more."""
    async with open_world() as world:
        grace, _ = await add(world, GRACE), await add(world, ADA)
        again = log_in_at_the_issuer(world, GRACE)
        store_elsewhere(world, again)
        await world.services.accounts.switch(grace, lambda: None)
        await trio.testing.wait_all_tasks_blocked()
        assert stored(world.store) == again
        assert states(world) == {"grace": "active", "ada": "doubtful"}


@pytest.mark.parametrize("who", [None, CAROL])
async def test_a_change_under_a_clients_own_tokens_is_taken_note_of(who: object) -> None:
    """Nobody sees it before the client logs out; but who was displaced is in the vault."""
    async with open_world() as world:
        await add(world, GRACE)
        record = log_in_at_the_issuer(world, ADA)
        assert record.chatgpt is not None
        external = external_record(record.chatgpt.tokens.access_token, "account-x", None)

        async def ask(_: object) -> None: ...

        client = ExternalTokens(external, ask, PolicyHolder(Policy()), AuditLog())  # type: ignore[arg-type]  # never asked
        await world.account.use_external(client, lambda: None)
        world.clock.jump(A_REQUEST)
        store_elsewhere(world, log_in_at_the_issuer(world, CAROL) if who else None)
        await world.account.store_watch.reload()
        await trio.testing.wait_all_tasks_blocked()
        assert world.credential.is_external
        assert states(world) == ({"grace": "doubtful", "carol": "active"} if who else {})


async def test_what_is_displaced_right_before_the_end_is_kept() -> None:
    """The memory of this daemon is the only place that has it."""
    async with open_world() as world:
        await add(world, ADA)
        record = log_in_at_the_issuer(world, GRACE)
        async with world.services.accounts.moving:
            store_elsewhere(world, record)
            await world.account.store_watch.reload()
    assert sorted(await find_records(world)) == ["ada", "grace"]


async def test_the_list_is_read_again_and_accounts_with_it() -> None:
    """Those that another daemon has removed are closed, and what it has refreshed is known."""
    async with open_world() as one:
        grace, _ = await add(one, GRACE), await add(one, ADA)
        carol = await add(one, CAROL)
        assert isinstance(one.vault, MemoryVault)
        async with open_world(after=one) as other:
            await other.services.accounts.remove(grace, lambda: None, revoke=False)
            await other.services.accounts.reread()
            await one.services.accounts.reread()
        assert states(one) == {"ada": "stored", "carol": "active"}
        await one.services.accounts.log_out(one.account, lambda: None)
        await one.services.accounts.reread()
        assert states(one) == {"ada": "stored"}, "the last one of the list is not implied by an empty auth.json"
        del carol


async def test_a_list_that_the_disk_will_not_give_now_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only one that nobody could read is put aside: names and folders are worth something."""
    store, vault = open_files(tmp_path)
    async with open_world(store=store, vault=vault, home=tmp_path) as world:
        await add(world, GRACE)
        await add(world, ADA)

    async def refuse() -> bytes:
        await trio.lowlevel.checkpoint()
        raise StorageError("Input/output error")

    store, vault = open_files(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(vault, "read_list", refuse)
        async with open_world(after=world, store=store, vault=vault, home=tmp_path) as later:
            assert states(later) == {"ada": "active"}
    assert (tmp_path / "accountd" / "accounts.json").exists()


async def test_a_login_that_the_vault_could_not_keep_apart_is_not_begun(tmp_path: Path) -> None:
    """Before anybody approves anything; but whoever has no vault yet needs none to be asked."""
    store, vault = open_files(tmp_path)
    async with open_world(Script(), store=store, vault=vault, home=tmp_path) as world:
        await add(world, ADA)
        await world.start_device_login()
        assert not (tmp_path / "accountd").exists()
        await add(world, GRACE)
        records = tmp_path / "accountd" / "accounts"
        for path in records.iterdir():
            path.unlink()
        records.rmdir()
        records.write_text("in the way")
        with pytest.raises(RequestFailed, match="accountd/accounts"):
            await world.start_device_login()


async def test_what_cannot_be_kept_is_not_switched_away(tmp_path: Path) -> None:
    """A credential of another kind has no account, and so no place in the vault."""
    store, vault = open_files(tmp_path)
    async with open_world(store=store, vault=vault, home=tmp_path) as world:
        grace, _ = await add(world, GRACE), await add(world, ADA)
        (tmp_path / "auth.json").write_text(pat := '{"personal_access_token": "at-other"}')
        with pytest.raises(InvalidRequest, match="of a kind that accountd cannot keep"):
            await world.services.accounts.switch(grace, lambda: None)
        assert (tmp_path / "auth.json").read_text() == pat
