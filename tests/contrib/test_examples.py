"""The same small program in each language: it logs in with a code, follows that, and hears of a logout.

Each runs in a sandbox, as its author would run it, and says the same.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from accountd import paths

EXAMPLES = Path(__file__).parents[2] / "contrib" / "examples"
PROGRAMS = {
    "bash": ["bash", "log_in.sh"],
    "node": ["node", "log_in.mjs"],
    "node by WebSocket": ["node", "log_in.mjs", "--websocket"],
    "blocking": [sys.executable, "log_in_blocking.py"],
    "trio": [sys.executable, "log_in_trio.py"],
    "asyncio": [sys.executable, "log_in_asyncio.py"],
}
STEPS = """\
Open http://127.0.0.1:… and type …
The login is waiting
The login is exchanging
The login is committing
Logged in as ada@example.com
"""


ACCOUNTD = [sys.executable, "-m", "accountd"]
ENVIRON = {
    **os.environ,
    "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}",
    "PYTHONUNBUFFERED": "1",
    "PYTHONWARNINGS": "error",
}


def start(program: list[str], home: Path, folder: Path, **script: object) -> subprocess.Popen[str]:
    """Run a program in a sandbox that has this home, and is asked again at once whether a person has approved."""
    if shutil.which(program[0]) is None:
        if os.environ.get("CI") == "true":
            raise FileNotFoundError(program[0])
        pytest.skip(f"there is no {program[0]} here")
    scripted = home / "script.json"
    scripted.write_text(json.dumps({"interval": 0, **script}))
    return subprocess.Popen(
        [*ACCOUNTD, "sandbox", "--home", str(home / "h"), "--script", str(scripted), "--", *program],
        cwd=folder,
        env=ENVIRON,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def say(text: str) -> str:
    """Leave out what is another each time."""
    return re.sub(r"(?m)^Open (http://127\.0\.0\.1:).* and type \w{4}-\w{4}$", r"Open \1… and type …", text)


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> list[str]:
    """Give the command of each."""
    return PROGRAMS[request.param]


def test_it_logs_in_and_hears_of_the_logout(program: list[str], home: Path) -> None:
    """Each step of the login, who it is then, and that another program has logged out; then it ends."""
    check_story(program, home, EXAMPLES)


def check_story(program: list[str], home: Path, folder: Path) -> None:
    """Run a program, log out when it has logged in, and see what it says."""
    with start(program, home, folder, approve_after_polls=1) as process:
        try:
            assert process.stdout is not None
            said = ""
            while "Logged in" not in said and (line := process.stdout.readline()):
                said += line
            assert say(said) == STEPS
            environ = {**ENVIRON, "CODEX_HOME": str(home / "h"), "ACCOUNTD_SOCKET": str(home / "h" / paths.SOCKET)}
            subprocess.run([*ACCOUNTD, "logout"], env=environ, check=True, capture_output=True, timeout=30)
            assert process.communicate(timeout=30) == ("Nobody is logged in\n", "")
            assert process.returncode == 0
        finally:
            process.terminate()


def test_a_login_that_is_denied_is_said(program: list[str], home: Path) -> None:
    """In the daemon's words, and by the exit code."""
    with start(program, home, EXAMPLES, deny=True) as process:
        out, err = process.communicate(timeout=50)
    assert say(out) == "".join(STEPS.splitlines(keepends=True)[:2])
    assert "device auth was denied" in err
    assert "Traceback" not in err
    assert process.returncode == 1


def test_a_ctrl_c_cancels_the_login(program: list[str], home: Path) -> None:
    """As a terminal sends it, to all that is there; the daemon is told, and there is no traceback."""
    with start(program, home, EXAMPLES) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "The login is waiting\n":
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode in (1, 130)
    assert "Traceback" not in err
    assert "the login has been cancelled" in (home / "h" / paths.LOG).read_text()
