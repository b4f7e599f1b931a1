"""The credential where something is mounted, or the disk is read-only, full or immutable: each made for real."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.mounts import needs_mounts, run_in

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [needs_mounts, pytest.mark.process]

STORED = '{"auth_mode":"apikey","OPENAI_API_KEY":"sk-stored"}'
ON_MOUNTS = str(Path(__file__).with_name("on_mounts.py"))


@pytest.fixture
def home() -> Iterator[Path]:
    """Give a home with a login, which every user can get at."""
    home = Path(tempfile.mkdtemp(prefix="accountd-"))
    (home / "auth.json").write_text(STORED)
    (home / "auth.json").chmod(0o600)
    yield home
    shutil.rmtree(home)


def told(home: Path, mounts: str, *works: str) -> list[str]:
    """Do things with the store of a home in mounts, and give what came of each; last, what the log says."""
    done = run_in(f"home={home}; {mounts}", [sys.executable, ON_MOUNTS, str(home), *works])
    return [*done.stdout.splitlines(), done.stderr]


def test_a_document_that_is_mounted_is_written_in_place(home: Path, tmp_path: Path) -> None:
    """A login, a refresh and a logout work, which fail in Codex (`Resource busy`); it is warned of once."""
    real = tmp_path / "real.json"
    real.write_text(STORED.replace("stored", "a-key-that-is-longer-than-the-others-are"))
    mount = f"mount --bind {real} $home/auth.json"
    *done, log = told(home, mount, "load", "rehearse", "sk-new", "load", "sk-newer", "load")
    assert done == ["sk-a-key-that-is-longer-than-the-others-are", "done", "done", "sk-new", "done", "sk-newer"]
    assert log.count("is mounted by itself, and so written in place; mount its folder instead") == 1
    assert '"sk-newer"' in real.read_text()
    assert told(home, mount, "delete", "load", "rehearse", "delete")[:-1] == ["done", "nothing", "done", "done"]
    assert real.read_text() == "null\n"
    assert {path.name for path in home.iterdir()} == {"auth.json", "auth.json.lock", "auth.lock"}


def test_a_crash_while_it_is_written_in_place_loses_nothing(home: Path, tmp_path: Path) -> None:
    """What was to be there is beside it, and the next start writes it again."""
    real = tmp_path / "real.json"
    real.write_text(STORED)
    mount = f"mount --bind {real} $home/auth.json"
    told(home, mount, "sk-crash")
    *done, log = told(home, mount, "load", "recover", "load")
    assert "not a credential" in done[0]
    assert done[1:] == ["done", "sk-crash"]
    assert "a crash had cut short the writing of" in log
    assert {path.name for path in home.iterdir()} == {"auth.json", "auth.json.lock", "auth.lock"}


@pytest.mark.parametrize("torn", ["{torn", "\xff"])
def test_one_that_is_mounted_and_cannot_be_read_is_copied_aside(torn: str, home: Path, tmp_path: Path) -> None:
    """It cannot have a second name."""
    real = tmp_path / "real.json"
    real.write_bytes(torn.encode("latin-1"))
    assert told(home, f"mount --bind {real} $home/auth.json", "sk-new", "load")[:-1] == ["done", "sk-new"]
    (aside,) = home.glob("auth.json.corrupt-*")
    assert aside.read_bytes() == torn.encode("latin-1")


def test_a_mounted_document_in_a_home_that_is_read_only(home: Path, tmp_path: Path) -> None:
    """As a container may have it: nothing can be made beside it, and it can be written."""
    real = tmp_path / "real.json"
    real.write_text(STORED)
    mounts = f"mount --bind $home $home; mount --bind {real} $home/auth.json; mount -o remount,ro,bind $home"
    *done, log = told(home, mounts, "load", "rehearse", "sk-new", "load", "delete", "load")
    assert done == ["sk-stored", "done", "done", "sk-new", "done", "nothing"]
    assert "auth.lock cannot be made" in log


def test_a_home_that_is_read_only_can_be_read(home: Path) -> None:
    """Codex fails as well to log in and out. What is stored is used; a login fails before anybody approves it."""
    mounts = "mount --bind $home $home; mount -o remount,ro,bind $home"
    loaded, rehearsed, deleted, log = told(home, mounts, "load", "rehearse", "delete")
    assert loaded == "sk-stored"
    assert f"{home}/auth.json cannot be written: Read-only file system (os error 30); set CODEX_HOME" in rehearsed
    assert f"{home}/auth.json cannot be removed: Read-only file system" in deleted
    assert "auth.lock cannot be made" in log
    assert [path.name for path in home.iterdir()] == ["auth.json"]


def test_a_disk_that_is_full_fails_the_rehearsal(home: Path) -> None:
    """And leaves nothing behind."""
    mounts = "mount -t tmpfs -o size=32k none $home; head -c 24k /dev/zero > $home/zeros"
    failed, log = told(home, mounts, "rehearse")
    assert f"{home}/auth.json cannot be written: No space left on device (os error 28); make room: `df" in failed
    *done, log = told(home, f"{mounts}; rm $home/zeros", "rehearse", "rehearse")
    assert (done, log) == (["done", "done"], "")


@pytest.fixture
def immutable(home: Path) -> Iterator[Path]:
    """Give a home whose document is immutable."""
    document = home / "auth.json"
    if subprocess.run(["chattr", "+i", document], capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be immutable here")
    yield home
    subprocess.run(["chattr", "-R", "-i", home], check=True)


def test_what_is_immutable_fails_the_rehearsal(immutable: Path) -> None:
    """The remedy that the error names makes it go away."""
    failed, _log = told(immutable, ":", "rehearse")
    assert f"{immutable}/auth.json cannot be written: Operation not permitted (os error 1)" in failed
    remedy = re.search(r"`sudo (.*)`", failed)
    assert remedy is not None
    subprocess.run(["sh", "-c", remedy[1]], check=True)
    assert told(immutable, ":", "rehearse")[0] == "done"


def run_as_user(home: Path, *works: str) -> subprocess.CompletedProcess[str]:
    """Do things with the store of a home as an ordinary user."""
    command = [sys.executable, ON_MOUNTS, str(home), *works]
    environ = {**os.environ, "AS_USER": "1234"}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("owner", ["other", "own"])
def test_a_document_that_may_not_be_read_is_put_aside_by_a_login(owner: str, home: Path) -> None:
    """In a folder of one's own: Codex replaces it as well."""
    os.chown(home, 1234, 1234)
    os.chown(home / "auth.json", *((0, 0) if owner == "other" else (1234, 1234)))
    (home / "auth.json").chmod(0o600 if owner == "other" else 0)
    done = run_as_user(home, "load", "rehearse", "sk-new", "load")
    loaded, *others = done.stdout.splitlines()
    assert f"{home}/auth.json cannot be read: Permission denied (os error 13)" in loaded
    assert others == ["done", "done", "sk-new"], done.stderr
    (aside,) = home.glob("auth.json.corrupt-*")
    assert aside.read_text() == STORED
    assert f"it is kept as {aside.name}" in done.stderr


@pytest.mark.parametrize("name", ["auth.json.lock", "auth.lock"])
@pytest.mark.parametrize("owner", [0, 65534])
def test_a_lock_file_of_another_user_is_replaced(owner: int, name: str, home: Path) -> None:
    """As `sudo codex` leaves one. But not while a program of root's has it locked: then the error names it."""
    os.chown(home, 1234, 1234)
    lock = home / name
    lock.touch(0o600)
    os.chown(lock, owner, owner)
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # by this test, which is root
        done = run_as_user(home, "sk-new")
        assert f"{lock} cannot be locked: Permission denied (os error 13)" in done.stdout
    done = run_as_user(home, "sk-new", "load")
    assert done.stdout.splitlines() == ["done", "sk-new"], done.stderr
    assert f"{lock} could not be opened, and nobody of yours has it locked; there is a new one" in done.stderr
