"""Which folder stands in for a CODEX_HOME in which nothing can be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from accountd.files.own_folder import OwnFolder, find_own_folder
from accountd.paths import folders_beside


def environ(home: Path, folder: Path) -> dict[str, str]:
    """Give an environment with folders for state and runtime files."""
    for name in ("state", "run"):
        (folder / name).mkdir(exist_ok=True)
    return {
        "CODEX_HOME": str(home),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
    }


def test_it_is_codex_home_and_nothing_is_made(tmp_path: Path) -> None:
    """Also one that is not there yet."""
    home = tmp_path / "new" / "home"
    assert find_own_folder(environ(home, tmp_path)) == OwnFolder(str(home))
    assert not home.parent.exists()


def not_a_folder(home: Path) -> None:
    """Be a file."""
    home.write_text("")


def log_not_a_folder(home: Path) -> None:
    """Have a file in the place of the folder of the log."""
    home.mkdir()
    (home / "log").write_text("")


def log_of_another(home: Path) -> None:
    """Have a folder of another user for the log."""
    (home / "log").mkdir(parents=True)
    os.chown(home / "log", 65534, 65534)


def file_of_another(home: Path) -> None:
    """Have a log of another user."""
    log_not_a_folder(home)
    (home / "log").unlink()
    (home / "log").mkdir()
    (home / "log" / "accountd.log").write_text("")
    os.chown(home / "log" / "accountd.log", 65534, 65534)


def test_what_no_command_mends_has_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a disk that is broken: there is always something to be said."""

    def fail(_: str) -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("accountd.files.own_folder.check_folder", fail)
    found = find_own_folder(environ(tmp_path / "home", tmp_path))
    assert found.fault is not None
    assert found.fault.remedy == "make it one that can be written, if you can"


@pytest.mark.parametrize("spoil", [not_a_folder, log_not_a_folder, log_of_another, file_of_another])
def test_another_one_stands_in_for_it(spoil: object, tmp_path: Path) -> None:
    """That of the state files, else of the runtime files; where none will do, CODEX_HOME, with the reason."""
    if os.geteuid() != 0 and spoil in (log_of_another, file_of_another):
        pytest.skip("only root can have a file belong to another user")
    home = tmp_path / "home"
    assert callable(spoil)
    spoil(home)
    variables = environ(home, tmp_path)
    state, runtime = folders_beside(variables)
    found = find_own_folder(variables)
    assert found.path == state
    assert found.fault is not None
    assert str(home) in found.fault.problem
    assert found.fault.closed == (spoil in (log_of_another, file_of_another))
    (tmp_path / "state").rmdir()
    (tmp_path / "state").write_text("")
    assert find_own_folder(variables).path == runtime
    (tmp_path / "run").rmdir()
    (tmp_path / "run").write_text("")
    assert find_own_folder(variables) == OwnFolder(str(home), found.fault)
