"""The log and the audit log of a real daemon: who did what, told by the kernel's word and nobody else's."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accountd import paths
from accountd.client.blocking import Client
from accountd.client.errors import CallFailed
from accountd.sandbox import Sandbox, Script
from fakes.processes import PATIENCE, Daemon, completion, environment, sandbox_on_loopback, wait_until_it_listens

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk-logged-5f0c"
DEVICE = {"type": "chatgptDeviceCode"}


@contextmanager
def serving(home: Path, *options: str, **variables: str) -> Iterator[Daemon]:
    """Run a daemon with options, until it listens."""
    path = home / "s"
    command = [sys.executable, "-m", "accountd", "serve", "--listen", f"unix://{path}", *options]
    with subprocess.Popen(
        command, env=environment(home, **variables), stderr=subprocess.PIPE, text=True, cwd="/"
    ) as process:
        try:
            wait_until_it_listens(path, process).close()
            yield Daemon(process, path)
        finally:
            process.kill()


def audited(home: Path) -> list[dict[str, Any]]:
    """Read the audit log."""
    return [json.loads(line) for line in (home / "log" / "accountd-audit.jsonl").read_text().splitlines()]


def test_each_event_is_a_line_that_says_whose_it_is(home: Path) -> None:
    """As JSON, every line is an object; a login's have its id, its connection and request, and its client's pid."""
    sandbox = Sandbox(Script(approve_after_polls=0))
    with (
        sandbox_on_loopback(sandbox) as url,
        serving(home, "--log-format", "json", "--log-level", "debug", CODEX_APP_SERVER_LOGIN_ISSUER=url) as daemon,
        daemon.connect() as client,
    ):
        with pytest.raises(CallFailed):
            client.call("account/login/cancel", {"loginId": "none\nforged"})
        login_id = client.call("account/login/start", DEVICE)["loginId"]
        assert completion(client, login_id)["success"]
        client.call("getAuthStatus", {"includeToken": True})
        lines = [json.loads(line) for line in daemon.stop().splitlines()]
    who = {"pid": os.getpid(), "uid": os.getuid(), "connection": 2}
    told = {line["message"]: {name: line.get(name) for name in (*who, "request", "login")} for line in lines}
    nobody = dict.fromkeys((*who, "request", "login"))
    assert told["connected"] | {"connection": 2} == {**who, "request": None, "login": None}
    assert told["'account/login/cancel' was refused (-32600)"] == {**who, "request": 2, "login": None}
    assert told["the login waits for the person"] == {**who, "request": 3, "login": login_id}
    assert told["the login has completed"] == {**who, "request": 3, "login": login_id}
    assert told["stopping on SIGTERM"] == nobody
    assert {line["level"] for line in lines} >= {"debug", "info"}
    assert "forged" not in str(lines)

    events = [{key: event[key] for key in event if key not in ("time", "client")} for event in audited(home)]
    begun = {**who, "request": 3, "login": login_id, "method": "chatgptDeviceCode"}
    assert events == [
        {"event": "login.started", **begun},
        {"event": "login.completed", **begun},
        {"event": "token.handedOut", **who, "request": 4, "mode": "chatgpt"},
    ]
    assert all(event["client"] for event in audited(home))


def test_the_journal_is_recognised(home: Path) -> None:
    """Where stderr is the stream that the journal reads, lines begin with their level, and have no time."""
    reader, writer = os.pipe()
    found = os.fstat(writer)
    command = [sys.executable, "-m", "accountd", "serve", "--listen", "stdio://"]
    stream = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
    subprocess.run(
        command,
        env=environment(home, **stream),
        stdin=subprocess.DEVNULL,
        stderr=writer,
        timeout=PATIENCE,
        check=True,
    )
    os.close(writer)
    with os.fdopen(reader) as log:
        first, *_, last = log.read().splitlines()
    assert first == f"<6>accountd.daemon: serving standard input for {home}"
    assert last == "<6>accountd.daemon: stopped"


@pytest.mark.parametrize("form", ["json", "journald"])
def test_what_cannot_be_started_says_so_in_the_same_format(home: Path, form: str) -> None:
    """Whoever reads every line as JSON, or as the journal does, can read the last one as well."""
    (home / "config.toml").write_text("forced_login_method = 1")
    command = [sys.executable, "-m", "accountd", "serve", "--listen", f"unix://{home}/s", "--log-format", form]
    done = subprocess.run(
        command, env=environment(home), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    [line] = done.stderr.splitlines()
    assert done.returncode == 1
    if form == "json":
        assert (event := json.loads(line))["level"] == "critical"
        assert "forced_login_method must be one of" in event["message"]
    else:
        assert line.startswith("<2>accountd.daemon: ")


def test_an_audit_log_that_cannot_be_written_fails_nothing(home: Path) -> None:
    """Where its folder cannot be made, a login works as ever, and the log warns once."""
    (home / "log").touch()
    with serving(home) as daemon, Client(str(daemon.path)) as client:
        client.call("account/login/start", {"type": "apiKey", "apiKey": KEY})
        assert client.call("getAuthStatus", {"includeToken": True})["authToken"] == KEY
        client.call("account/logout", None)
        assert daemon.stop().count("the audit log") == 1


def test_it_can_be_turned_off(home: Path) -> None:
    """With --no-audit-log there is no file of it."""
    with serving(home, "--no-audit-log") as daemon, Client(str(daemon.path)) as client:
        client.call("account/login/start", {"type": "apiKey", "apiKey": KEY})
        daemon.stop()
    assert not (home / paths.AUDIT_LOG).exists()


def test_what_a_daemon_left_that_was_killed_stops_nobody(home: Path) -> None:
    """Killed at any moment, a daemon leaves a socket and a lock that the next one takes over, and then removes."""
    for milliseconds in (0, 50, 150, 250, 400):
        with subprocess.Popen(
            [sys.executable, "-m", "accountd", "serve", "--listen", f"unix://{home}/s"],
            env=environment(home),
            stderr=subprocess.DEVNULL,
        ) as killed:
            with pytest.raises(subprocess.TimeoutExpired):
                killed.wait(milliseconds / 1000)
            killed.kill()
    with serving(home) as daemon:
        daemon.stop(signal.SIGKILL)
    assert {path.name for path in home.iterdir()} == {"log", "s", "s.lock"}
    with serving(home) as daemon:
        with Client(str(daemon.path)) as client:
            client.call("account/read", {})
        assert (home / "s.lock").read_text() == f"{daemon.process.pid}\n"
        daemon.stop()
    assert [path.name for path in home.iterdir()] == ["log"]


def come_and_go(path: Path, times: int) -> None:
    """Connect and leave, which is two lines each time of a log for debugging."""
    for _ in range(times):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))


def test_a_log_that_nobody_reads_stops_nobody(home: Path) -> None:
    """Who starts a daemon and does not read its stderr is served all the same; what they missed is counted."""
    with serving(home, "--log-level", "debug") as daemon:
        come_and_go(daemon.path, 3000)
        with Client(str(daemon.path), timeout=PATIENCE) as client:
            assert client.call("account/read", {})["account"] is None
        log = daemon.stop()
    assert re.search(r"WARNING accountd.logs.handler: \d+ lines are lost, since nobody read them in time\n", log)
    assert log.endswith("accountd.daemon: stopped\n")


def test_a_log_that_nobody_reads_does_not_keep_a_daemon_from_ending(home: Path) -> None:
    """Nor one that is full: the last lines are waited for, but not for long."""
    with serving(home, "--log-level", "debug") as daemon:
        come_and_go(daemon.path, 500)
        with Client(str(daemon.path)) as client:
            client.call("account/read", {})  # when that is answered, a signal is heard as well
        daemon.process.terminate()
        assert daemon.process.wait(PATIENCE) == 0


def test_no_text_of_a_client_is_in_the_log(home: Path) -> None:
    """Neither a method that nobody knows, nor the id of an account that it made up."""
    canary = "canary-5f0c"
    with serving(home) as daemon, Client(str(daemon.path)) as client:
        for method, params in (
            (canary, {}),
            (f"thread/{canary}", {}),
            ("account/login/cancel", {"loginId": canary}),
            ("account/login/start", {"type": "apiKey", "apiKey": [canary]}),
        ):
            with suppress(CallFailed):
                client.call(method, params)
        log = daemon.stop()
    assert log.count("unknown method was refused") == 2
    assert "'account/login/start' was refused" in log
    assert canary not in log
    assert canary not in json.dumps(audited(home) if (home / paths.AUDIT_LOG).exists() else [])


def test_the_log_of_a_daemon_that_was_started_is_bounded(home: Path) -> None:
    """When it is full it becomes `.1`, and the daemon goes on in a new file, with its standard output, too."""
    (home / "log").mkdir(mode=0o700)
    log = home / "log" / "accountd.log"
    log.write_bytes(b"x" * (1 << 20))
    log.chmod(0o600)
    command = [sys.executable, "-m", "accountd", "serve", "--listen", f"unix://{home}/s"]
    with (
        log.open("ab") as file,
        subprocess.Popen(command, env=environment(home), stdout=file, stderr=file, text=True, cwd="/") as process,
    ):
        wait_until_it_listens(home / "s", process).close()
        with Client(str(home / "s")) as client:
            client.call("account/read", {})
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert [line.partition(" INFO ")[2] for line in log.read_text().splitlines()] == [
        f"accountd.daemon: serving {home}/s for {home}",
        "accountd.signals: stopping on SIGTERM",
        "accountd.daemon: stopped",
    ]
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.with_name("accountd.log.1").stat().st_size == 1 << 20
