"""`accountd sandbox`: the process, what it prints, and the folder that it makes."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from accountd import paths
from accountd.cli import sandbox as sandbox_verb
from accountd.cli.sandbox.home import MARK
from accountd.client.blocking import Client
from accountd.client.errors import ConnectionLost, NothingListens
from accountd.config import settings as config
from accountd.sandbox import Script
from accountd.sandbox.script import Authorize
from fakes.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.process

COMMAND = [sys.executable, "-m", "accountd", "sandbox"]


def parse_exports(text: str) -> dict[str, str]:
    """Read what a shell would eval."""
    words = [shlex.split(line) for line in text.splitlines()]
    assert all(len(line) == 2 and line[0] == "export" for line in words)
    return dict(line[1].split("=", 1) for line in words)


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Give a folder for temporary ones, with a name that is short enough for the sockets in them."""
    with tempfile.TemporaryDirectory(prefix="accountd-") as folder:
        yield Path(folder)


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run the sandbox, and give it and its exports. Its stdout has to end before it does."""
    with subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, parse_exports(process.stdout.read())
        finally:
            process.terminate()  # not killed, which would leave its folder


def refused(*options: str) -> str:
    """Run a sandbox that does not start, and give what it complains of."""
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    return done.stderr.splitlines()[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_serves_until_a_signal(number: signal.Signals) -> None:
    """Its exports are a configuration of ours, its server answers, and a signal ends it with 0 and its folder."""
    with running("--approve-after", "3") as (process, environ):
        home = Path(environ["CODEX_HOME"])
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        loaded = config.load(environ)
        assert loaded.backend == loaded.issuer + "/backend-api"
        assert Path(paths.socket_path(environ)).parent == home
        assert int(environ["ACCOUNTD_SANDBOX_PID"]) == process.pid
        connection = http.client.HTTPConnection(loaded.issuer.removeprefix("http://"), timeout=10)
        connection.request("GET", "/sandbox/script")
        assert b'"approve_after_polls":3' in connection.getresponse().read()
        connection.close()
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert process.stderr is not None
        said = process.stderr.read()
        assert f"{loaded.issuer}/codex/device" in said
        assert "Traceback" not in said
        assert not home.exists()


LISTENER = """
import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("ready", flush=True)
time.sleep(60)
"""


def test_the_daemon_of_a_folder_that_goes_is_ended() -> None:
    """What listens on the socket in a folder that is deleted gets SIGTERM: nobody could find it again."""
    with running() as (process, environ):
        listener = [sys.executable, "-c", LISTENER, environ["ACCOUNTD_SOCKET"]]
        with subprocess.Popen(listener, stdout=subprocess.PIPE, text=True) as daemon:
            assert daemon.stdout is not None
            assert daemon.stdout.readline() == "ready\n"
            process.terminate()
            try:
                assert daemon.wait(timeout=10) == -signal.SIGTERM
            finally:
                daemon.kill()
        assert process.wait(timeout=10) == 0


def test_a_daemon_of_its_home_at_another_socket_is_ended(tmp_path: Path) -> None:
    """Its last words would make the folder anew."""
    socket = tmp_path / "s"
    with running() as (process, environ):
        elsewhere = {**os.environ, **environ, "ACCOUNTD_SOCKET": str(socket)}
        subprocess.run([*COMMAND[:-1], "socket"], env=elsewhere, capture_output=True, timeout=30, check=True)
        process.terminate()
        assert process.wait(timeout=10) == 0
    with pytest.raises(NothingListens):
        Client(socket)
    assert not Path(environ["CODEX_HOME"]).exists()


def test_a_home_of_its_own_is_kept_and_used_again(tmp_path: Path) -> None:
    """A named folder is made, stays, and is taken again with the port of the new sandbox."""
    home = tmp_path / "h"
    for _ in range(2):
        with running("--home", str(home)) as (process, environ):
            assert environ["CODEX_HOME"] == str(home)
            assert config.load(environ).backend.startswith(environ["CODEX_APP_SERVER_LOGIN_ISSUER"])
            process.terminate()
            process.wait(timeout=10)
        (home / "auth.json").write_text("{}")
    assert sorted(path.name for path in home.iterdir()) == ["auth.json", "config.toml"]


def test_a_config_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    """A config.toml that the sandbox did not write is an error, and stays as it is."""
    (tmp_path / "config.toml").write_text("model = 'x'\n")
    assert "config.toml: was not written by the sandbox" in refused("--home", str(tmp_path))
    assert (tmp_path / "config.toml").read_text() == "model = 'x'\n"


def test_a_real_login_is_left_alone(tmp_path: Path) -> None:
    """A folder with a login that is not the sandbox's is an error: its token must not be shown to the sandbox."""
    (tmp_path / "auth.json").write_text("{}")
    assert "holds a login" in refused("--home", str(tmp_path))
    assert not (tmp_path / "config.toml").exists()


@pytest.mark.parametrize("name", ["history.jsonl", ".codex"])
def test_a_home_that_is_in_use_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A folder with files of others, and the usual home by whichever name, even where it has none."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "h").symlink_to(tmp_path / name if name.startswith(".") else tmp_path)
    (tmp_path / name).mkdir()
    assert "choose another --home" in refused("--home", str(tmp_path / "h"))
    assert not (tmp_path / "h" / "config.toml").exists()


def test_a_real_login_in_a_folder_of_the_sandbox_is_left_alone(tmp_path: Path) -> None:
    """One that came there since is not shown to a sandbox."""
    (tmp_path / "config.toml").write_text(MARK)
    (tmp_path / "auth.json").write_text('{"tokens": {"refresh_token": "r"}}')
    assert "holds a login" in refused("--home", str(tmp_path))


def test_a_script_comes_from_a_file_and_options(tmp_path: Path) -> None:
    """Options come on top of the file, and a value that cannot be is named with its file or alone."""
    script = tmp_path / "script.json"
    script.write_text('{"approve_after_polls": 1, "claims": {"plan": "pro"}}')
    more = ("--delay", "0.01", "--authorize", "no_code")
    with running("--script", str(script), "--approve-after", "7", "--deny", *more) as (_, environ):
        address = environ["CODEX_APP_SERVER_LOGIN_ISSUER"].removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("GET", "/sandbox/script")
        answer = connection.getresponse().read()
        connection.close()
    for part in (b'"approve_after_polls":7', b'"deny":true', b'"delay":0.01', b'"plan":"pro"', b'"expire":false'):
        assert part in answer
    assert b'"authorize":"no_code"' in answer
    script.write_text('{"denny": 1}')
    assert "script.json: script: " in refused("--script", str(script))
    assert "denny" in refused("--script", str(script))
    assert "cannot be read" in refused("--script", str(tmp_path / "absent.json"))
    assert "approve_after_polls" in refused("--approve-after", "-1")
    assert "delay" in refused("--delay", "nan")
    assert "server_error" in refused("--authorize", "perhaps")


def test_the_command_knows_what_the_script_knows() -> None:
    """`--authorize` takes just what the script's knob takes, the default first."""
    assert get_args(Authorize) == sandbox_verb._AUTHORIZE
    assert sandbox_verb._AUTHORIZE[0] == Script().authorize


def test_a_port_that_cannot_be_had_is_named() -> None:
    """A port in use, and a number that is none, are one line each."""
    with running() as (_, environ):
        port = environ["CODEX_APP_SERVER_LOGIN_ISSUER"].rpartition(":")[2]
        for way in ((), ("--background",), ("--backg",)):
            complaint = refused("--port", port, *way)
            assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in complaint
    assert "--port must be" in refused("--port", "70000")


def test_a_home_too_long_for_a_socket_is_refused_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that no socket could have is refused before anything is made."""
    home = tmp_path / ("x" * 120)
    assert "too long" in refused("--home", str(home))
    assert not home.exists()
    home.mkdir()
    monkeypatch.setenv("TMPDIR", str(home))
    assert "too long for a socket in it; set TMPDIR" in refused()
    assert list(home.iterdir()) == []


def test_a_shell_can_eval_it() -> None:
    """`eval "$(accountd sandbox &)"` comes back while the sandbox runs on, and `kill` ends it."""
    line = f'eval "$({shlex.join(COMMAND)} 2>/dev/null &)"; echo "$CODEX_HOME"; kill "$ACCOUNTD_SANDBOX_PID"'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30, check=True)
    assert "accountd-sandbox-" in done.stdout


@pytest.mark.parametrize("shell", ["bash --norc -i", "zsh -f -i", "fish --no-config -i"])
def test_a_sandbox_for_a_shell_outlives_a_ctrl_c_at_its_prompt(shell: str) -> None:
    """Both the one that runs the shell and one that its line has put in the background; `exit` ends the first."""
    if shutil.which(name := shell.partition(" ")[0]) is None:
        pytest.skip(f"there is no {name} here")
    terminal = Terminal("sandbox", "--", *shell.split(), columns=200)
    status = "$status" if shell.startswith("fish") else "$?"
    try:
        line = f'eval "$({shlex.join(COMMAND)} --background 2>/dev/null)"'
        terminal.type(f'echo "outer=$ACCOUNTD_SANDBOX_PID="; {line}; echo "rea""dy"\r')
        terminal.wait_for("ready")
        line = f'echo "inner=$ACCOUNTD_SANDBOX_PID="; kill $ACCOUNTD_SANDBOX_PID; echo "killed={status}"\r'
        terminal.type("\x03" + 20 * " " + line)  # a shell forgets some of what is typed at once
        terminal.wait_for("killed=0")
        terminal.type("exit 3\r")
        assert terminal.wait() == 3
    finally:
        terminal.close()
    outside, inside = (re.search(rf"{name}=(\d+)=", terminal.screen) for name in ("outer", "inner"))
    assert outside is not None
    assert inside is not None
    assert outside[1] != inside[1]


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["sh", "-c", "test -S $ACCOUNTD_SOCKET && exit 7"], 7, ""),
        (["sh", "-c", "kill -KILL $$"], 137, ""),
        (["sh", "-c", "kill -TERM $PPID; exec sleep 9"], 143, ""),
        (["sh", "-c", 'printf %s "$@" >&2', "-", "--json", "--", "-x"], 0, "--json---x"),
        (["there-is-no-such-command"], 127, "accountd: there-is-no-such-command: no such command\n"),
        (["/dev/null"], 126, "accountd: /dev/null: cannot be run: Permission denied (os error 13)\n"),
    ],
)
def test_a_command_is_run_in_its_world(command: list[str], code: int, said: str, temporary: Path) -> None:
    """With a daemon; its exit code and its words are passed on, and nothing is left when it ends."""
    environ = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(
        [*COMMAND, "--", *command], capture_output=True, text=True, timeout=30, check=False, env=environ
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", said)
    assert list(temporary.iterdir()) == []


def test_it_tells_a_harness_what_is_there_and_what_happens() -> None:
    """One line of JSON with all of it, then each event; it ends with its signal, or when nobody reads."""
    with subprocess.Popen([*COMMAND, "--json", "--daemon"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["event"] == "ready"
        assert ready["urls"]["device"] == f"{ready['url']}/codex/device"
        assert ready["env"] == {
            "CODEX_HOME": ready["codexHome"],
            "CODEX_APP_SERVER_LOGIN_ISSUER": ready["url"],
            "ACCOUNTD_SOCKET": ready["socket"],
            "ACCOUNTD_SANDBOX_PID": str(process.pid),
        }
        with Client(ready["socket"]) as client:
            code = client.login_device_code().code
        login, request = (json.loads(process.stdout.readline()) for _ in range(2))
        assert (login["event"], login["userCode"], login["status"]) == ("login", code, "waiting")
        assert (request["event"], request["status"]) == ("request", 200)
        assert request["path"] == "/api/accounts/deviceauth/usercode"
        process.stdout.close()
        assert process.wait(timeout=10) == 0
    assert not Path(ready["codexHome"]).exists()


def test_what_a_killed_one_has_left_goes_with_the_next(temporary: Path) -> None:
    """Its folder and its daemon, once they are old, and a log that a daemon has written to a folder that had gone.

    Not those of one that runs, nor what somebody else has made.
    """
    environ = {**os.environ, "TMPDIR": str(temporary)}
    command = [*COMMAND, "--json", "--daemon"]
    others, last_words = (temporary / f"{paths.SANDBOX_HOME}{name}" for name in ("of-another-make", "last-words"))
    for folder, file in ((others, paths.CONFIG), (last_words, paths.LOG)):
        (folder / file).parent.mkdir(parents=True)
        (folder / file).touch()
    found = []
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        found.append((process, Path(ready["codexHome"]), Client(ready["socket"])))
        if number is signal.SIGKILL:
            process.kill()
            process.wait()
    (_, killed, client), (living, home, other) = found
    for folder in (killed, home, others, last_words):
        os.utime(folder, (0, 0))
    try:
        done = subprocess.run([*COMMAND, "--", "true"], timeout=30, check=True, env=environ)
        assert done.returncode == 0
        assert not killed.exists()
        with pytest.raises(ConnectionLost):
            client.read_status()
        other.read_status()
        assert home.exists()
    finally:
        living.terminate()
        for process, _, connection in found:
            process.communicate(timeout=10)
            connection.close()
    assert list(temporary.iterdir()) == [others]


def test_help_has_an_example() -> None:
    """`--help` shows how a shell takes the lines in."""
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=30, check=True)
    assert 'eval "$(accountd sandbox' in done.stdout


def test_the_verb_is_imported_without_what_it_runs() -> None:
    """The command line can be built in the time of the standard library alone."""
    code = "import sys, accountd.cli.sandbox; print(sorted({'trio', 'h11', 'msgspec', 'httpx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"
