"""What becomes of the logins that another program keeps: the rules, each with the file that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accountd.accounts.importing import import_logins
from accountd.config.policy import Policy
from accountd.storage.document import render_record
from fakes.household import ADA, CAROL, GRACE, add, find_records, log_in_at_the_issuer, open_files, states
from fakes.records import refresh
from fakes.world import open_world

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.protocol.accounts import ImportedAccount
    from fakes.world import World


async def take(
    world: World, path: Path, person: Path | None = None, *, dry_run: bool = False, move: bool = False
) -> list[ImportedAccount]:
    """Import what is there."""
    own = path.parents[-1] / "nonexistent"
    return await import_logins(world.services.accounts, path, own, person, dry_run=dry_run, move=move)


async def test_what_is_copied_is_in_doubt_and_what_is_moved_is_not(tmp_path: Path) -> None:
    """A dry run does nothing; the source goes after the commit alone; and no issuer is asked."""
    async with open_world() as world:
        await add(world, ADA)
        path = tmp_path / "auth.json"
        path.write_bytes(render_record(log_in_at_the_issuer(world, GRACE)))
        world.sandbox._state.requests.clear()
        assert [each.outcome for each in await take(world, path, dry_run=True)] == ["added"]
        assert states(world) == {"ada": "active"}
        assert [each.outcome for each in await take(world, path)] == ["added"]
        assert (states(world), path.exists()) == ({"ada": "active", "grace": "doubtful"}, True)
        assert [each.outcome for each in await take(world, path)] == ["known"]
        path.write_bytes(render_record(log_in_at_the_issuer(world, CAROL)))
        await take(world, path)
        await take(world, path, move=True)
        assert (states(world)["carol"], path.exists()) == ("stored", False)
        assert not world.sandbox._state.requests


@pytest.mark.parametrize(("seconds", "outcome"), [(10**9, "replaced"), (-(10**9), "older")])
async def test_of_an_account_that_is_here_the_newer_login_is_kept(
    seconds: int, outcome: str, tmp_path: Path
) -> None:
    """By the time of the last refresh; one that is older is left where it is, even if it was to be moved."""
    async with open_world() as world:
        await add(world, GRACE)
        await add(world, ADA)
        path = tmp_path / "grace.json"
        path.write_bytes(render_record(refresh(log_in_at_the_issuer(world, GRACE), seconds)))
        [found] = await take(world, path, move=True)
        assert found.outcome == outcome
        assert path.exists() is (outcome == "older")
        record = (await find_records(world))["grace"]
        assert record.chatgpt is not None
        assert (record.chatgpt.tokens.refresh_token.reveal() == f"rt-{seconds}") is (outcome == "replaced")


async def test_policy_is_asked_and_accountds_own_is_left_alone(tmp_path: Path) -> None:
    """And it is told which other switcher holds the same login."""
    store, vault = open_files(tmp_path)
    policy = Policy(workspaces=(ADA.account_id,))
    async with open_world(store=store, vault=vault, home=tmp_path, policy=policy) as world:
        await add(world, ADA)
        accounts, other = world.services.accounts, tmp_path / "person" / ".codex-switch"
        [own] = await import_logins(accounts, tmp_path / "auth.json", tmp_path, None, dry_run=False, move=True)
        assert (own.outcome, (tmp_path / "auth.json").exists()) == ("own", True)
        other.mkdir(parents=True)
        path = tmp_path / "grace.json"
        path.write_bytes(render_record(log_in_at_the_issuer(world, GRACE)))
        (other / "grace.json").write_bytes(path.read_bytes())
        [found] = await take(world, path, tmp_path / "person", move=True)
        assert (found.outcome, found.also_in, path.exists()) == ("refused", ("codex-switch",), True)
        assert "restricted to workspace" in (found.why or "")
