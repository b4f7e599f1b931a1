"""A refresh that is killed while it stores its tokens, before each system call: what the next start makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from accountd.errors import MalformedRecord
from accountd.storage.base import parse_record, render_record
from accountd.storage.file import FileStore
from fakes.records import log_in, refresh

pytestmark = pytest.mark.process

STORED = log_in()
LATER = refresh(STORED)


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
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    paths = [str(tmp_path / name) for name in ("homes", "stored", "later")]
    command = [sys.executable, "-m", "faults.killed", *paths]
    subprocess.run(command, env=environ, check=True, timeout=50)  # noqa: ASYNC221 - nothing else is to happen
    unnamed = 0
    for home in (tmp_path / "homes").iterdir():
        survives, store = has_whole(home), FileStore(home)
        unnamed += survives and parse_record(store.path.read_bytes()) == STORED
        await store.recover()
        assert await store.load() == (LATER if survives else STORED), home.name
        assert {path.name for path in home.iterdir()} <= {"auth.json", "auth.json.lock", "auth.lock"}
    assert unnamed >= 2  # before the sync, and before the rename
