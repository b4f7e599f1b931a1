"""Where home, socket and log are, for each environment."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

import pytest

from accountd import paths
from accountd.errors import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the person another home, and stand in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path.resolve()


def socket_name(**environ: str) -> str:
    """Give the socket's name under a runtime folder."""
    path = Path(paths.socket_path({"XDG_RUNTIME_DIR": "/run/user/1", **environ}))
    assert path.parent == Path("/run/user/1/accountd")
    return path.name


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, ".codex"), ("", ".codex"), ("  ", ".codex"), (" a ", "a"), ("~/a", "a"), ("./a", "a")],
)
def test_codex_home_is_configured_or_usual(value: str | None, expected: str, home: Path) -> None:
    """`CODEX_HOME` is trimmed and made absolute; blank is unset."""
    (home / "a").mkdir()
    assert Path(paths.codex_home({} if value is None else {"CODEX_HOME": value})) == home / expected


def test_the_home_of_a_sandbox_that_has_ended_is_not_made_anew(tmp_path: Path) -> None:
    """A shell may still have its variables; and a daemon there would have no issuer."""
    home = tmp_path / "accountd-sandbox-x"
    with pytest.raises(ConfigError, match=r"of an `accountd sandbox` that has ended; unset CODEX_HOME"):
        paths.codex_home({"CODEX_HOME": str(home)})
    home.mkdir()
    assert paths.codex_home({"CODEX_HOME": str(home)}) == str(home)


@pytest.mark.parametrize(
    "value", ["$HOME/.codex", "${HOME}/.codex", "/home/$USER/.codex", '"/home/a"', "'~/.codex'", '/home/a"', "a/b"]
)
def test_a_home_that_nobody_has_expanded_is_refused(value: str, home: Path) -> None:
    """Files of variables that no shell reads expand nothing: no folder is made of it; one that is there is used."""
    with pytest.raises(ConfigError) as caught:
        paths.codex_home({"CODEX_HOME": value})
    assert str(caught.value).startswith(f"CODEX_HOME points to {json.dumps(value)}, but that path does not exist")
    if not value.startswith("/"):
        (home / value).mkdir(parents=True)
        assert Path(paths.codex_home({"CODEX_HOME": value})) == home / value


@pytest.mark.parametrize("name", ["CODEX_HOME", "ACCOUNTD_SOCKET"])
def test_the_home_of_nobody_is_refused(name: str) -> None:
    """A path that leads nowhere is the person's error, and names the variable."""
    with pytest.raises(
        ConfigError, match=f"^{name} must be an absolute path, because '~nobody-here/x' leads nowhere"
    ):
        paths.socket_path({name: "~nobody-here/x"})


def test_without_any_home_codex_home_must_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home folder, as in containers, is told what to set; if it is set, all is well."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    with pytest.raises(ConfigError, match=r"no home folder: .* no user has the uid 2147483641; set CODEX_HOME"):
        paths.socket_path({})
    assert socket_name(CODEX_HOME="/data").startswith("accountd-")


@pytest.mark.parametrize("home", ["relative", '"/home/ada"', "$HOME", "~"])
def test_a_home_that_is_no_path_is_refused(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be a folder below this one for a verb, and below the root for its daemon."""
    monkeypatch.setenv("HOME", home)
    with pytest.raises(ConfigError, match=f"HOME is {re.escape(home)}, which is no absolute path; set CODEX_HOME"):
        paths.codex_home({})
    assert paths.codex_home({"CODEX_HOME": "/data"}) == "/data"
    assert socket_name(CODEX_HOME="/data").startswith("accountd-")
    monkeypatch.setenv("HOME", " ")
    assert paths.codex_home({}) == str(Path(pwd.getpwuid(os.getuid()).pw_dir) / ".codex")


def test_a_relative_path_needs_a_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder that was deleted is the person's error too."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigError, match="CODEX_HOME must be an absolute path"):
        paths.codex_home({"CODEX_HOME": "relative"})


def test_the_socket_can_be_named() -> None:
    """`ACCOUNTD_SOCKET` is a path, or a `unix://` address as the real server takes it; blank is unset."""
    assert Path(paths.socket_path({"ACCOUNTD_SOCKET": "/a/b"})) == Path("/a/b")
    assert Path(paths.socket_path({"ACCOUNTD_SOCKET": " unix:///a/b "})) == Path("/a/b")
    assert Path(paths.socket_path({"ACCOUNTD_SOCKET": "./b"})) == Path.cwd() / "b"
    assert socket_name(ACCOUNTD_SOCKET="") == socket_name(ACCOUNTD_SOCKET="unix://") == "accountd.sock"


@pytest.mark.parametrize(
    "value",
    [
        "foo",
        "unix://foo",
        "tcp://127.0.0.1:1",
        "ws://h/s",
        "unix:/a/b",
        "stdio://",
        "h:80",
        '"/a/b"',
        "$XDG/b",
        "no/b",
    ],
)
def test_what_is_no_path_of_a_socket_is_refused(value: str) -> None:
    """Another URL, a bare word and what nobody has expanded: no daemon is started at a path of that name."""
    with pytest.raises(ConfigError, match=r"^ACCOUNTD_SOCKET must be the path of a Unix socket, "):
        paths.socket_path({"ACCOUNTD_SOCKET": value})


def test_each_codex_home_has_a_socket_of_its_own(home: Path) -> None:
    """The usual home has the plain name; every other has one that is always the same and no other home's."""
    assert socket_name() == socket_name(CODEX_HOME="~/.codex") == "accountd.sock"
    assert socket_name(CODEX_HOME=f"{home}/.codex/") == "accountd.sock"
    other = socket_name(CODEX_HOME="/other")
    assert other == socket_name(CODEX_HOME="/other/") == "accountd-bf2faee25960.sock"
    assert len({other, socket_name(CODEX_HOME="/another"), socket_name()}) == 3


def test_two_names_of_one_home_share_a_socket(home: Path) -> None:
    """Links and detours do not make a second daemon over the same credentials; a circle is a home of its own."""
    (home / "link").symlink_to(home / ".codex")
    (home / "circle").symlink_to(home / "circle")
    assert socket_name(CODEX_HOME=str(home / "link")) == "accountd.sock"
    assert socket_name(CODEX_HOME=str(home / "x" / ".." / ".codex")) == "accountd.sock"
    assert socket_name(CODEX_HOME=str(home / "circle")).startswith("accountd-")


def test_the_runtime_folder_is_private_to_us() -> None:
    """It is a folder of our own in the session's; a relative `XDG_RUNTIME_DIR` does not count."""
    assert Path(paths.runtime_folder({"XDG_RUNTIME_DIR": "/run/user/1"})) == Path("/run/user/1/accountd")
    for environ in ({}, {"XDG_RUNTIME_DIR": ""}, {"XDG_RUNTIME_DIR": "relative"}):
        folder = Path(paths.runtime_folder(environ))
        assert folder.is_absolute()
        assert folder.name == "accountd"


def test_a_runtime_folder_of_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the only folder that is left could be another user's, the person is told what to set."""

    def refuse(name: str) -> str:
        raise PermissionError(f"{name} is owned by uid 1")

    monkeypatch.setattr("platformdirs.user_runtime_dir", refuse)
    with pytest.raises(ConfigError, match="no private folder for the socket; set XDG_RUNTIME_DIR"):
        paths.runtime_folder({})


@pytest.mark.process
def test_platformdirs_is_not_imported_where_the_session_has_a_folder() -> None:
    """The verbs of the command line start in the time of the standard library."""
    program = (
        "import sys; from accountd import paths\n"
        "paths.socket_path({'XDG_RUNTIME_DIR': '/run'}); assert 'platformdirs' not in sys.modules\n"
        "assert not {'msgspec', 'trio'} & set(sys.modules)\n"
        "paths.socket_path({}); assert 'platformdirs' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_what_stands_in_for_a_home_is_that_home_s_own(tmp_path: Path) -> None:
    """Among the state files, and else the runtime files; for two names of one home it is the same."""
    (tmp_path / "link").symlink_to("home")
    environ = {"XDG_STATE_HOME": "/state", "XDG_RUNTIME_DIR": "/run/u"}
    found = [
        paths.folders_beside({**environ, "CODEX_HOME": str(tmp_path / name)}) for name in ("home", "link", "b")
    ]
    assert [Path(folder).parent for folder in found[0]] == [Path("/state/accountd"), Path("/run/u/accountd")]
    assert found[0] == found[1] != found[2]


def test_a_home_that_was_told_of_is_recognized(home: Path) -> None:
    """By links, and in UTF-8, which has no form for some of the bytes that a name may have."""
    served = home / os.fsdecode(b"\xff\xc3\xa4")
    served.mkdir()
    link = home / "link"
    link.symlink_to(served)
    for path in (served, link, served / ".." / "link"):
        assert paths.leads_to(paths.tell(served), str(path))
        assert paths.leads_to(paths.tell(link), str(path))
        assert not paths.leads_to(paths.tell(home), str(path))
        assert not paths.leads_to(paths.tell(home / "ä"), str(path))
