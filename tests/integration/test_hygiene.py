"""What the process of a daemon lets others see of it, on the real thing: nothing, in any locale."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accountd.client.blocking import Client
from accountd.sandbox import Script
from fakes.processes import (
    PATIENCE,
    completion,
    environment,
    running,
    running_with_sandbox,
    wait_until_it_listens,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
NOBODY = 65534
ALONE: Any = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
"""How to start a program that is not root: root may attach to anything."""
KEY = "sk-hygiene-5f0c"

LAUNCH = """
import ctypes, os, sys, time
# All that is imported later too, while this user can read where Python and accountd are installed.
import accountd.cli.serve, accountd.client.errors, accountd.daemon
if os.getuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # dumpable again, which changing the user ends, as a program just started is
"""
SERVE = "from accountd.cli import main; sys.exit(main(['serve', '--listen', 'unix://' + sys.argv[1]]))"
SLEEP = "print(flush=True); time.sleep(60)"
ATTACH = """
libc, pid = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])
if libc.ptrace(16, pid, None, None):  # PTRACE_ATTACH
    sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(pid, 0x40000000)  # __WALL
libc.ptrace(17, pid, None, None)  # PTRACE_DETACH
"""


def alone(program: str, *arguments: str) -> list[str]:
    """Give the command that runs a program of Python as a user who is not root."""
    return [sys.executable, "-c", LAUNCH + program, *arguments]


@contextmanager
def running_alone(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a daemon that is not root, until it listens."""
    if ALONE:
        os.chown(home, NOBODY, NOBODY)
    command = alone(SERVE, f"{home}/s")
    with subprocess.Popen(command, env=environment(home), stderr=subprocess.PIPE, text=True, cwd="/") as process:
        try:
            wait_until_it_listens(home / "s", process).close()
            yield process
        finally:
            process.kill()


@contextmanager
def sleeping_alone() -> Iterator[subprocess.Popen[str]]:
    """Run a process of the same user that nothing protects."""
    with subprocess.Popen(
        alone(SLEEP), env={"CANARY": "1", **environment(Path("/"))}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def attempt(*command: str, **user: Any) -> subprocess.CompletedProcess[str]:
    """Run something, as the same user."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, cwd="/", stdin=subprocess.DEVNULL, **user
    )


@linux
def test_no_program_of_the_same_user_can_attach(home: Path) -> None:
    """Attaching works with an ordinary process and not with the daemon, which goes on."""
    with sleeping_alone() as other, running_alone(home) as daemon:
        allowed = attempt(*alone(ATTACH, str(other.pid)))
        if allowed.returncode:
            pytest.skip(f"the system lets nobody attach to anything: {allowed.stderr}")
        refused = attempt(*alone(ATTACH, str(daemon.pid)))
        assert refused.stderr == "Operation not permitted\n"
        wait_until_it_listens(home / "s", daemon).close()


@linux
@pytest.mark.skipif(shutil.which("gdb") is None, reason="needs gdb")
def test_gdb_cannot_attach(home: Path) -> None:
    """The usual tool gets at an ordinary process of the same user, and not at the daemon."""
    gdb = ("gdb", "-nx", "-batch", "-ex", "info proc", "-p")
    with sleeping_alone() as other, running_alone(home) as daemon:
        allowed = attempt(*gdb, str(other.pid), **ALONE)
        if "ptrace: " in allowed.stderr:
            pytest.skip(f"the system lets nobody attach to anything: {allowed.stderr}")
        assert f"process {other.pid}" in allowed.stdout
        refused = attempt(*gdb, str(daemon.pid), **ALONE)
        assert "ptrace: Operation not permitted" in refused.stderr
        assert f"process {daemon.pid}" not in refused.stdout


@linux
def test_its_memory_and_environment_are_not_to_be_read(home: Path) -> None:
    """What /proc has of an ordinary process to its user is closed for the daemon; but its status is not."""
    with sleeping_alone() as other, running_alone(home) as daemon:
        assert attempt("cat", f"/proc/{other.pid}/environ", **ALONE).stdout.startswith("CANARY=1")
        for name in ("environ", "mem", "maps", "auxv", "stack"):
            assert "Permission denied" in attempt("cat", f"/proc/{daemon.pid}/{name}", **ALONE).stderr, name
        assert "Permission denied" in attempt("ls", f"/proc/{daemon.pid}/fd", **ALONE).stderr
        assert attempt("cat", f"/proc/{daemon.pid}/status", **ALONE).stdout.startswith("Name:")


@linux
def test_it_dumps_no_core(home: Path) -> None:
    """A signal that dumps ends the daemon without a dump, even where there is room for one."""
    unlimited = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (unlimited, unlimited))  # whose children begin with it
    with running(home) as daemon:
        limits = Path(f"/proc/{daemon.process.pid}/limits").read_text()
        assert [line.split()[4:6] for line in limits.splitlines() if "core file" in line] == [["0", "0"]]
        daemon.process.send_signal(signal.SIGQUIT)
        _, status = os.waitpid(daemon.process.pid, 0)
        daemon.process.returncode = -os.WTERMSIG(status)
        assert os.WTERMSIG(status) == signal.SIGQUIT
        assert not os.WCOREDUMP(status)


@linux
@pytest.mark.skipif(os.getuid() != 0, reason="only root can see a daemon's descriptors")
def test_a_child_would_inherit_nothing(home: Path) -> None:
    """After a login every descriptor but the standard streams is closed on exec."""
    with running_with_sandbox(home, Script(approve_after_polls=0)) as (daemon, _), daemon.connect() as client:
        login_id = client.call("account/login/start", {"type": "chatgptDeviceCode"})["loginId"]
        assert completion(client, login_id)["success"]
        flags = {
            info.name: int(line.split()[1], 8) & os.O_CLOEXEC
            for info in Path(f"/proc/{daemon.process.pid}/fdinfo").iterdir()
            for line in info.read_text().splitlines()
            if line.startswith("flags:")
        }
        assert {name for name, closes in flags.items() if not closes} == {"0", "1", "2"}


@linux
def test_there_is_no_child_and_no_file_for_others(home: Path) -> None:
    """After a login the daemon has no child, and all that it made is its owner's alone."""
    with running_with_sandbox(home, Script(approve_after_polls=0)) as (daemon, _), daemon.connect() as client:
        login_id = client.call("account/login/start", {"type": "chatgptDeviceCode"})["loginId"]
        assert completion(client, login_id)["success"]
        process = Path(f"/proc/{daemon.process.pid}")
        assert (process / "task" / process.name / "children").read_text() == ""
        assert "Umask:\t0077" in (process / "status").read_text()
        written = [path for path in home.rglob("*") if path.name != "config.toml"]
        assert {path.name for path in written} >= {"auth.json", "accountd-audit.jsonl", "s", "s.lock"}
        assert all(path.stat().st_mode & 0o077 == 0 for path in written)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"LC_ALL": "C"},
        {"LANG": "C"},
        {"LC_ALL": "xx_YY.UTF-8", "LANGUAGE": "de"},
        {"LANG": "tr_TR.ISO-8859-9"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_no_locale_makes_a_difference(home: Path, variables: dict[str, str]) -> None:
    """Paths, configuration, errors and log are the same in every locale, and in one that has ASCII alone."""
    house = home / "häuschen"
    house.mkdir()
    (house / "config.toml").write_text('forced_login_method = "api"  # “so”\n', encoding="utf-8")
    with running(house, **variables) as daemon, Client(str(daemon.path)) as client:
        with wait_until_it_listens(daemon.path, daemon.process) as raw:
            hello = {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "a", "version": "1"}}}
            raw.sendall(json.dumps(hello).encode() + b"\n")
            assert json.loads(raw.recv(4096))["result"]["codexHome"] == str(house)
        assert client.call("account/store/read", None)["location"] == str(house / "auth.json")
        client.call("account/login/start", {"type": "apiKey", "apiKey": KEY})
        second = subprocess.run(
            [sys.executable, "-m", "accountd", "serve", "--listen", f"unix://{house}/config.toml/s"],
            env=environment(house, **variables),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert second.returncode == 1
        assert second.stderr.endswith((b": File exists (os error 17)\n", b": Not a directory (os error 20)\n"))
        log = daemon.stop()
    assert "stopping on SIGTERM" in log


def test_a_home_whose_name_is_no_text_is_told_of_as_its_own(home: Path) -> None:
    """`status` has all that it has elsewhere, and takes the daemon for that of its CODEX_HOME."""
    house = home / os.fsdecode(b"\xff")
    house.mkdir()
    with running(house) as daemon:
        status = subprocess.run(
            [sys.executable, "-m", "accountd", "status", "--json", "--socket", str(daemon.path)],
            env=environment(house),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert (status.returncode, status.stderr) == (3, "")
    assert json.loads(status.stdout)["daemon"]["store"]["location"] == f"{home}/\ufffd/auth.json"


def test_the_libc_calls_are_those_of_this_system() -> None:
    """What is told to the kernel can be asked for again."""
    program = (
        "import ctypes; from accountd.system.process import harden; harden(); print(ctypes.CDLL(None).prctl(3))"
    )
    if not hasattr(ctypes.CDLL(None), "prctl"):
        pytest.skip("needs prctl")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "0\n"
