"""A refresh that stores its tokens, or a switch, killed before each system call: what the next start finds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from accountd.accounts.listing import render_accounts
from accountd.errors import MalformedRecord
from accountd.storage.document import parse_record, render_record
from accountd.storage.file import FileStore
from fakes.household import open_files
from fakes.records import log_in, refresh
from fakes.world import open_world

pytestmark = pytest.mark.process

STORED = log_in()
LATER = refresh(STORED)


def kill(*arguments: str) -> None:
    """Make the homes."""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-m", "faults.killed", *arguments], env=environ, check=True, timeout=500)


def has_whole(home: Path) -> bool:
    """Say whether the new tokens are on the disk, whatever the name of the file."""
    for path in [home / "auth.json", *home.glob(".auth.json.*.tmp")]:
        try:
            if parse_record(path.read_bytes()) == LATER:
                return True
        except MalformedRecord:
            continue
    return False


async def test_new_tokens_that_are_on_the_disk_are_the_login_after_a_kill(tmp_path: Path) -> None:
    """A spent token is all that there is where the new one had not been written whole, and only there."""
    (tmp_path / "stored").write_bytes(render_record(STORED))
    (tmp_path / "later").write_bytes(render_record(LATER))
    kill("save", *(str(tmp_path / name) for name in ("homes", "stored", "later")))
    unnamed = 0
    for home in (tmp_path / "homes").iterdir():
        survives, store = has_whole(home), FileStore(home)
        unnamed += survives and parse_record(store.path.read_bytes()) == STORED
        await store.recover()
        assert await store.load() == (LATER if survives else STORED), home.name
        assert {path.name for path in home.iterdir()} <= {"auth.json", "auth.json.lock", "auth.lock"}
    assert unnamed >= 2  # before the sync, and before the rename


@pytest.mark.parametrize("stride", [23, pytest.param(1, marks=[pytest.mark.whole, pytest.mark.timeout(600)])])
async def test_a_switch_has_happened_or_not_after_a_kill(stride: int, tmp_path: Path) -> None:
    """Both accounts are there, each token is in one file, and nothing else of them is anywhere."""
    kill("switch", str(tmp_path / "homes"), str(stride))
    active = []
    for home in sorted((tmp_path / "homes").iterdir(), key=lambda home: int(home.name)):
        store, vault = open_files(home)
        async with open_world(store=store, vault=vault, home=home) as world:
            record = world.credential.record
            assert record is not None, home.name
            active.append(record.chatgpt.account_id if record.chatgpt is not None else None)
            [other] = world.services.accounts.roster
            assert {active[-1], other.credential.login and other.credential.login.account_id} == {"comes", "leaves"}
            listed = render_accounts(world.services.accounts, world.services.policy.current, None).accounts
            assert sorted(each.state for each in listed) == ["active", "stored"], home.name
        with_tokens = [path.name for path in home.rglob("*") if path.is_file() and b"rt-0" in path.read_bytes()]
        assert len(with_tokens) == 2, home.name
    assert set(active) == {"comes", "leaves"}
    assert active.index("comes") == active.count("leaves")  # before the commit, and from then on
