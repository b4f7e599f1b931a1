"""The way to a file: which folders and links on it are gone through, and what is opened at its end."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accountd.files.ownership import OPT_OUT, UnsafePath
from accountd.files.read import read_own_file
from accountd.files.replace import keep_aside, remove_file, replace_file
from accountd.files.walk import check_folder, find_entry, open_ours

if TYPE_CHECKING:
    from collections.abc import Callable

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users")
OTHERS = (65534, 12345)
"""Users that are not this one: one that every system knows, and one that none does."""


def give(path: Path, uid: int) -> None:
    """Have something belong to another user; a link itself."""
    os.chown(path, uid, uid, follow_symlinks=False)


def mode(path: Path) -> int:
    """Give the permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


USES: list[Callable[[Path], object]] = [
    read_own_file,
    remove_file,
    lambda path: replace_file(path, b"new"),
    lambda path: keep_aside(path, "aside"),
    lambda path: os.close(open_ours(path, os.O_RDWR | os.O_CREAT)),
    lambda path: check_folder(path.parent),
]


@pytest.mark.parametrize("use", USES, ids=["read", "remove", "replace", "keep aside", "open", "look at its folder"])
def test_nothing_is_done_where_others_may_write(use: Callable[[Path], object], tmp_path: Path) -> None:
    """The folder that they can write to is named, wherever on the way it is; what is there is left as it is."""
    home = tmp_path / "open" / "home"
    home.mkdir(parents=True)
    (home / "f").write_bytes(b"old")
    home.parent.chmod(0o777)
    with pytest.raises(UnsafePath, match=f"other users can write to {home.parent}: mode 0777; `chmod go-w "):
        use(home / "f")
    assert [(path.name, path.read_bytes()) for path in home.iterdir()] == [("f", b"old")]


def test_the_rule_can_be_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a container's volume is as it is."""
    monkeypatch.setenv(OPT_OUT, "1")
    tmp_path.chmod(0o777)
    replace_file(tmp_path / "f", b"new")
    (tmp_path / "f").chmod(0o666)
    os.close(open_ours(tmp_path / "f", os.O_RDONLY, private=True))
    assert (read_own_file(tmp_path / "f"), mode(tmp_path / "f")) == (b"new", 0o666)


def test_a_file_that_others_may_write_to_is_not_read(tmp_path: Path) -> None:
    """One that they may only read is."""
    path = tmp_path / "f"
    path.write_bytes(b"x")
    path.chmod(0o644)
    assert read_own_file(path) == b"x"
    path.chmod(0o646)
    with pytest.raises(UnsafePath, match=f"other users can write to {path}: mode 0646"):
        read_own_file(path)


@needs_root
@pytest.mark.parametrize("uid", OTHERS)
@pytest.mark.parametrize("what", ["file", "folder", "link", "link on the way", "home of a link"])
def test_what_is_somebody_else_s_is_not_used(what: str, uid: int, tmp_path: Path) -> None:
    """Neither a file of theirs, nor what they have put a link to, though it be our own; in a sticky folder, too."""
    shared, ours = tmp_path / "shared", tmp_path / "ours"
    shared.mkdir()
    shared.chmod(0o1777)
    ours.mkdir()
    (ours / "f").write_bytes(b"precious")
    path = shared / "f"
    match what:
        case "file":
            path.write_bytes(b"theirs")
            give(path, uid)
        case "folder":
            (shared / "d").mkdir()
            give(shared / "d", uid)
            path = shared / "d" / "f"
            path.write_bytes(b"ours")
        case "link":
            path.symlink_to(ours / "f")
            give(path, uid)
        case "link on the way":
            (shared / "d").symlink_to(ours)
            give(shared / "d", uid)
            path = shared / "d" / "f"
        case _:
            (shared / "d").mkdir()
            (shared / "d" / "f").symlink_to(ours / "f")
            give(shared / "d", uid)
            path = ours / "g"
            path.symlink_to(shared / "d" / "f")
    with pytest.raises(UnsafePath, match=rf"belongs to .*uid {uid}\)?, "):
        read_own_file(path)
    if what != "file":  # whose name in a sticky folder only its owner could take
        with pytest.raises(UnsafePath):
            replace_file(path, b"new")
    assert (ours / "f").read_bytes() == b"precious"


def test_links_of_one_s_own_are_followed(tmp_path: Path) -> None:
    """Homes are made of links: relative and absolute ones, upwards, through others; and they stay links."""
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "deep" / "f").write_bytes(b"old")
    (tmp_path / "a").symlink_to("real/deep/../deep")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "g").symlink_to("../../real/./deep//f")
    replace_file(tmp_path / "b" / "g", b"new")
    assert read_own_file(tmp_path / "b" / "g") == (tmp_path / "real" / "deep" / "f").read_bytes() == b"new"
    assert (tmp_path / "a" / "g").is_symlink()
    remove_file(tmp_path / "b" / "g")
    assert [path.name for path in (tmp_path / "real" / "deep").iterdir()] == ["g"]


def test_a_link_into_nothing_is_where_a_file_can_be_made(tmp_path: Path) -> None:
    """As the system has it."""
    (tmp_path / "f").symlink_to("target")
    os.close(open_ours(tmp_path / "f", os.O_RDWR | os.O_CREAT))
    assert mode(tmp_path / "target") == 0o600


def test_a_circle_of_links_is_an_error(tmp_path: Path) -> None:
    """In the system's words."""
    (tmp_path / "f").symlink_to("f")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        read_own_file(tmp_path / "f")


def test_missing_folders_are_made_for_this_user_alone(tmp_path: Path) -> None:
    """All of them, whatever the umask; where they are not to be made, that they are missing is an error."""
    with pytest.raises(FileNotFoundError):
        check_folder(tmp_path / "a" / "b")
    umask = os.umask(0)
    try:
        check_folder(tmp_path / "a" / "b", make=True)
    finally:
        os.umask(umask)
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)


def test_a_relative_path_starts_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder in which the process works."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    with find_entry("x/../f") as entry:
        assert entry.place == str(tmp_path / "f")


def test_what_only_we_read_is_made_private_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Stock Codex makes its lock files readable for all; who can open one can lock it."""
    path = tmp_path / "f"
    path.touch()
    path.chmod(0o646)
    for _ in range(2):
        os.close(open_ours(path, os.O_RDWR, private=True))
        assert mode(path) == 0o600
    assert [record.getMessage() for record in caplog.records] == [
        f"other users could open {path}: its mode was 0646, and is 0600 now"
    ]


@needs_root
def test_a_way_that_changes_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a name leads to after it was looked at: it is opened without following, and looked at again."""
    (tmp_path / "d").mkdir()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "f").write_bytes(b"theirs")
    give(tmp_path / "theirs", OTHERS[0])
    look = os.stat

    def look_and_swap(name: str, **how: Any) -> os.stat_result:
        found = look(name, **how)
        if name == "d":
            (tmp_path / "d").rmdir()
            (tmp_path / "d").symlink_to("theirs")
        return found

    monkeypatch.setattr(os, "stat", look_and_swap)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        read_own_file(tmp_path / "d" / "f")


def test_no_folder_of_a_way_stays_open(tmp_path: Path) -> None:
    """Whether it leads to its end, over a link that begins anew, or to a folder that will not do."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "f").write_bytes(b"x")
    (tmp_path / "link").symlink_to(inner)
    before = len(list(Path("/dev/fd").iterdir()))
    assert read_own_file(tmp_path / "link" / "f") == b"x"
    inner.chmod(0o777)
    with pytest.raises(UnsafePath):
        read_own_file(tmp_path / "link" / "f")
    assert len(list(Path("/dev/fd").iterdir())) == before
