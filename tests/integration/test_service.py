"""The daemon under a service manager: sockets that are there before it, readiness, watchdog, reload and its end."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.client.blocking import Client
from accountd.sandbox import Script
from fakes.processes import PATIENCE, completion, environment, running, running_with_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

_STARTER = """
import os, sys
listener = int(sys.argv[1])
if listener != 3: os.dup2(listener, 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="accountd")
os.environ.update(WATCHDOG_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "accountd", "serve", *sys.argv[2:]])
"""


class Manager:
    """As little of systemd as it takes: a socket that listens, one to be told on, and the daemon."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / "run" / "s"
        self.path.parent.mkdir(mode=0o700)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.path.chmod(0o600)
        self.listener.listen()
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.bind(str(home / "notify"))
        self.told.settimeout(PATIENCE)

    @contextmanager
    def start(self, *arguments: str, watchdog: float | None = None) -> Iterator[subprocess.Popen[str]]:
        """Start the daemon with the socket, and end it after the block."""
        variables = {"NOTIFY_SOCKET": str(self.home / "notify")}
        if watchdog is not None:
            variables["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
        number = self.listener.fileno()
        command = [sys.executable, "-c", _STARTER, str(number), *arguments]
        environ = environment(self.home, **variables)
        with subprocess.Popen(
            command, env=environ, stderr=subprocess.PIPE, text=True, pass_fds=[number]
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def hear(self) -> list[str]:
        """Wait for the next thing that the daemon tells."""
        return self.told.recv(4096).decode().split("\n")

    def close(self) -> None:
        """Close both sockets."""
        self.listener.close()
        self.told.close()


@pytest.fixture
def manager() -> Iterator[Manager]:
    """Give a manager with a short path."""
    home = Path(tempfile.mkdtemp(prefix="accountd-"))
    manager = Manager(home)
    yield manager
    manager.close()
    shutil.rmtree(home)


def test_a_client_that_comes_first_is_served(manager: Manager) -> None:
    """It connects before there is a daemon; readiness and the end are told, and the socket's file stays."""
    with socket.socket(socket.AF_UNIX) as early:
        early.connect(str(manager.path))
        early.sendall(b'{"id":1,"method":"initialize","params":{"clientInfo":{"name":"x","version":"1"}}}\n')
        with manager.start() as process:
            early.settimeout(PATIENCE)
            assert b'"id":1' in early.recv(4096)
            assert manager.hear() == ["READY=1", f"STATUS=serving {manager.path} for {manager.home}"]
            process.terminate()
            assert manager.hear() == ["STOPPING=1", "STATUS=Stopping"]
            assert process.wait(PATIENCE) == 0
    assert manager.path.exists()


def test_a_stuck_loop_gives_no_sign_of_life(manager: Manager) -> None:
    """The watchdog is fed while the loop runs; stopped by SIGSTOP, it is not, and a manager would restart us."""
    with manager.start(watchdog=0.2) as process:
        heard = [manager.hear()[0] for _ in range(4)]
        assert sorted(heard) == ["READY=1", *["WATCHDOG=1"] * 3]
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        manager.told.setblocking(False)
        with suppress(BlockingIOError):
            while manager.hear():  # what was on its way
                pass
        manager.told.settimeout(0.5)  # real time, five times what it would take
        with pytest.raises(TimeoutError):
            manager.hear()
        process.send_signal(signal.SIGCONT)
        manager.told.settimeout(PATIENCE)
        assert manager.hear() == ["WATCHDOG=1"]


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
def test_a_want_of_descriptors_is_no_stuck_loop(manager: Manager) -> None:
    """The watchdog is fed by a socket that is there already, however long nothing can be opened."""
    with manager.start(watchdog=0.2) as process:
        with Client(str(manager.path)) as client:
            assert client.call("account/read", {})["account"] is None
        most = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, most))  # which it has already
        manager.told.setblocking(False)
        with suppress(BlockingIOError):
            while manager.hear():  # what was on its way
                pass
        manager.told.settimeout(PATIENCE)
        assert [manager.hear() for _ in range(3)] == [["WATCHDOG=1"]] * 3


def test_it_ends_when_idle_and_the_next_client_loses_nothing(manager: Manager) -> None:
    """While a client is there it stays; a second later it ends with 0. Who comes then waits for the next one."""
    with manager.start("--exit-when-idle", "1") as process:
        with Client(str(manager.path)) as client:
            time.sleep(1.3)  # real time, longer than it would wait
            assert client.call("account/read", {})["account"] is None
        assert process.wait(PATIENCE) == 0
    with socket.socket(socket.AF_UNIX) as late:
        late.connect(str(manager.path))
        late.sendall(b'{"id":1,"method":"initialize","params":{"clientInfo":{"name":"x","version":"1"}}}\n')
        with manager.start():
            late.settimeout(PATIENCE)
            assert b'"id":1' in late.recv(4096)


def test_sighup_reloads_and_says_what_changed(manager: Manager) -> None:
    """The manager is told before and after; a file that cannot be read leaves everything as it was."""
    config = manager.home / "config.toml"
    with manager.start() as process:
        manager.hear()
        with Client(str(manager.path)) as client:
            for text in ('forced_login_method = "chatgpt"\n', "forced_login_method = \n"):
                config.write_text(text)
                process.send_signal(signal.SIGHUP)
                assert manager.hear()[0] == "RELOADING=1"
                ready, status = manager.hear()
                assert ready == "READY=1"
                assert ("not reloaded" in status) == text.endswith("= \n")
                with pytest.raises(Exception, match="API key login is disabled"):
                    client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-x"})
        process.terminate()
        log = process.communicate(timeout=PATIENCE)[1]
    assert 'forced_login_method is "chatgpt", and was not set' in log
    assert "the configuration stays as it was" in log


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "unix:///run/a/s"], "a service manager gave the socket"),
        (["--listen", "stdio://"], "a service manager gave the socket"),
    ],
)
def test_two_places_to_listen_are_one_too_many(manager: Manager, arguments: list[str], words: str) -> None:
    """The command line and the service manager contradict each other: one line, and exit code 1."""
    with manager.start(*arguments) as process:
        error = process.communicate(timeout=PATIENCE)[1]
        assert (process.returncode, error.count("\n")) == (1, 1)
        assert words in error


def test_without_a_manager_it_does_not_end_when_idle(manager: Manager) -> None:
    """Nothing would start it again for the client that comes at that moment."""
    command = [sys.executable, "-m", "accountd", "serve", "--exit-when-idle", "60"]
    done = subprocess.run(command, env=environment(manager.home), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "needs a socket from a service manager" in done.stderr


def test_a_second_signal_does_not_go_through_a_refresh(manager: Manager) -> None:
    """A refresh token that has been sent is seen through, however often one is told to stop."""
    home = manager.home / "codex"
    home.mkdir()
    script = Script(approve_after_polls=0, interval=0, delay=1.0)
    with running_with_sandbox(home, script) as (daemon, sandbox):
        with daemon.connect() as client:
            login_id = client.call("account/login/start", {"type": "chatgptDeviceCode"})["loginId"]
            assert completion(client, login_id)["success"]
            before = json.loads((home / "auth.json").read_text())["tokens"]["refresh_token"]
            client.send("getAuthStatus", {"includeToken": True, "refreshToken": True})
            while [request.path for request in sandbox.requests].count("/oauth/token") < 2:
                time.sleep(0.01)  # until the token has been sent; the issuer takes its time now
            for _ in range(3):
                daemon.process.send_signal(signal.SIGTERM)
                time.sleep(0.1)  # so that each is a signal of its own
        assert daemon.process.wait(PATIENCE) == 0
        assert json.loads((home / "auth.json").read_text())["tokens"]["refresh_token"] != before
    paths = [request.path for request in sandbox.requests]
    assert [path for path in paths if not path.startswith("/backend-api/")][-1] == "/oauth/token"


def test_without_a_manager_sighup_reloads_too(manager: Manager) -> None:
    """It does not end a daemon that has no terminal; nothing is left after SIGTERM."""
    home = manager.home / "codex"
    home.mkdir()
    with running(home) as daemon:
        daemon.process.send_signal(signal.SIGHUP)
        with daemon.connect() as client:
            assert client.call("account/read", {})["account"] is None
        assert "Traceback" not in daemon.stop()
        assert daemon.process.returncode == 0
    assert {path.name for path in home.rglob("*")} == {"log", "accountd-daemons.jsonl", "run"}


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no user namespaces without unshare(1)")
def test_where_its_clients_have_no_number_it_serves_none(manager: Manager) -> None:
    """In a namespace that knows nobody it ends with one line, before it answers anybody on the socket."""
    number = manager.listener.fileno()
    command = ["unshare", "--user", sys.executable, "-c", _STARTER, str(number)]
    if subprocess.run(["unshare", "--user", "true"], check=False).returncode:
        pytest.skip("no user namespaces for this user")
    done = subprocess.run(
        command,
        env=environment(manager.home),
        capture_output=True,
        text=True,
        pass_fds=[number],
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "other users cannot be told from this one" in done.stderr
