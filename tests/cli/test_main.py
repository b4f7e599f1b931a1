"""The `accountd` command as a whole: help, versions, one-line errors, and what a verb must not import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from accountd import __version__
from accountd.cli import VERBS, exits, main
from accountd.codex.version import CODEX_VERSION
from accountd.system.peer_credentials import Peer
from fakes.app_server import AppServer, Script

HEAVY = {
    "dataclasses",
    "hashlib",
    "inspect",
    "pathlib",
    "urllib",
    "trio",
    "msgspec",
    "httpx",
    "h11",
    "wsproto",
    "anyio",
    "ssl",
    "logging",
    "asyncio",
    "platformdirs",
    "segno",
}
FULL = Path("/dev/full")
ACCOUNTD = [sys.executable, "-m", "accountd"]


def test_without_a_verb_there_is_help_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was asked for: the help is on stderr, as what is wrong with the command line is."""
    assert main([]) == exits.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert all(verb in err for verb in VERBS)


def test_the_help_lists_verbs_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` is asked for: it is on stdout, with every verb and the meaning of every exit code."""
    assert main(["--help"]) == exits.OK
    out, err = capsys.readouterr()
    assert err == ""
    assert all(f"    {verb} " in out for verb in VERBS)
    codes = [line.split()[0] for line in out.partition("exit codes:\n")[2].splitlines()]
    assert codes == ["0", "1", "2", "3", "4", "5", "6", "7", "75", "130"]
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`accountd VERB --help` says what the verb does and shows it in use, within 80 columns."""
    assert main([verb, "--help"]) == exits.OK
    out = capsys.readouterr().out
    assert f"\n  accountd {verb}" in out.partition("example")[2]
    assert max(map(len, out.splitlines())) <= 80


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` names first the release of Codex, where clients look that decide features by it, then its own."""
    assert main(["--version"]) == exits.OK
    assert capsys.readouterr().out == f"accountd for Codex {CODEX_VERSION}, release {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["statsu"], "accountd: statsu is no verb; did you mean status?"),
        (["xyz"], "accountd: xyz is no verb"),
        (["sk-Secret1"], "accountd: that is no verb"),
        (["help", "logn"], "accountd help: logn is no verb; did you mean login?"),
        (["--verson"], "accountd: it has no option --verson; did you mean --version?"),
        (["status", "--jason"], "accountd status: it has no option --jason; did you mean --json?"),
        (["status", "--sk-Secret1"], "accountd status: it has no such option"),
        (["status", "sk-Secret1"], "accountd status: it takes no more words than these"),
        (["status", "--socket"], "accountd status: --socket: expected one argument"),
        (
            ["serve", "--log-level", "loud"],
            "accountd serve: --log-level: must be one of debug, info, warning, error",
        ),
        (
            ["token", "--format", "sk-Secret1"],
            "accountd token: --format: must be one of raw, json, env, header, curl",
        ),
        (["sandbox", "--port", "sk-Secret1"], "accountd sandbox: --port: must be a whole number"),
    ],
)
def test_a_wrong_command_line_is_told_with_what_was_meant(
    capsys: pytest.CaptureFixture[str], arguments: list[str], error: str
) -> None:
    """Exit code 2, nothing on stdout; the first line says what is wrong, and below it is how the verb is used."""
    assert main(arguments) == exits.USAGE
    out, err = capsys.readouterr()
    first, *others, last = err.splitlines()
    assert (out, first) == ("", error)
    verb = error.partition(":")[0].partition(" ")[2]
    assert "\n".join(others).startswith(f"usage: accountd {verb} " if verb else "")
    assert last == (f"`accountd help {verb}` explains it." if verb else "`accountd help` lists the verbs.")
    assert "sk-Secret1" not in err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["serve", "--listen", "ws://127.0.0.1:80"],
            "accountd: unsupported --listen URL `ws://127.0.0.1:80`; expected `stdio://` or `unix://PATH`",
        ),
        (
            ["serve", "--listen", "unix://"],
            "accountd: unsupported --listen URL `unix://`; expected `stdio://` or `unix://PATH`",
        ),
        (["serve", "--token-socket", "stdio://"], "accountd: --token-socket takes unix://PATH"),
    ],
)
def test_what_a_verb_does_not_take_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], error: str
) -> None:
    """Exit code 2, nothing on stdout, and one line that says what is wrong."""
    assert main(arguments) == exits.USAGE
    assert capsys.readouterr() == ("", f"{error}\n")


def test_help_is_that_of_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """`accountd help VERB` prints what `accountd VERB --help` prints; without a verb, the list of them."""
    printed = []
    for arguments in (["help", "logout"], ["logout", "--help"], ["help"], ["--help"]):
        assert main(arguments) == exits.OK
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert printed[2] == printed[3]


@pytest.mark.parametrize("spelling", ["{}", "unix://{}"])
def test_the_socket_can_be_named(home: Path, capsys: pytest.CaptureFixture[str], spelling: str) -> None:
    """`--socket` takes a path and a unix:// URL, and goes before the environment."""
    with AppServer(home / "other", {"account/logout": {}}):
        assert main(["logout", "--socket", spelling.format(home / "other"), "--no-start"]) == exits.OK


@pytest.mark.parametrize(
    ("variable", "arguments"),
    [
        ("ACCOUNTD_SOCKET", ["status"]),
        ("CODEX_HOME", ["logout"]),
        ("", ["status", "--socket", "~no-such-person/s"]),
        ("", ["serve", "--listen", "unix://~no-such-person/s"]),
    ],
)
def test_a_path_that_leads_nowhere_is_one_line(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    arguments: list[str],
) -> None:
    """A path in the home of nobody is named with where it came from; exit code 1, and nothing is started."""
    if variable:
        monkeypatch.setenv(variable, "~no-such-person/s")
    assert main(arguments) == exits.ERROR
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"accountd: {variable or arguments[1]} must be an absolute path")


def test_another_persons_daemon_is_no_daemon(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that is served by a stranger is exit code 5, and no daemon is started in its place."""
    monkeypatch.setattr("accountd.client.unix_socket.peer_credentials", lambda _: Peer(4_000_000, 1))
    with AppServer(path):
        assert main(["status"]) == exits.NO_DAEMON
    assert "served by another user (uid 4000000)" in capsys.readouterr().err


@pytest.mark.process
@pytest.mark.parametrize("arguments", [["--help"], ["status", "--help"], ["logout"]])
def test_a_reader_that_leaves_is_no_failure_to_speak_of(path: Path, arguments: list[str]) -> None:
    """When stdout's reader is gone, as behind `| head`, the command ends without a word."""
    with AppServer(path, {"account/logout": {}}):
        process = subprocess.Popen([*ACCOUNTD, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(10) in (exits.OK, exits.ERROR)


@pytest.mark.process
@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_one_line(path: Path) -> None:
    """Output that cannot be written is an error, said once."""
    with AppServer(path, {"account/logout": {}}), FULL.open("wb") as full:
        done = subprocess.run([*ACCOUNTD, "logout"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == exits.ERROR
    assert done.stderr == b"accountd: cannot write the output: No space left on device (os error 28)\n"


@pytest.mark.process
def test_a_verb_starts_in_the_time_of_the_standard_library(path: Path) -> None:
    """Neither the help of a verb nor a verb that talks to the daemon imports anything heavy, not even logging."""
    code = (
        "import sys; from accountd.cli import main; code = main(sys.argv[1:]); "
        "print('imported', *sys.modules); sys.exit(code)"
    )
    script: Script = {
        "account/read": {"account": {"type": "apiKey"}},
        "getAuthStatus": {"authMethod": "apikey"},
        "account/store/read": {"kind": "file", "location": "/somewhere/auth.json", "note": None},
        "accountd/status": {"version": "0.1.0", "pid": 1, "uptimeSeconds": 1.5},
        "account/rateLimits/read": {"rateLimits": {}},
        "account/usage/read": {},
        "account/token/read": {"authMode": "apikey", "token": "sk", "expiresAt": None, "chatgptAccountId": None},
    }
    for arguments in (
        ["status", "--help"],
        ["status"],
        ["status", "--format", "prometheus"],
        ["token", "--format", "env"],
        ["usage"],
        ["connect"],
        ["login", "--help"],
    ):
        with AppServer(path, script):
            done = subprocess.run(
                [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path}; {code}", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=True,
            )
        imported = done.stdout.rpartition("imported")[2].split()
        assert f"accountd.cli.{arguments[0].replace('-', '_')}" in imported
        assert not HEAVY & {name.partition(".")[0] for name in imported}
        others = {"accountd.cli.login", "accountd.cli.sandbox"} - {f"accountd.cli.{arguments[0]}"}
        assert not {*others, "subprocess", "unicodedata", "accountd.cli.login.qr_code"} & set(imported)


def test_ctrl_c_before_anything_happened_is_quiet(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A KeyboardInterrupt is exit code 130, without a traceback."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("accountd.cli.logout.connect_for_network", interrupt)
    assert main(["logout"]) == 130


@pytest.mark.process
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_no_traceback(path: Path, closed: str) -> None:
    """Started without somewhere to write to, a verb does its work, and its exit code is the same."""
    script = f"'{sys.executable}' -m accountd status --no-start {closed}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == exits.NO_DAEMON
    assert done.stdout == ""
    assert done.stderr.startswith("accountd: nothing listens on ") if "2>&-" not in closed else done.stderr == ""
