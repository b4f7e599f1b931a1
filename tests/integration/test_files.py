"""A real daemon whose files others have put there, or may write to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from accountd.client.errors import CallFailed
from accountd.storage.document import parse_record, render_record
from fakes.processes import PATIENCE, environment, running
from fakes.records import log_in, refresh

if TYPE_CHECKING:
    from pathlib import Path


def run(home: Path, *verb: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a verb to its end."""
    command = [sys.executable, "-m", "accountd", *verb]
    environ = environment(home, ACCOUNTD_SOCKET=str(home / "s"), **variables)
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize("kind", ["pipe", "device", "sparse file"])
def test_a_configuration_without_an_end_stops_nobody(kind: str, home: Path) -> None:
    """At the start it is one line, to the doctor a finding, and at SIGHUP a line in the log, which goes on."""
    path = home / "config.toml"
    words = "larger than 1048576 bytes" if kind == "sparse file" else "Not a regular file"
    with running(home) as daemon:
        match kind:
            case "pipe":
                os.mkfifo(path)
            case "device":
                path.symlink_to("/dev/zero")
            case _:
                path.touch()
                os.truncate(path, 3 << 30)
        start = run(home, "serve")
        assert (start.returncode, start.stderr.count("\n")) == (1, 1)
        assert f"{path}: cannot be read: {words}" in start.stderr
        assert f"{path}: cannot be read: {words}" in run(home, "doctor").stdout
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.2)  # so that it is not at the same time as the next signal
        with daemon.connect() as client:
            assert client.call("account/read", {})["account"] is None
        assert f"{path}: cannot be read: {words}" in daemon.stop()


def test_a_configuration_of_somebody_else_s_is_not_used(home: Path) -> None:
    """Where others may write, they could have the token sent to a backend of theirs. The remedy is told."""
    home.chmod(0o777)
    start = run(home, "serve")
    assert (start.returncode, start.stderr.count("\n")) == (1, 1)
    assert f"other users can write to {home}: mode 0777; `chmod go-w {home}`" in start.stderr
    report = json.loads(run(home, "doctor", "--json").stdout)["checks"]
    assert {report[name]["remediation"] for name in ("config.load", "home.modes")} == {f"`chmod go-w {home}`"}
    subprocess.run(["sh", "-c", report["home.modes"]["remediation"].strip("`")], check=True)
    with running(home) as daemon, daemon.connect() as client:
        assert client.call("accountd/status", {})["trustsUnsafePaths"] is False


def test_a_container_may_have_it_otherwise(home: Path) -> None:
    """The daemon starts, its log and `accountd status` say what was given up."""
    home.chmod(0o777)
    with running(home, ACCOUNTD_TRUST_UNSAFE_PATHS="1") as daemon:
        with daemon.connect() as client:
            assert client.call("accountd/status", {})["trustsUnsafePaths"] is True
        environ = environment(home, ACCOUNTD_SOCKET=str(daemon.path))
        command = [sys.executable, "-m", "accountd", "status"]
        said = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert "ACCOUNTD_TRUST_UNSAFE_PATHS is set" in said.stdout
        assert "ACCOUNTD_TRUST_UNSAFE_PATHS is set: paths are used that other users may write to" in daemon.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a file belong to another user")
@pytest.mark.parametrize("planted", ["config.toml", "accountd.toml", "auth.json", "log"])
def test_what_another_user_has_planted_is_not_used(planted: str, home: Path) -> None:
    """Neither a file of theirs nor a link: what it leads to, though it is ours, is neither read nor replaced."""
    home.chmod(0o1777)  # as /tmp: everybody may put something there
    precious = home / "precious"
    precious.mkdir()
    (precious / "accountd-audit.jsonl").write_text("mine")
    (precious / "file").write_text("mine")
    link = home / planted
    link.symlink_to(precious if planted == "log" else precious / "file")
    os.chown(link, 65534, 65534, follow_symlinks=False)
    if planted in ("auth.json", "log"):
        with running(home, XDG_STATE_HOME=str(home / "state")) as daemon:
            with daemon.connect() as client:
                params = {"type": "apiKey", "apiKey": "sk-a-key-of-this-test"}
                if planted == "auth.json":
                    with pytest.raises(CallFailed, match=r"auth.json belongs to .*65534"):
                        client.call("account/login/start", params)
                else:
                    client.call("account/login/start", params)
            assert f"{link} belongs to " in daemon.stop() or planted == "auth.json"
    else:
        assert f"{link} belongs to " in run(home, "serve").stderr
    assert {path.read_text() for path in precious.iterdir()} == {"mine"}


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can be another user")
def test_another_user_s_lock_stops_nothing(home: Path) -> None:
    """Stock Codex's lock file is open to all; a login and a logout take no longer for whoever has it locked."""
    home.chmod(0o755)
    (home / "auth.lock").touch(0o644)
    take = "import fcntl, os; os.setuid(65534); fcntl.flock(os.open(input(), 0), 2); print(); input()"
    with subprocess.Popen([sys.executable, "-I", "-c", take], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        print(home / "auth.lock", file=process.stdin, flush=True)
        process.stdout.readline()
        with running(home) as daemon:
            begun = time.monotonic()
            with daemon.connect() as client:
                client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-a-key-of-this-test"})
                client.call("account/logout", None)
            assert time.monotonic() - begun < PATIENCE / 2
            assert f"(pid {process.pid}, uid 65534), no program of yours" in daemon.stop()
        process.stdin.close()


def test_a_start_takes_over_what_a_crash_has_left_and_a_logout_leaves_nothing(home: Path) -> None:
    """The new tokens of a refresh that was killed before it could name them are the login."""
    stored = log_in()
    (home / "auth.json").write_bytes(render_record(stored))
    (home / ".auth.json.0123456789abcdef.tmp").write_bytes(render_record(refresh(stored)))
    with running(home, CODEX_APP_SERVER_LOGIN_ISSUER="http://127.0.0.1:9") as daemon:  # where nobody answers
        assert parse_record((home / "auth.json").read_bytes()) == refresh(stored)
        (home / "auth.json.corrupt-20270115T080000").write_bytes(render_record(stored))
        with daemon.connect() as client:
            client.call("account/logout", None)
        assert "its tokens are taken over" in daemon.stop()
    assert not [path.name for path in home.rglob("*auth.json*") if path.suffix != ".lock"]
