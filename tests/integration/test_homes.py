"""A real daemon with a CODEX_HOME that is mounted, read-only, linked, or on a file system that lacks something."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import accountd
from accountd.client.errors import CallFailed
from accountd.sandbox import Sandbox, Script
from compat.issuer import serve_issuer
from fakes.mounts import needs_mounts, wrap
from fakes.processes import PATIENCE, completion, environment, running, sandbox_on_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from accountd.client.blocking import Client

READ_ONLY = "mount --bind $home $home; mount --bind $home/run $home/run; mount -o remount,ro,bind $home"
KEY = {"type": "apiKey", "apiKey": "sk-a-key-of-this-test"}


@pytest.fixture
def sandbox() -> Iterator[str]:
    """Give the URL of an issuer that approves at once."""
    with sandbox_on_loopback(Sandbox(Script(approve_after_polls=0))) as url:
        yield url


def variables(home: Path, url: str) -> dict[str, str]:
    """Give what a daemon needs to go to the sandbox, and to keep its log to itself; the home has a folder `run`."""
    (home / "run").mkdir(exist_ok=True, mode=0o700)
    (home / "config.toml").write_text(f'chatgpt_base_url = "{url}/backend-api"\n')
    return {"CODEX_APP_SERVER_LOGIN_ISSUER": url, "XDG_STATE_HOME": str(home / "run" / "state")}


def log_in(client: Client) -> None:
    """Log in by a code."""
    started = client.call("account/login/start", {"type": "chatgptDeviceCode"})
    assert completion(client, started["loginId"])["success"]


def read_token(home: Path) -> str:
    """Give the refresh token that is stored."""
    token: str = json.loads((home / "auth.json").read_text())["tokens"]["refresh_token"]
    return token


def examine(home: Path, under: Sequence[str] = (), **environ: str) -> dict[str, Any]:
    """Give what the doctor finds."""
    command = [*under, sys.executable, "-m", "accountd", "doctor", "--json"]
    environ = environment(home, ACCOUNTD_SOCKET=str(home / "run" / "s"), **environ)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
    found: dict[str, Any] = json.loads(done.stdout)["checks"]
    return found


@needs_mounts
def test_a_credential_that_is_mounted_is_logged_in_refreshed_and_out(home: Path, sandbox: str) -> None:
    """All of which fails in Codex. The doctor's remedy is to mount the folder."""
    real = home / "real"
    real.mkdir()
    (real / "auth.json").touch(0o600)
    (home / "auth.json").touch(0o600)
    environ = variables(home, sandbox)
    mounted = wrap(f"mount --bind {real}/auth.json {home}/auth.json", [])
    with running(home, under=mounted, **environ) as daemon, daemon.connect() as client:
        log_in(client)
        before = read_token(real)
        client.call("getAuthStatus", {"refreshToken": True})
        assert read_token(real) != before
        client.call("account/logout", None)
        assert (real / "auth.json").read_text() == "null\n"
    found = examine(home, mounted, **environ)["home.files"]
    assert (found["status"], found["remediation"][:30]) == ("warning", "mount its folder instead of th")
    (home / "auth.json").unlink()
    (home / "auth.json").symlink_to("real/auth.json")
    assert examine(home, wrap(f"mount --bind {real} {real}", []), **environ)["home.files"]["status"] == "ok"


@needs_mounts
def test_a_home_that_is_read_only_serves_what_it_has(home: Path, sandbox: str) -> None:
    """A refresh is in memory, and status says what that means; a login fails before anybody approves it."""
    environ = variables(home, sandbox)
    with running(home, **environ) as daemon, daemon.connect() as client:
        log_in(client)
        daemon.stop()
    before, under = read_token(home), wrap(f"home={home}; {READ_ONLY}", [])
    with running(home, under=under, **environ) as daemon:
        with daemon.connect() as client:
            assert client.call("account/read", {})["account"] is not None
            assert client.call("getAuthStatus", {"refreshToken": True, "includeToken": True})["authToken"]
            assert "in memory alone; the login that is stored is spent" in str(
                client.call("accountd/status", {})["store"]
            )
            with pytest.raises(CallFailed, match=r"could not be stored: .*auth\.json cannot be written: Read-only"):
                client.call("account/login/start", {"type": "chatgptDeviceCode"})
            with pytest.raises(CallFailed, match=r"auth\.json cannot be removed: Read-only file system"):
                client.call("account/logout", None)
        found = examine(home, under, **environ)
        assert {
            name for name in found if found[name]["category"] in ("home", "auth") and found[name]["status"] != "ok"
        } == {
            "home.disk",
            "home.log",
            "auth.rehearsal",
        }
        log = daemon.stop()
    assert log.count("log cannot be written: Read-only") == 1
    assert read_token(home) == before
    assert [*(home / "run" / "state").rglob("accountd-audit.jsonl")]
    found = examine(home, **environ)
    assert {found[name]["status"] for name in ("home.disk", "home.log", "auth.rehearsal")} == {"ok"}


@needs_mounts
def test_a_verb_starts_a_daemon_on_a_home_that_is_read_only(home: Path) -> None:
    """Its log is among the state files."""
    environ = variables(home, "http://127.0.0.1:9")
    under = wrap(f"home={home}; {READ_ONLY}", [sys.executable, "-m", "accountd"])
    run = {"env": environment(home, ACCOUNTD_SOCKET=str(home / "run" / "s"), **environ), "capture_output": True}
    status = subprocess.run([*under, "status"], timeout=PATIENCE, check=False, text=True, **run)  # type: ignore[call-overload]  # of a dictionary
    assert "Not logged in" in status.stdout, status.stderr
    (log,) = (home / "run" / "state").rglob("accountd.log")
    assert f"{home} cannot be written: Read-only file system" in log.read_text()
    stop = "import sys; from fakes.processes import stop_daemon; stop_daemon(sys.argv[1])"
    path = {"PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", stop, str(home / "run" / "s")], check=True, env=environment(home, **path))


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_file_system_without_locks_is_told_of(home: Path) -> None:
    """At the start and by the doctor; one daemon goes on without, and a second one finds that it is there."""
    under = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:error=ENOSYS"]
    with running(home, under=under) as daemon:
        with daemon.connect() as client:
            client.call("account/login/start", KEY)
            second = [*under, sys.executable, "-m", "accountd", "serve", "--listen", f"unix://{daemon.path}"]
            done = subprocess.run(
                second, env=environment(home), capture_output=True, text=True, timeout=PATIENCE, check=False
            )
            assert "already in use by a running server" in done.stderr
            client.call("account/logout", None)
        found = examine(home, under)["home.files"]
        assert found["status"] == "warning"
        assert "has no locks (Function not implemented)" in found["summary"]
        assert daemon.stop().count(f"the file system of {home} has no locks (Function not implemented): use") == 1
    assert examine(home)["home.files"]["status"] == "ok"


def test_a_home_that_is_a_link_is_followed(home: Path, sandbox: str) -> None:
    """Once it leads elsewhere, whoever is logged in there is the account, and the one that a logout ends."""
    for name in ("a", "b"):
        (home / name).mkdir()
    (home / "link").symlink_to("a")
    (home / "b" / "auth.json").write_text('{"OPENAI_API_KEY": "sk-b"}')
    (home / "b" / "run").mkdir(mode=0o700)
    with running(home / "link", **variables(home / "link", sandbox)) as daemon, daemon.connect() as client:
        log_in(client)
        before = read_token(home / "a")
        (home / "link").unlink()
        (home / "link").symlink_to("b")
        deadline = time.monotonic() + PATIENCE
        while client.call("account/read", {})["account"]["type"] != "apiKey":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        client.call("account/logout", None)
        assert not (home / "b" / "auth.json").exists()
        assert read_token(home / "a") == before


_SLIM = """
set -e
root=$1 data=$2 shell=$3
mount -t tmpfs none "$root"
for place in /usr /bin /lib /lib64 {prefixes}; do
    [ -d "$place" ] || continue
    mkdir -p "$root$place"
    mount --rbind "$place" "$root$place"
done
mkdir -p "$root/proc" "$root/dev" "$root/data" "$root/tmp" "$root/etc"
mount --rbind /proc "$root/proc"
mount --bind /dev/null "$root/dev" 2>/dev/null || mount --rbind /dev "$root/dev"
if [ "$data" ]; then mount -t tmpfs none "$root/data"; chown 4242 "$root/data"; fi
mount -o remount,ro "$root"
exec chroot --userspec=4242:4242 --groups= "$root" /usr/bin/env -i PATH=/usr/bin:/bin $data /bin/sh -c "$shell"
"""


def run_in_slim_root(folder: Path, variables: str, shell: str) -> list[str]:
    """Run what a shell is told in a root that is read-only and has nothing, as a uid that is nobody's.

    `accountd` is the command. With variables there is a folder /data to write to.
    """
    package = Path(accountd.__file__).parents[2]
    prefixes = {sys.base_prefix, sys.prefix, str(package)}
    script = _SLIM.replace("{prefixes}", " ".join(sorted(prefixes)))
    accountd_command = f'accountd() {{ PYTHONPATH={package}/daemon {sys.executable} -m accountd "$@"; }}'
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    command += ["sh", "-c", script, "sh", str(folder), variables, f"{accountd_command}\ncd /\n{shell}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return (done.stdout + done.stderr).splitlines()


@needs_mounts
def test_a_root_that_has_nothing_is_enough_or_what_is_missing_is_told(tmp_path: Path) -> None:
    """No certificates, no home, no folder for temporary files, read-only, and a uid without a name."""
    (told,) = set(run_in_slim_root(tmp_path, "", "accountd status; accountd doctor; accountd logout"))
    assert "there is no home folder: HOME is not set, and no user has the uid 4242; set CODEX_HOME to a" in told
    *_, told = run_in_slim_root(tmp_path, "", "export CODEX_HOME=/data; accountd doctor")
    assert "no folder for temporary files, such as /tmp, can be written; set TMPDIR to one that can" in told
    shell = """
        export CODEX_HOME=/data/codex ACCOUNTD_SOCKET=/data/run/s
        echo sk-of-nobody | accountd login --with-api-key
        accountd status | head -1
        accountd doctor --json > /data/found; echo doctor $?
        accountd logout
    """
    assert run_in_slim_root(tmp_path, "A=B", shell) == [
        "Logged in with an API key.",
        "Logged in with an API key.",
        "doctor 1",  # there is no network either
        "Logged out.",
    ]


@needs_mounts
def test_a_login_in_a_root_that_has_nothing(tmp_path: Path) -> None:
    """With a code, by a proxy that breaks TLS; then a refresh and a logout. Without an authority it is told so."""
    (tmp_path / "root").mkdir()
    with serve_issuer(tmp_path) as served:
        shell = f"""
            export CODEX_HOME=/data/codex ACCOUNTD_SOCKET=/data/run/s
            accountd login 2>&1 | grep -o 'no certificates of authorities: install'
            echo '{served.ca_file.read_text()}' > /data/ca.pem
            export CODEX_CA_CERTIFICATE=/data/ca.pem
            accountd login 2>/data/said | tail -1
            accountd token --min-valid 2h | wc -l
            accountd logout
        """
        told = run_in_slim_root(tmp_path / "root", f"HTTPS_PROXY={served.proxy}", shell)
        paths = [asked.path for asked in served.issuer.asked if asked.host == "auth.openai.com"]
    assert told == [
        "no certificates of authorities: install",
        "Logged in with ChatGPT as dev@example.com.",
        "1",
        "Logged out.",
    ]
    assert paths[-3:] == ["/oauth/token", "/oauth/token", "/oauth/revoke"]
