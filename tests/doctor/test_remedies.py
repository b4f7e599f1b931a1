"""What the doctor says to do: a fault is made for real, the command is run as it stands, and the fault is gone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can be another user"),
]

ADA: Final = 12345

_LOOK = """
import json, logging, os, sys, tempfile
import platformdirs.unix, trio  # the one is imported where it is needed, by who may not read it
logging.getLogger("accountd").addHandler(logging.NullHandler())
from accountd.doctor.checks import CHECKS
from accountd.doctor.surroundings import Surroundings
uid, names = int(sys.argv[1]), sys.argv[2:]
checks = {check.name: check.examine for check in CHECKS}
with tempfile.TemporaryDirectory() as home:  # so that all is imported by who may read it
    for name in names:
        trio.run(checks[name], Surroundings({"HOME": home, "ACCOUNTD_SOCKET": home + "/s"}))
os.setgroups([]), os.setgid(uid), os.setuid(uid)
for line in sys.stdin:
    name, environ = json.loads(line)
    print(json.dumps(trio.run(checks[name], Surroundings(environ))), flush=True)
"""

FAULTS: Final = [
    ("home.modes", "chmod 0777 codex"),
    ("home.modes", "chmod 0666 codex/auth.json"),
    ("home.modes", "chmod 0640 codex/auth.json"),
    ("home.modes", "chown root:root codex/auth.json"),
    ("home.modes", "chown -R 4321:4321 codex"),
    ("home.modes", "chown 4321:4321 codex/config.toml; chmod 0644 codex/config.toml"),
    ("home.modes", "chown -h 4321:4321 codex-link"),
    ("home.log", "mkdir codex/log; chown root:root codex/log"),
    ("home.log", "mkdir -m 0755 codex/log; chown 4321:4321 codex/log"),
    ("home.log", "install -D /dev/null codex/log/accountd.log; chown 4321:4321 codex/log/accountd.log"),
    ("home.log", "install -D /dev/null codex/log/accountd-audit.jsonl; chmod 0400 codex/log/*.jsonl"),
    ("home.log", "touch codex/log"),
    ("home.log", "install -d -o 12345 codex/log; ln -s /dev/null codex/log/accountd.log"),
    ("home.log", "ln -s ../nowhere codex/log"),
    ("home.log", "chattr +i codex"),
    ("home.disk", "chattr +i codex"),
    ("auth.rehearsal", "rm codex/auth.lock; chattr +i codex"),
    ("home.log", "install -d -m 0500 -o 12345 codex/log"),
    ("home.disk", "chmod 0500 codex"),
    ("home.disk", "chown root:root codex; chmod 0755 codex"),
    ("auth.store", "chown root:root codex/auth.json; chmod 0600 codex/auth.json"),
    ("auth.store", "chmod 0 codex/auth.json"),
    ("auth.store", "rm codex/auth.json; mkdir codex/auth.json"),
    ("auth.rehearsal", "rm codex/auth.json; ln -s dotfiles/auth.json codex/auth.json"),
    ("auth.rehearsal", "rm codex/auth.json; ln -s auth.json codex/auth.json"),
    ("auth.rehearsal", "rm codex/auth.json; mkfifo codex/auth.json"),
    ("auth.rehearsal", "rm codex/auth.json; mkdir codex/auth.json"),
    ("auth.rehearsal", "chmod 0500 codex"),
    ("auth.rehearsal", "ln -sf nowhere/x codex/auth.lock"),
    ("auth.rehearsal", "rm codex/auth.lock; mkdir codex/auth.lock"),
    ("auth.store", "rm codex/auth.json; mkfifo codex/auth.json"),
    ("auth.leftovers", "touch 'codex/auth.json.corrupt-2026-01-01T00 x'"),
    ("auth.leftovers", "install -o 12345 /dev/null codex/.auth.json.0123456789abcdef.tmp"),
    ("socket.modes", "chmod 0755 run; chmod o+w run"),
    ("socket.modes", "touch run/s"),
    ("socket.modes", "rmdir run; touch run"),
    ("socket.modes", "python3 -c 'import socket; socket.socket(1).bind(\"run/s\")'; chown 12345 run/s"),
    ("config.load", "chmod 0666 codex/config.toml"),
    ("config.load", "chmod 0 codex/config.toml"),
    ("config.load", "chown root:root codex/config.toml; chmod 0600 codex/config.toml"),
    ("config.load", "touch codex/accountd.toml; chmod 0 codex/accountd.toml"),
    ("config.load", "rm codex/config.toml; mkdir codex/config.toml"),
    ("daemon.environment", "touch codex/.env; chmod 0666 codex/.env"),
    ("daemon.environment", "touch codex/.env; chown 4321 codex/.env"),
]


Look = Callable[["Path", str], list[str]]


@pytest.fixture(scope="module")
def look() -> Iterator[Look]:
    """Have the person make a check in their folder; it gives verdict, summary and remedy."""
    command = [sys.executable, "-c", _LOOK, str(ADA), *sorted({check for check, _ in FAULTS})]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        asked, answers = process.stdin, process.stdout
        assert asked is not None
        assert answers is not None

        def ask(home: Path, check: str) -> list[str]:
            variables = {"CODEX_HOME": "codex-link", "ACCOUNTD_SOCKET": "run/s", "XDG_STATE_HOME": "state"}
            environ = {"HOME": str(home), **{name: str(home / value) for name, value in variables.items()}}
            print(json.dumps([check, environ]), file=asked, flush=True)
            found: list[str] = json.loads(answers.readline())
            return found[:3]

        yield ask
        asked.close()


@pytest.fixture
def machine(home: Path) -> Path:
    """Give a person's folder in which all is well."""
    for name in ("codex", "run"):
        (home / name).mkdir(mode=0o700)
    (home / "codex-link").symlink_to("codex")
    for name, text in (("auth.json", '{"OPENAI_API_KEY": "sk-x"}'), ("config.toml", ""), ("auth.lock", "")):
        (home / "codex" / name).write_text(text)
        (home / "codex" / name).chmod(0o600)
    subprocess.run(["chown", "-hR", f"{ADA}:{ADA}", str(home)], check=True)
    return home


@pytest.mark.parametrize(("check", "fault"), FAULTS, ids=[f"{check}: {fault}" for check, fault in FAULTS])
def test_the_remedy_mends_it(check: str, fault: str, machine: Path, look: Look) -> None:
    """Fault and remedy name the place; where two owners or modes are wrong, it takes two."""

    def do(command: str) -> bool:
        return (
            subprocess.run(["sh", "-ec", f'sudo() {{ "$@"; }}; {command}'], cwd=machine, check=False).returncode
            == 0
        )

    if not do(fault):
        pytest.skip("this file system has no such fault")
    found = look(machine, check)
    assert found[0] != "ok"
    for _ in range(3):
        if found[0] != "ok":
            command = re.search(rf"`([^`]*{machine}[^`]*)`", found[2])
            assert command is not None, found
            assert do(command[1])
            found = look(machine, check)
    assert found[0] == "ok", found
