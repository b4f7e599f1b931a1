"""The vault as `accountd doctor` looks at it: each way in which it can be wrong, with what mends it."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from accountd.doctor.vault import check_vault
from fakes.household import ADA, GRACE, add, open_files
from fakes.surroundings import surroundings
from fakes.world import open_world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def copy(home: Path, record: Path) -> None:
    """Have the active login in the vault as well, as after a crash."""
    record.write_bytes((home / "auth.json").read_bytes())


def forget(home: Path, record: Path) -> None:
    """Lose the list."""
    (home / "accountd" / "accounts.json").unlink()


def hold(home: Path, record: Path) -> None:
    """Have a lock, for good."""
    fcntl.flock(os.open(record.with_suffix(".json.lock"), os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX)


CASES: list[tuple[str, Callable[[Path, Path], object], str, str]] = [
    ("well", lambda home, record: None, "ok", "2 accounts"),
    ("open to others", lambda home, record: record.chmod(0o644), "fail", "others may use"),
    ("another user's", lambda home, record: os.chown(record, 12345, -1), "fail", "another user's"),
    (
        "no list",
        lambda home, record: (home / "accountd" / "accounts.json").write_text("{"),
        "fail",
        "cannot be read",
    ),
    ("no record", lambda home, record: record.unlink(), "warn", "nothing is stored of account"),
    ("no entry", forget, "warn", "not in the list"),
    ("twice", copy, "warn", "twice on the disk"),
    ("held", hold, "warn", "is held by"),
]


@pytest.mark.parametrize(
    ("harm", "verdict", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
async def test_what_is_wrong_with_the_vault(
    harm: Callable[[Path, Path], object], verdict: str, words: str, tmp_path: Path
) -> None:
    """It is told with a remedy, and no token."""
    home = tmp_path / "codex"
    home.mkdir(mode=0o700)
    store, vault = open_files(home)
    assert (await check_vault(surroundings(home))).verdict == "ok"
    async with open_world(store=store, vault=vault, home=home) as world:
        await add(world, GRACE)
        await add(world, ADA)
    [record] = (home / "accountd" / "accounts").glob("*.json")
    if harm is CASES[2][1] and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    harm(home, record)
    found = await check_vault(surroundings(home))
    assert (found.verdict, words in found.summary) == (verdict, True), found
    assert (found.remedy is None) is (verdict == "ok")
    assert "rt_" not in repr(found)
