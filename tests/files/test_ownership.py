"""The one rule: whose a file, a folder or a link is, by its owner and its mode."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from typing import TYPE_CHECKING, NamedTuple

import pytest

from accountd.files import ownership
from accountd.files.ownership import OPT_OUT, UnsafePath, find_fault, require_ours

if TYPE_CHECKING:
    from collections.abc import Iterator

ME, SOMEBODY = 1000, 1001
OURS, EMPTY, SHARED, THEIRS, UNKNOWN, LISTED = 1000, 50, 60, 1001, 70, 80
FOLDER, FILE, LINK = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK


class _Person(NamedTuple):
    pw_name: str
    pw_uid: int
    pw_gid: int


class _Group(NamedTuple):
    gr_name: str
    gr_gid: int
    gr_mem: list[str]


PEOPLE = [_Person("root", 0, 0), _Person("ada", ME, OURS), _Person("eve", SOMEBODY, THEIRS)]
GROUPS = [
    _Group("root", 0, []),
    _Group("ada", OURS, []),
    _Group("staff", EMPTY, []),
    _Group("codex", LISTED, ["ada", "root"]),
    _Group("devs", SHARED, ["ada", "eve"]),
    _Group("eve", THEIRS, ["ada"]),
]


@pytest.fixture(autouse=True)
def a_machine_with_two_users(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be one of them."""

    def find(key: int, entries: list[tuple[int, object]]) -> object:
        return dict(entries)[key]

    monkeypatch.setattr(os, "geteuid", lambda: ME)
    monkeypatch.setattr(pwd, "getpwall", lambda: PEOPLE)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: find(uid, [(each.pw_uid, each) for each in PEOPLE]))
    monkeypatch.setattr(grp, "getgrgid", lambda gid: find(gid, [(each.gr_gid, each) for each in GROUPS]))
    ownership._is_own_group.cache_clear()
    yield
    ownership._is_own_group.cache_clear()


def found(kind: int, mode: int, uid: int = ME, gid: int = OURS) -> os.stat_result:
    """Give what a look at something shows."""
    return os.stat_result((kind | mode, 1, 1, 1, uid, gid, 0, 0, 0, 0))


@pytest.mark.parametrize("kind", [FOLDER, FILE, LINK])
@pytest.mark.parametrize(("uid", "is_ours"), [(ME, True), (0, True), (SOMEBODY, False), (4_000_000, False)])
def test_it_is_ours_or_root_s(kind: int, uid: int, is_ours: bool) -> None:
    """Whoever it belongs to may change its mode, so that is not looked at first."""
    assert (find_fault(found(kind, 0o700, uid), "/x") is None) == is_ours


@pytest.mark.parametrize("kind", [FOLDER, FILE])
@pytest.mark.parametrize("uid", [ME, 0])
@pytest.mark.parametrize(
    ("mode", "gid", "is_ours"),
    [
        (0o755, SHARED, True),
        (0o777, OURS, False),
        (0o702, OURS, False),
        (0o775, OURS, True),
        (0o775, LISTED, True),
        (0o775, 0, True),
        (0o775, SHARED, False),
        (0o775, THEIRS, False),
        (0o775, EMPTY, False),
        (0o775, UNKNOWN, False),
    ],
)
def test_nobody_else_may_write(kind: int, uid: int, mode: int, gid: int, is_ours: bool) -> None:
    """A group is others, unless it is known to have this user or root in it, and nobody else."""
    assert (find_fault(found(kind, mode, uid, gid), "/x") is None) == is_ours


def test_who_has_no_name_has_no_group_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container with an arbitrary uid, whose folders are as a rule root's and of root's group."""
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    assert find_fault(found(FOLDER, 0o775, 0, 0), "/home") is None
    assert find_fault(found(FOLDER, 0o775, 4_000_000, UNKNOWN), "/home")


@pytest.mark.parametrize(("kind", "is_ours"), [(FOLDER, True), (FILE, False)])
def test_a_sticky_folder_is_where_nobody_touches_what_is_ours(kind: int, is_ours: bool) -> None:
    """On a file the bit means nothing."""
    assert (find_fault(found(kind, 0o1777, 0, 0), "/tmp") is None) == is_ours


def test_a_link_has_an_owner_and_no_mode() -> None:
    """All of them have 0777."""
    assert find_fault(found(LINK, 0o777), "/x") is None


def test_who_has_no_number_is_root_but_where_anybody_may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hardened unit's namespace shows root's files, and those of all others, as the same user's."""
    monkeypatch.setattr(ownership, "_root_without_number", lambda: 65534)
    assert find_fault(found(FOLDER, 0o755, 65534), "/") is None
    assert find_fault(found(FILE, 0o644, 65534), "/tmp/config.toml", in_shared=True)


def test_a_fault_names_the_place_and_the_remedy() -> None:
    """In one line, which is the error that programs raise."""
    fault = find_fault(found(FOLDER, 0o777), "/home/ada/my codex")
    assert fault is not None
    assert fault.strerror == (
        "other users can write to /home/ada/my codex: mode 0777; `chmod go-w '/home/ada/my codex'`"
    )
    fault = find_fault(found(FILE, 0o644, SOMEBODY), "/home/ada/x")
    assert fault is not None
    assert fault.strerror == (
        "/home/ada/x belongs to eve (uid 1001), not to you; `sudo chown ada /home/ada/x` if it is yours"
    )


def test_root_is_not_told_to_take_what_is_a_person_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `sudo -E`, which keeps HOME: to own somebody's home is no remedy."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    fault = find_fault(found(FOLDER, 0o755, SOMEBODY), "/home/eve")
    assert fault is not None
    assert fault.strerror == (
        "/home/eve belongs to eve (uid 1001), and this is run by root; "
        "run it as eve, or as root with files of root's own"
    )


@pytest.mark.parametrize(("value", "is_given_up"), [("1", True), (" 1 ", True), ("0", False), ("", False)])
def test_the_rule_can_be_given_up(value: str, is_given_up: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a container whose volumes cannot be otherwise; then it is still known what is wrong."""
    monkeypatch.setenv(OPT_OUT, value)
    unsafe = found(FOLDER, 0o777)
    if is_given_up:
        require_ours(unsafe, "/x")
    else:
        with pytest.raises(UnsafePath):
            require_ours(unsafe, "/x")
    assert find_fault(unsafe, "/x")
