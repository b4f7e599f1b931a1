"""What a newcomer meets first: `make` with a Python that will not do, and a demo that is broken off."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from contrib.shells import needs
from generators.files import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

PYTHON_3_9 = """\
#!/bin/sh
case "$2" in
    *version_info\\ \\<*) exit 1 ;;
    *) echo 3.9 ;;
esac
"""


@needs("make")
@pytest.mark.parametrize(
    ("python", "found"), [("{}/python3.9", "{}/python3.9 is 3.9"), ("python3.77", "python3.77 is not there")]
)
def test_a_python_that_will_not_do_is_one_line(tmp_path: Path, python: str, found: str) -> None:
    """It says which is needed, and the very command that names another; an environment of it is not kept."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python3.9").write_text(PYTHON_3_9, encoding="utf-8")
    (tmp_path / "python3.9").chmod(0o755)
    command = ["make", "--no-print-directory", "demo", f"PYTHON={python.format(tmp_path)}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    complaint, _ = done.stderr.splitlines()  # the other one is make's own
    words = "name another, as in `make demo PYTHON=python3.12`"
    assert complaint == f"accountd needs Python 3.11 or newer, and {found.format(tmp_path)}: {words}"
    assert not (tmp_path / ".venv").exists()


@needs("make")
def test_an_environment_that_is_spoilt_is_made_anew(tmp_path: Path) -> None:
    """One of an older Python is not built upon, even where nothing can be fetched then."""
    for name in ("Makefile", "pyproject.toml"):  # without the package: pip fails, after the environment is there
        shutil.copy(ROOT / name, tmp_path)
    spoilt = tmp_path / ".venv" / "bin" / "python"
    spoilt.parent.mkdir(parents=True)
    spoilt.write_text(PYTHON_3_9, encoding="utf-8")
    spoilt.chmod(0o755)
    command = ["make", "demo", f"PYTHON={sys.executable}"]
    environ = {**os.environ, "PIP_NO_INDEX": "1"}
    subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=False)
    assert (
        subprocess.run([spoilt, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False).returncode
        == 0
    )


def test_a_demo_that_is_broken_off_is_no_traceback() -> None:
    """Ctrl-C, which all its processes get, ends it with a line; so it does while a login waits."""
    command = [sys.executable, str(ROOT / "contrib" / "demo.py")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("Waiting for approval"):
                os.killpg(demo.pid, signal.SIGINT)
                break
        rest = demo.stdout.read()
        assert demo.wait(20) == 130
    assert "Traceback" not in rest
    assert (
        rest.splitlines()[-1] == "Interrupted: the daemon and the sandbox have stopped, and nothing is left of them"
    )
