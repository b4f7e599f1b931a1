"""Starting the daemon when nothing listens: what it is given, what is told when it fails, and who wins a race."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accountd import paths
from accountd.cli import exits, main
from accountd.client import autostart
from accountd.client.blocking import Client
from accountd.client.errors import ConnectionLost
from accountd.files.daemon_note import note_daemon, read_noted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.process

TESTS = Path(__file__).parents[1]
FAKE_DAEMON = [sys.executable, "-m", "fakes.daemon_process"]


@pytest.fixture
def daemon(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let the verbs start a fake daemon at this path, and end it after the test."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setattr(autostart, "daemon_command", lambda path: [*FAKE_DAEMON, str(path)])
    yield path
    with contextlib.suppress(ConnectionLost), Client(path) as client:  # it may be gone before it has answered
        client.call("test/exit")


@pytest.fixture
def broken(path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Let the verbs start, instead of a daemon, this Python code."""

    def use(code: str) -> Path:
        monkeypatch.setattr(autostart, "daemon_command", lambda path: [sys.executable, "-c", code])
        return path

    return use


def facts(path: Path) -> dict[str, Any]:
    """Ask the fake daemon what it was born with."""
    with Client(path) as client:
        return client.call("test/facts")


def test_a_verb_starts_the_daemon_and_leaves_it_running(daemon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With nothing there, the verb does what it was asked, and the next one finds the same daemon."""
    assert main(["status"]) == exits.NOT_LOGGED_IN
    first = facts(daemon)["pid"]
    assert main(["status"]) == exits.NOT_LOGGED_IN
    assert facts(daemon)["pid"] == first
    assert capsys.readouterr().err == ""


def test_the_daemon_has_nothing_of_the_verb(daemon: Path, home: Path) -> None:
    """A session of its own, / as its folder, no stdin, its log as output, and no open file of the verb's."""
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    main(["status"])
    born = facts(daemon)
    log = home / ".codex" / "log" / "accountd.log"
    assert born["session"] == born["pid"]
    assert (born["cwd"], born["stdin"]) == ("/", "/dev/null")
    assert born["stdout"] == born["stderr"] == log.stat().st_ino
    assert born["descriptors"] == []
    os.close(reader)
    os.close(writer)


def test_the_log_is_private(daemon: Path, home: Path) -> None:
    """The log has mode 0600, in folders of 0700 that are made for it, whatever the umask."""
    umask = os.umask(0)
    main(["status"])
    os.umask(umask)
    log = home / ".codex" / "log" / "accountd.log"
    assert [path.stat().st_mode & 0o777 for path in (log, log.parent, log.parent.parent)] == [0o600, 0o700, 0o700]


def test_relative_paths_in_the_environment_mean_the_same_to_the_daemon(
    daemon: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CODEX_HOME and the certificate files are made absolute, since the daemon's folder is another."""
    monkeypatch.chdir(home)
    (home / "other").mkdir()
    monkeypatch.setenv("CODEX_HOME", "other")
    monkeypatch.setenv("SSL_CERT_FILE", "~/ca.pem")
    monkeypatch.setenv("SSL_CERT_DIR", "a:/b")
    main(["status"])
    environ = facts(daemon)["environ"]
    assert (environ["CODEX_HOME"], environ["SSL_CERT_FILE"]) == (str(home / "other"), str(home / "ca.pem"))
    assert environ["SSL_CERT_DIR"] == f"{home}/a:/b"
    assert "CODEX_CA_CERTIFICATE" not in environ


def test_the_real_daemon_is_this_python_and_this_package(tmp_path: Path) -> None:
    """What is started is `accountd serve` on the verb's socket."""
    command = autostart.daemon_command(tmp_path / "s")
    assert command == [
        sys.executable,
        "-P",
        "-m",
        "accountd",
        "serve",
        "--on-demand",
        "--listen",
        f"unix://{tmp_path}/s",
    ]


def test_no_start_refuses(path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--no-start` is exit code 5 and one line that says what to do; nothing is started or written."""
    assert main(["status", "--no-start"]) == exits.NO_DAEMON
    advice = "start a daemon with `accountd serve`, or leave --no-start out"
    assert capsys.readouterr() == ("", f"accountd: nothing listens on {path}; {advice}\n")
    assert not (home / ".codex").exists()


def test_there_is_one_daemon_of_a_home(path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where one listens on another path, none is started: the error names it. One that has gone is no hindrance."""
    own, elsewhere = home / ".codex", str(home / "elsewhere")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(elsewhere)
        other.listen()
        assert note_daemon(own, own, elsewhere, lambda _: True) == []
        assert main(["status"]) == exits.NO_DAEMON
        said = f"listens on {elsewhere}, so no other one is started at {path}; use --socket {elsewhere}\n"
        assert capsys.readouterr().err == f"accountd: the daemon of {own}, pid {os.getpid()}, {said}"
        assert note_daemon(own, own, path, lambda _: True) == [elsewhere]
    assert note_daemon(own, own, path, lambda _: False) == []
    assert read_noted(own, own) == [str(path)]
    assert read_noted(own, home / "a copy") == []


def test_daemons_that_start_at_once_are_all_noted(home: Path) -> None:
    """One waits for the other to be done; and who reads meanwhile has the note whole, as it was."""
    note_daemon(home, home, home / "first", lambda _: True)
    with (home / "log" / "accountd-daemons.jsonl").open() as reading, ThreadPoolExecutor() as others:

        def listens(_: str) -> bool:
            wait([others.submit(note_daemon, home, home, home / "third", lambda _: True)], timeout=0.1)
            return True

        note_daemon(home, home, home / "second", listens)
        assert reading.read().count("first") == 1
    assert read_noted(home, home) == [str(home / name) for name in ("first", "second", "third")]


def test_none_is_started_where_containers_get_tokens(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At a path that a token socket has had, whoever can do anything with the login must not be let in."""
    Path(paths.token_mark(path)).touch()
    assert main(["status"]) == exits.NO_DAEMON
    assert f"nothing listens on {path}, where a daemon hands out tokens to containers" in capsys.readouterr().err


def test_a_daemon_that_gives_up_is_quoted(
    broken: Callable[[str], Path], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line it wrote in this start is the error, not what an earlier one left in the log."""
    broken("import sys; print('starting'); sys.exit('accountd: config.toml:3: forced_login_method is odd')")
    log = home / ".codex" / "log" / "accountd.log"
    for _ in range(2):
        assert main(["status"]) == exits.NO_DAEMON
        error = f"the daemon did not start: config.toml:3: forced_login_method is odd; see {log}"
        assert capsys.readouterr() == ("", f"accountd: {error}\n")
    broken("raise SystemExit(1)")
    assert main(["status"]) == exits.NO_DAEMON
    assert "did not start: it said nothing; see" in capsys.readouterr().err


def test_a_daemon_that_never_listens_is_ended(
    broken: Callable[[str], Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time a daemon without a socket is killed, and the error says so."""
    monkeypatch.setattr(autostart, "_PATIENCE", 0.05)
    path = broken("import time; time.sleep(30)")
    assert main(["status"]) == exits.NO_DAEMON
    assert f"did not listen on {path} within 0.05 seconds" in capsys.readouterr().err


def test_a_log_that_cannot_be_opened_is_one_line(
    path: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a log there is no daemon: where no folder will do, the error names the file and the reason."""
    for name in (".codex", "state", "run"):
        (home / name).write_text("not a folder")
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    assert main(["status"]) == exits.NO_DAEMON
    error = capsys.readouterr().err
    assert error.startswith(f"accountd: cannot start a daemon: its log {home}/.codex/log/accountd.log cannot be")
    assert "set XDG_STATE_HOME or XDG_RUNTIME_DIR to a folder of yours that can be written" in error
    assert error.count("\n") == 1


def test_verbs_that_start_at_once_share_one_daemon(daemon: Path, home: Path) -> None:
    """Of several verbs at the same moment all are answered, by the only daemon that was started."""
    code = (
        "import sys; from accountd.cli import main; from accountd.client import autostart; "
        "autostart.daemon_command = lambda path: [*sys.argv[1:], str(path), '0.1']; sys.exit(main(['status']))"
    )
    verbs = [subprocess.Popen([sys.executable, "-c", code, *FAKE_DAEMON], stdout=subprocess.PIPE) for _ in range(4)]
    for verb in verbs:
        assert b"Not logged in." in verb.communicate(timeout=20)[0]
        assert verb.returncode == exits.NOT_LOGGED_IN
    assert (home / ".codex" / "log" / "accountd.log").read_text() == ""


def test_a_verb_whose_daemon_loses_uses_the_winner(daemon: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When somebody else's daemon is up first, ours exits, and the verb talks to the other."""
    lost = "import sys; sys.exit('accountd: the socket is already in use')"
    winner: list[subprocess.Popen[bytes]] = []

    def start_both(path: Path) -> list[str]:
        winner.append(subprocess.Popen([*FAKE_DAEMON, str(path), "0.1"]))
        return [sys.executable, "-S", "-c", lost]

    monkeypatch.setattr(autostart, "_LOSERS_PATIENCE", 10.0)  # this machine may be slow; the verb is not
    monkeypatch.setattr(autostart, "daemon_command", start_both)
    assert main(["status"]) == exits.NOT_LOGGED_IN
    assert facts(daemon)["pid"] == winner[0].pid
    threading.Thread(target=winner[0].wait, daemon=True).start()


def test_a_starter_that_hangs_is_not_waited_for_forever(
    path: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verb that cannot get its turn to start a daemon gives up with a line."""
    monkeypatch.setattr(autostart, "_PATIENCE", 0.05)
    with (
        autostart._open_log(home / ".codex" / "log" / "accountd.log") as log,
        autostart._only_starter(log),
    ):
        assert main(["status"]) == exits.NO_DAEMON
    assert "another program has been starting a daemon" in capsys.readouterr().err
