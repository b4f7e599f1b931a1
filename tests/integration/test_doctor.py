"""`accountd doctor` on a real daemon with a real issuer: healthy first, then with faults, and their remedies."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from accountd.doctor.checks import CHECKS
from accountd.sandbox import Script
from fakes.processes import environment, running_with_sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.processes import Daemon


def examine(daemon: Daemon, home: Path, **variables: str) -> tuple[int, dict[str, Any]]:
    """Run the verb as a process; give its exit code and the checks of its report."""
    environ = environment(home, ACCOUNTD_SOCKET=str(daemon.path), **variables)
    command = [sys.executable, "-m", "accountd", "doctor", "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=50)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)["checks"]


def test_a_healthy_machine_then_faults_then_remedies(home: Path, loopback: None) -> None:
    """Nothing fails; each fault fails its own check with exit code 1, and what the remedy says mends it."""
    with running_with_sandbox(home, Script(approve_after_polls=0)) as (daemon, _):
        backend = (home / "config.toml").read_text()
        issuer = backend.split('"')[1].removesuffix("/backend-api")
        with daemon.connect() as client, client.login_device_code() as login:
            login.wait()
        code, checks = examine(daemon, home, CODEX_APP_SERVER_LOGIN_ISSUER=issuer)
        assert [*checks] == [check.name for check in CHECKS]
        told = {name: check["summary"] for name, check in checks.items() if check["status"] != "ok"}
        told.pop("login.ports", None)  # which are the machine's
        assert (code, told) == (0, {})
        assert checks["network.issuer"]["summary"] == f"{issuer} answers: 200 OK"
        assert checks["network.clock"]["summary"] == "within 60 s of the issuer's"

        (home / "auth.json").chmod(0o644)
        code, checks = examine(daemon, home, CODEX_APP_SERVER_LOGIN_ISSUER="http://127.0.0.1:9")
        failed = {name: check for name, check in checks.items() if check["status"] == "fail"}
        assert (code, {*failed} - {"login.ports"}) == (1, {"home.modes", "network.issuer"})
        assert "Connection refused" in failed["network.issuer"]["summary"]
        assert checks["daemon.environment"]["summary"] == (
            f"CODEX_APP_SERVER_LOGIN_ISSUER is {issuer} in the daemon, and http://127.0.0.1:9 here"
        )
        subprocess.run(["sh", "-c", failed["home.modes"]["remediation"].strip("`")], check=True)

        daemon.stop()
        code, checks = examine(daemon, home, CODEX_APP_SERVER_LOGIN_ISSUER=issuer)
        assert (code, checks["daemon.status"]["status"], checks["home.modes"]["status"]) == (0, "warning", "ok")
        assert checks["auth.credential"]["status"] == "ok"


def test_ctrl_c_ends_it_without_a_traceback(home: Path) -> None:
    """While it waits for an issuer that says nothing; exit code 130, and not a word of that."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environ = environment(home, CODEX_APP_SERVER_LOGIN_ISSUER=url, ACCOUNTD_SOCKET=str(home / "s"))
        command = [sys.executable, "-m", "accountd", "doctor"]
        with subprocess.Popen(command, env=environ, stdout=-1, stderr=-1, text=True) as process:
            silent.settimeout(20)
            connection, _ = silent.accept()
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=20)[1] == ""
            connection.close()
    assert process.returncode == 130
