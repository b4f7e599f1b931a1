"""The socket and CODEX_HOME on the disk: each fault, with the one thing to do about it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import tempfile
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import pytest

from accountd.doctor.folders import PORTABLE_PATH, check_disk, check_home, check_socket, check_socket_path
from accountd.files import ownership
from accountd.system.unix_socket import MAX_PATH
from fakes.surroundings import surroundings

if TYPE_CHECKING:
    from pathlib import Path


class Usage(NamedTuple):
    """What shutil.disk_usage gives."""

    total: int
    used: int
    free: int


@pytest.mark.parametrize(
    ("size", "verdict"), [(103, "ok"), (104, "warn"), (MAX_PATH, "warn"), (MAX_PATH + 1, "fail")]
)
def test_a_socket_path_must_fit(home: Path, size: int, verdict: str) -> None:
    """103 bytes fit everywhere, a few more here; beyond that nothing can listen."""
    path = "/" + "x" * (size - 1)
    if MAX_PATH == PORTABLE_PATH and size == 104:
        verdict = "fail"
    assert check_socket_path(surroundings(home, socket=path)).verdict == verdict


def test_a_socket_path_that_leads_nowhere_is_a_failure(home: Path) -> None:
    """The variable is named."""
    found = check_socket_path(surroundings(home, environ={"ACCOUNTD_SOCKET": "~no-such-person/s"}))
    assert (found.verdict, found.summary.partition(" ")[0]) == ("fail", "ACCOUNTD_SOCKET")


def test_a_socket_of_our_own_is_fine(home: Path) -> None:
    """Mode 0600 in a folder that nobody else can write to; and so is no socket, and no folder yet."""
    assert check_socket(surroundings(home)).verdict == "ok"
    assert check_socket(surroundings(home, socket=str(home / "none" / "s"))).verdict == "ok"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "s"))
        (home / "s").chmod(0o600)
        found = check_socket(surroundings(home))
    assert (found.verdict, found.details["mode"]) == ("ok", "0600")


def test_a_socket_that_others_may_open_is_a_failure(home: Path) -> None:
    """Its modes are told, and the command that mends them does."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "s"))
        (home / "s").chmod(0o666)
        found = check_socket(surroundings(home))
        assert (found.verdict, found.remedy) == ("fail", f"`chmod 600 {home}/s`")
        assert os.system((found.remedy or "").strip("`")) == 0
        assert check_socket(surroundings(home)).verdict == "ok"


def test_a_folder_that_others_may_write_to_is_a_failure(home: Path) -> None:
    """Whoever can write there can put a socket of theirs in the place of ours."""
    home.chmod(0o777)
    found = check_socket(surroundings(home))
    assert (found.verdict, found.remedy) == ("fail", f"`chmod go-w {home}`")
    assert os.system((found.remedy or "").strip("`")) == 0
    assert check_socket(surroundings(home)).verdict == "ok"


def test_a_file_in_the_place_of_the_socket_is_a_failure(home: Path) -> None:
    """And so is one in the place of its folder."""
    (home / "s").touch()
    assert check_socket(surroundings(home)).remedy == f"remove it: `rm {home}/s`"
    assert check_socket(surroundings(home, socket=str(home / "s" / "t"))).remedy == f"remove it: `rm {home}/s`"


def test_what_belongs_to_somebody_else_is_a_failure(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home, a credential or a folder of another user is told with whose it is."""
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: _Person(f"user{uid}"))
    assert check_home(surroundings(home)).verdict == "ok"  # root's, and open to us, as where a uid is arbitrary
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = check_home(surroundings(home))
    assert found.verdict == "fail"
    assert found.remedy == f"`sudo chown -R user4000000 {home}`"


class _Person(NamedTuple):
    pw_name: str


@pytest.mark.parametrize(("mode", "verdict"), [(0o600, "ok"), (0o400, "ok"), (0o640, "fail"), (0o604, "fail")])
def test_a_credential_is_for_its_owner_alone(home: Path, mode: int, verdict: str) -> None:
    """Whoever else may read auth.json has the account; the command that is named mends it."""
    document = home / "auth.json"
    document.touch()
    document.chmod(mode)
    found = check_home(surroundings(home))
    assert found.verdict == verdict
    if verdict == "fail":
        assert os.system((found.remedy or "").strip("`")) == 0
        assert check_home(surroundings(home)).verdict == "ok"


def test_a_home_is_a_folder_that_others_cannot_write_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there yet is no fault."""
    assert check_home(surroundings(home / "new")).verdict == "ok"
    (home / "file").touch()
    assert check_home(surroundings(home / "file")).verdict == "fail"
    home.chmod(0o770)
    assert check_home(surroundings(home)).verdict == "ok"  # the group is the user's own
    monkeypatch.setattr(ownership, "_is_own_group", lambda _gid, _me: False)
    assert check_home(surroundings(home)).remedy == f"`chmod go-w {home}`"


@pytest.mark.parametrize(("free", "verdict"), [(1 << 30, "ok"), (50 << 20, "warn"), (1 << 10, "fail")])
def test_a_disk_needs_some_room(home: Path, monkeypatch: pytest.MonkeyPatch, free: int, verdict: str) -> None:
    """Little is told of, next to nothing is a failure; also for a home that is yet to be made."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, free))
    assert check_disk(surroundings(home)).verdict == verdict
    assert check_disk(surroundings(home / "new" / "er")).verdict == verdict
    assert [*home.iterdir()] == []


def test_a_disk_that_cannot_be_written_is_a_failure(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's word for it is told."""

    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    found = check_disk(surroundings(home))
    assert (found.verdict, "Read-only file system" in found.summary) == ("fail", True)


def test_a_folder_of_another_user_s_session_is_a_failure(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `su` leaves the variable; the check does not fall over."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(type(home), "is_dir", refuse)
        found = check_socket(surroundings(home))
    assert (found.verdict, "cannot be looked at: Permission denied" in found.summary) == ("fail", True)
    assert "XDG_RUNTIME_DIR" in (found.remedy or "")
