"""Limits of a daemon as a process: clients for whom there is no place, and descriptors that run out."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.client.errors import ClientError
from accountd.config.toml import MAX_VALUES
from accountd.login.loopback import MAX_CONNECTIONS
from accountd.system.descriptors import KEPT_BACK
from fakes.client import NOBODY
from fakes.processes import PATIENCE, PORTS, running

if TYPE_CHECKING:
    pass

linux = pytest.mark.skipif(sys.platform != "linux", reason="prlimit and /proc are Linux's")


def descriptors(pid: int) -> int:
    """Count the open files of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def processor_time(pid: int) -> float:
    """Give the seconds of a processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_one_client_too_many_is_told_so(home: Path) -> None:
    """In its framing, and at once; the others are served on, and when one leaves there is a place again."""
    (home / "accountd.toml").write_text("[limits]\nconnections = 8\n")
    with running(home) as daemon, ExitStack() as crowd:
        clients = [crowd.enter_context(daemon.connect()) for _ in range(8)]
        for client in clients:
            assert client.call("account/read", {}) == NOBODY
        with pytest.raises(ClientError, match=r"Server overloaded; retry later\."), daemon.connect() as client:
            client.call("account/read", {})
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(daemon.path))
            sock.sendall(b"GET / HTTP/1.1\r\n")
            assert sock.recv(4096).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert clients[0].call("account/read", {}) == NOBODY
        clients.pop().close()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with daemon.connect() as client:
                    assert client.call("account/read", {}) == NOBODY
                    break
            except ClientError:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        log = daemon.stop()
    assert log.count("turning clients away: 8 of 8 places are taken") == 1


@linux
def test_running_out_of_descriptors_is_survived(home: Path) -> None:
    """New clients wait, those that are there are served; when there is room, all are. The log says both, once."""
    with running(home) as daemon, ExitStack() as crowd, daemon.connect() as client:
        assert client.call("account/read", {}) == NOBODY
        pid = daemon.process.pid
        limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = descriptors(pid)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 2, limit[1]))
        waiting = []
        for number in range(10):
            sock = crowd.enter_context(socket.socket(socket.AF_UNIX))
            sock.settimeout(PATIENCE)
            sock.connect(str(daemon.path))
            hello = {"id": number, "method": "initialize", "params": {"clientInfo": {"name": "x", "version": "1"}}}
            sock.sendall(json.dumps(hello).encode() + b"\n")
            waiting.append(sock)
        for sock in waiting[:2]:
            assert b'"result"' in sock.recv(4096)
        deadline = time.monotonic() + PATIENCE
        while descriptors(pid) < used + 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for _ in range(20):
            assert client.call("account/read", {}) == NOBODY
        waiting[5].settimeout(0.3)
        with pytest.raises(TimeoutError):
            waiting[5].recv(4096)
        waiting[5].settimeout(PATIENCE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        for sock in waiting[2:]:
            assert b'"result"' in sock.recv(4096)
        assert client.call("account/read", {}) == NOBODY
        log = daemon.stop()
    assert daemon.process.returncode == 0
    assert log.count("no more clients for now, until there is room: Too many open files (os error 24)") == 1
    assert log.count("there is room for clients again") == 1
    assert "Traceback" not in log


@linux
def test_a_low_limit_on_open_files_is_raised(home: Path) -> None:
    """As far as the clients need it, and a few are kept back; where it cannot be, fewer clients are let in."""
    ours = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, ours[1]))
        with running(home) as daemon:
            assert resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)[0] == min(4096 + KEPT_BACK, ours[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, ours)


NUMBERS = b"1e308," * 150_000
HELLO = b'{"id":0,"method":"initialize","params":{"clientInfo":{"name":"x","version":"1"}}}\n'


@linux
@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        (b"[%b1]", "expected `object`, got `array`"),
        (b'{"refreshToken":[%b1]}', "expected `bool`, got `array` - at `$.refreshToken`"),
        (b'{"refreshToken":5,"x":[%b1]}', "expected `bool`, got `int` - at `$.refreshToken`"),
    ],
)
def test_numbers_that_take_long_are_not_decoded(home: Path, params: bytes, complaint: str) -> None:
    """A megabyte of them, in params that are wrong, took two seconds of the whole daemon to refuse."""
    with running(home) as daemon, socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(daemon.path))
        lines = sock.makefile("rb")
        sock.sendall(HELLO)
        assert b'"result"' in lines.readline()
        used = processor_time(daemon.process.pid)
        sock.sendall(b'{"id":1,"method":"account/read","params":%b}\n' % (params % NUMBERS))
        assert complaint in json.loads(lines.readline())["error"]["message"]
        assert processor_time(daemon.process.pid) - used < 1


@linux
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (".".join(["a"] * 10_000) + " = 1", "1: a key has more than 16 parts"),
        ("a = [" + "1," * 240_000 + "]", f" has more than {MAX_VALUES} keys and values"),
        (
            'x = """\n' + "forced_login_method = 1\n" * 10_000 + '"""\nforced_login_method = 1',
            "10003: forced_login",
        ),
    ],
    ids=["a dotted key", "values", "lines like the one at fault"],
)
def test_a_configuration_that_would_take_long_is_refused(home: Path, text: str, complaint: str) -> None:
    """On SIGHUP the old one stays, clients are served, and no gigabyte is taken; each took seconds or a minute."""
    with running(home) as daemon, daemon.connect() as client:
        (home / "config.toml").write_text(text)
        daemon.process.send_signal(signal.SIGHUP)
        assert client.call("account/read", {}) == NOBODY
        assert daemon.process.stderr is not None
        told = next(line for line in daemon.process.stderr if "stays as it was" in line)
        assert f"{home}/config.toml:{complaint}" in told
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        assert int(status.partition("VmHWM:")[2].split()[0]) < 200 << 10


@linux
def test_what_a_crowd_made_it_keep_is_bounded_and_given_back(home: Path) -> None:
    """Lists, names, messages without an end and answers that are not read; meanwhile others are served."""

    def initialize(name: str, *unwanted: str) -> bytes:
        info, capabilities = {"name": name, "version": "1"}, {"optOutNotificationMethods": unwanted}
        params = {"clientInfo": info, "capabilities": capabilities}
        return json.dumps({"id": 0, "method": "initialize", "params": params}).encode() + b"\n"

    hoards = (
        initialize("x", *map(str, range(120_000))),
        initialize("x" * 500_000),
        b"x" * 1_000_000,
        initialize("x") + b"x" * 1_000_000,
        initialize("x") + b'{"id":1,"method":"account/read","params":{}}\n' * 20_000,
    )
    (home / "accountd.toml").write_text("[limits]\nkept_bytes = 8388608\n")
    with running(home) as daemon, daemon.connect() as client:
        assert client.call("account/read", {}) == NOBODY
        before = resident(daemon.process.pid)
        with ExitStack() as crowd:
            for number in range(100):
                sock = crowd.enter_context(socket.socket(socket.AF_UNIX))
                sock.settimeout(0.05)
                sock.connect(str(daemon.path))
                with suppress(OSError):  # it has been hung up on, or its answers are not taken in any more
                    sock.sendall(hoards[number % len(hoards)])
                assert client.call("account/read", {}) == NOBODY
            assert resident(daemon.process.pid) < before + (30 << 20)
        deadline = time.monotonic() + PATIENCE
        while resident(daemon.process.pid) > 1.2 * before:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert client.call("account/read", {}) == NOBODY


def resident(pid: int) -> int:
    """Give the bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) << 10


@linux
def test_a_crowd_that_comes_at_once_is_served(home: Path) -> None:
    """Also while the daemon has no time to accept anybody: none of 400 is turned away."""
    with running(home) as daemon, ExitStack() as crowd:
        daemon.process.send_signal(signal.SIGSTOP)
        clients = [crowd.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(400)]
        for client in clients:
            client.setblocking(False)
            client.connect(str(daemon.path))  # raises BlockingIOError where the queue is full
            client.send(HELLO)
        daemon.process.send_signal(signal.SIGCONT)
        for client in clients:
            client.settimeout(PATIENCE)
            assert client.recv(4096).startswith(b'{"id":0,"result":')


@linux
def test_it_holds_itself_to_a_limit(home: Path) -> None:
    """On its own data, by what its clients may use."""
    (home / "accountd.toml").write_text("[limits]\nconnections = 8\nguest_connections = 1\nkept_bytes = 8388608\n")
    with running(home) as daemon:
        soft, _ = resource.prlimit(daemon.process.pid, resource.RLIMIT_DATA)
        assert soft == (1 << 30) + 9 * (128 << 10) + 2 * 8388608


@linux
def test_a_crowd_at_the_port_of_a_login(home: Path) -> None:
    """Hundreds who say nothing, half a head, or ask without reading: few descriptors, and a browser gets in."""
    with running(home) as daemon, daemon.connect() as client, ExitStack() as crowd:
        client.call("account/login/start", {"type": "chatgpt"})
        before = descriptors(daemon.process.pid)
        for number in range(600):
            sock = crowd.enter_context(socket.create_connection(("127.0.0.1", PORTS[0]), PATIENCE))
            sock.sendall((b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")[number % 3])
            assert descriptors(daemon.process.pid) <= before + MAX_CONNECTIONS
        with socket.create_connection(("127.0.0.1", PORTS[0]), PATIENCE) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert browser.recv(4096).startswith(b"HTTP/1.1 404 ")
        assert client.call("account/read", {}) == NOBODY
