"""The token socket of a real daemon, whose guests do what they can: to the others, to the login, to the folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accountd.client.blocking import Client
from accountd.client.errors import ClientError, NothingListens
from accountd.sandbox import Sandbox, Script
from fakes.processes import PATIENCE, Daemon, completion, environment, running, sandbox_on_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HELLO = b'{"id":0,"method":"initialize","params":{"clientInfo":{"name":"guest","version":"1"}}}\n'
FLOOD = 1.0
"""Seconds of it."""

GUESTS = 8


@pytest.fixture
def hatch(home: Path) -> Path:
    """Give the path of the token socket, whose folder would be mounted."""
    return home / "box" / "s"


@contextmanager
def logged_in(home: Path, hatch: Path) -> Iterator[tuple[Daemon, Sandbox]]:
    """Run a daemon with somebody logged in, and a token socket."""
    sandbox = Sandbox(Script(approve_after_polls=0, interval=0))
    with sandbox_on_loopback(sandbox) as url:
        (home / "config.toml").write_text(f'chatgpt_base_url = "{url}/backend-api"\n')
        options = ("--token-socket", f"unix://{hatch}")
        with running(home, *options, CODEX_APP_SERVER_LOGIN_ISSUER=url) as daemon:
            with daemon.connect() as client:
                started = client.call("account/login/start", {"type": "chatgptDeviceCode"})
                completion(client, started["loginId"])
                client.call("account/read", {})
            yield daemon, sandbox


def wait_for_token_socket(hatch: Path) -> None:
    """Wait until a guest can connect, and is answered."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(ClientError), Client(str(hatch), timeout=PATIENCE):
            return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def read_status(daemon: Daemon) -> dict[str, Any]:
    """Ask how the daemon is."""
    with daemon.connect() as client:
        status: dict[str, Any] = client.call("accountd/status", {})
        return status


GUEST = """
import os, socket, sys, time
os.nice(19)  # so that it waits for the daemon, which is tried, and not the others for a processor
path, request, end = sys.argv[1], sys.argv[2].encode() + b"\\n", time.monotonic() + float(sys.argv[3])
hello, anew = sys.argv[4].encode(), sys.argv[5] == "anew"
guest, received = None, 0
while (left := end - time.monotonic()) > 0:
    try:
        if guest is None:
            guest = socket.socket(socket.AF_UNIX)
            guest.settimeout(left)
            guest.connect(path)
            guest.sendall(hello)
        guest.settimeout(left)
        guest.sendall(request if anew else request * 16)
        received += len(guest.recv(65536))
    except OSError:
        time.sleep(0.001)
    if anew and guest is not None:
        guest.close()
        guest = None
print(received)
"""


def innocent(daemon: Daemon, seconds: float) -> float:
    """Be a client of the main socket; give the milliseconds within which 99 of 100 answers came."""
    took = []
    with daemon.connect() as client:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            start = time.monotonic()
            client.call("account/read", {})
            took.append(time.monotonic() - start)
            time.sleep(0.002)
    return 1000 * sorted(took)[len(took) * 99 // 100]


def size_of(folder: Path, pattern: str) -> int:
    """Add the sizes of files up."""
    return sum(path.stat().st_size for path in folder.glob(pattern))


@pytest.mark.parametrize("anew", ["", "anew"])
@pytest.mark.parametrize(
    "request_", [("getAuthStatus", {"includeToken": True, "refreshToken": True}), ("account/logout", None)]
)
def test_a_flood_of_guests_takes_nothing_from_the_others(
    home: Path, hatch: Path, request_: tuple[str, object], anew: str
) -> None:
    """Eight that ask as fast as they can: one refresh, a small log, and a host's client that notices little."""
    method, params = request_
    asked = json.dumps({"id": 1, "method": method, "params": params})
    with logged_in(home, hatch) as (daemon, sandbox):
        audited = size_of(home / "log", "accountd-audit.jsonl*")
        quiet = innocent(daemon, 0.5)
        spent = sum(request.path == "/oauth/token" for request in sandbox.requests)
        command = [sys.executable, "-S", "-c", GUEST, str(hatch), asked, str(FLOOD), HELLO.decode(), anew]
        with ExitStack() as guests:
            for _ in range(GUESTS):
                guests.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
            flooded = innocent(daemon, FLOOD)
        assert sum(request.path == "/oauth/token" for request in sandbox.requests) - spent <= 1
        assert size_of(home / "log", "accountd-audit.jsonl*") == audited
        assert size_of(home / "log", "accountd-audit-guests.jsonl*") < 16 << 10
        assert flooded < 20 * max(quiet, 1)  # a millisecond is as quiet as a shared machine gets
        found = read_status(daemon)["tokenSocket"]
        assert found["refreshesMade"] <= 1
        assert found["trouble"] is None
        log = daemon.stop()
    assert len(log) < 16 << 10
    assert "Traceback" not in log


def test_guests_have_places_of_their_own(home: Path, hatch: Path) -> None:
    """One too many of them is told so, and the other clients have all of theirs."""
    (home / "accountd.toml").write_text("[limits]\nconnections = 8\nguest_connections = 4\n")
    with running(home, "--token-socket", f"unix://{hatch}") as daemon, ExitStack() as crowd:
        for _ in range(4):
            crowd.enter_context(Client(str(hatch)))
        with pytest.raises(ClientError, match=r"Server overloaded; retry later\."):
            Client(str(hatch))
        for _ in range(7):
            crowd.enter_context(daemon.connect())
        found = read_status(daemon)["tokenSocket"]
        assert (found["connections"], found["connectionsRefused"]) == (4, 1)
        log = daemon.stop()
    assert log.count("turning clients away: 4 of 4 places are taken [door=token]") == 1


PLANTED: dict[str, Callable[[Path], object]] = {
    "file": Path.touch,
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "link": lambda path: path.symlink_to("/etc/passwd"),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_planted_at_its_path_does_not_keep_the_daemon_from_starting(
    home: Path, hatch: Path, planted: str
) -> None:
    """The log, the status and the doctor say what is in the way; without it, guests are served."""
    hatch.parent.mkdir()
    PLANTED[planted](hatch)
    (hatch.parent / "s.lock").mkdir()
    with running(home, "--token-socket", f"unix://{hatch}") as daemon:
        with daemon.connect() as client:
            assert client.call("account/read", {})["account"] is None
        assert "exists and is not a socket" in read_status(daemon)["tokenSocket"]["trouble"]
        doctor = [sys.executable, "-m", "accountd", "doctor", "--json"]
        variables = {"CODEX_HOME": str(home), "ACCOUNTD_SOCKET": str(daemon.path), "PATH": os.environ["PATH"]}
        report = subprocess.run(doctor, env=variables, stdout=subprocess.PIPE, check=False, timeout=60)
        check = json.loads(report.stdout)["checks"]["socket.token"]
        assert check["status"] == "fail"
        assert str(hatch) in check["summary"]
        hatch.rename(home / "gone")
        wait_for_token_socket(hatch)
        assert read_status(daemon)["tokenSocket"]["trouble"] is None
        log = daemon.stop()
    assert log.count("ERROR accountd.server.token_socket") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_a_socket_that_a_container_removes_comes_back(home: Path, hatch: Path) -> None:
    """Within seconds, and the main socket has noticed nothing."""
    with running(home, "--token-socket", f"unix://{hatch}") as daemon, daemon.connect() as client:
        wait_for_token_socket(hatch)
        hatch.unlink()
        wait_for_token_socket(hatch)
        assert client.call("account/read", {})["account"] is None
        assert read_status(daemon)["tokenSocket"]["trouble"] is None
    with suppress(NothingListens), pytest.raises(ClientError):
        Client(str(hatch))


MOUNTED = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
folder, target = (os.fsencode(path) for path in sys.argv[1:])
CLONE_NEWNS, MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 1, 32, 4096, 16384, 1 << 18
def mount(*arguments):
    if libc.mount(*arguments) < 0:
        sys.exit(77)
if libc.unshare(CLONE_NEWNS) < 0:
    sys.exit(77)
mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
mount(folder, target, None, MS_BIND, None)
mount(None, target, None, MS_BIND | MS_REMOUNT | MS_RDONLY, None)
try:
    os.unlink(os.path.join(target, b"s"))
except OSError as error:
    print(error.strerror)
with socket.socket(socket.AF_UNIX) as guest:
    guest.connect(os.path.join(target, b"s"))
    guest.sendall(sys.stdin.buffer.read())
    print(guest.recv(4096).decode())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mounts are Linux's")
def test_a_folder_that_is_mounted_read_only_will_do(home: Path, hatch: Path) -> None:
    """A container can connect there, and neither remove nor replace the socket."""
    target = home / "mounted"
    target.mkdir()
    with running(home, "--token-socket", f"unix://{hatch}"):
        wait_for_token_socket(hatch)
        command = [sys.executable, "-c", MOUNTED, str(hatch.parent), str(target)]
        done = subprocess.run(command, input=HELLO, stdout=subprocess.PIPE, check=False, timeout=PATIENCE)
    if done.returncode == 77:
        pytest.skip("nothing can be mounted here")
    refused, answer = done.stdout.decode().splitlines()[:2]
    assert refused == "Read-only file system"
    assert '"result"' in answer


def test_a_guest_is_named_in_both_logs(home: Path, hatch: Path) -> None:
    """The door that it came by is told, and what it did is in a file of its own."""
    with running(home, "--token-socket", f"unix://{hatch}") as daemon:
        wait_for_token_socket(hatch)
        with daemon.connect() as client:
            client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-canary-of-a-guest"})
        before = (home / "log" / "accountd-audit.jsonl").read_bytes()
        with Client(str(hatch)) as guest, socket.socket(socket.AF_UNIX):
            assert guest.call("getAuthStatus", {"includeToken": True})["authToken"]
            with pytest.raises(ClientError):
                guest.call("account/logout", None)
        log = daemon.stop()
    [event] = map(json.loads, (home / "log" / "accountd-audit-guests.jsonl").read_text().splitlines())
    assert (event["event"], event["door"], event["pid"]) == ("token.handedOut", "token", os.getpid())
    assert (home / "log" / "accountd-audit.jsonl").read_bytes() == before
    [refusal] = [line for line in log.splitlines() if "was refused" in line]
    assert "door=token" in refusal


def test_a_daemon_that_runs_is_told_to_open_one(home: Path, hatch: Path) -> None:
    """By the verb, or by its configuration at a reload, which moves it; verbs get a token there, and no more."""
    accountd = [sys.executable, "-m", "accountd"]
    with running(home) as daemon:
        environ = environment(home, ACCOUNTD_SOCKET=str(daemon.path))

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*accountd, *arguments], env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False
            )

        with daemon.connect() as client:
            client.login_api_key("sk-test")
        assert run("token-socket").returncode == 1
        assert run("token-socket", "open", str(hatch)).stdout == f"{hatch}\n"
        assert run("token", "--socket", str(hatch)).stdout == "sk-test\n"
        assert "hands out tokens alone" in run("logout", "--socket", str(hatch)).stderr
        refused = run("token-socket", "open", str(daemon.path.parent / "s"))
        assert (refused.returncode, "give it a folder of its own" in refused.stderr) == (1, True)
        moved = hatch.with_name("moved")
        (home / "accountd.toml").write_text(f'[token_socket]\npath = "{moved}"\n')
        daemon.process.send_signal(signal.SIGHUP)
        wait_for_token_socket(moved)
        assert not hatch.exists()
        assert run("token-socket", "close").returncode == 0
        assert read_status(daemon)["tokenSocket"] is None
