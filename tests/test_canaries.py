"""The watch over the whole suite finds what it is for: each leak is planted here, in tests of a made-up suite."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

TESTS = Path(__file__).parent

LEAKS = {
    "log": 'log.debug("got %s", token.reveal())',
    "part_of_it": 'log.info("got %s…", token.reveal()[20:50])',
    "traceback": 'try: raise ValueError(token.reveal())\n    except ValueError: log.exception("no")',
    "user_code": 'log.info("type %s", State(Script(), lambda: 0.0).start_login("a")[1].user_code)',
    "other_logger": 'logging.getLogger("httpx").warning("GET /?code=%s", token.reveal())',
    "stderr": "print(token.reveal(), file=sys.stderr)",
    "stderr_that_was_read": "print(token.reveal(), file=sys.stderr); assert capsys.readouterr().err",
    "process": "subprocess.run([*python, f\"print('{token.reveal()}', file=sys.stderr)\"])",
    "piped_process": "subprocess.run([*python, f\"print('{token.reveal()}', file=sys.stderr)\"], stderr=-1)",
    "key": "subprocess.run([*python, \"print('sk-of-the-daemon', file=sys.stderr)\"], stderr=-1)",
    "log_file": '(tmp_path / "log").mkdir(); (tmp_path / "log" / "accountd.log").write_text(token.reveal())',
    "audit_log": "AuditFile(tmp_path / 'log' / 'accountd-audit.jsonl').append(token.reveal().encode())",
    "error": 'InvalidRequest(f"what is {token.reveal()}?")',
    "error_for_a_client": 'ClientError(f"what is {token.reveal()}?")',
    "page": "TEMPLATES.fill('layout', title='', main=token.reveal())",
    "made_before": 'log.info("got %s", MADE_BEFORE.reveal())',
}
INNOCENT = {
    "dots": 'log.info("got %s", token)',
    "stdout": "print(token.reveal())",
    "somebody_elses": 'log.info("got %s", "rt_" + "a" * 60)',
    "short": 'log.info("got %s", Secret("at").reveal())',
    "revealed": "token.reveal()",
}

PRELUDE = """
import logging, subprocess, sys
from accountd.audit.file import AuditFile
from accountd.client.errors import ClientError
from accountd.errors import InvalidRequest
from accountd.oauth.pages import TEMPLATES
from accountd.sandbox import Script
from accountd.sandbox.state import State
from accountd.secret import Secret
log = logging.getLogger("accountd.tests")
python = [sys.executable, "-c", "import sys; exec(sys.argv[1])"]
MADE_BEFORE = Secret("made" + "-before" * 9)
"""


def test_every_kind_of_leak_fails_its_test(tmp_path: Path) -> None:
    """Each planted leak fails its test and is told without the secret; what is no leak passes."""
    planted = {**LEAKS, **INNOCENT}
    source = PRELUDE + "".join(
        f'def test_{name}(capsys, tmp_path):\n    token = Secret("{name}-" + "x7" * 40)\n    {code}\n'
        for name, code in planted.items()
    )
    (tmp_path / "test_planted.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "fakes.canaries", "-p", "no:cacheprovider", "-rA", "-q", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert set(re.findall(r"^ERROR test_planted.py::test_(\w+)", done.stdout, re.MULTILINE)) == {*LEAKS}, (
        done.stdout
    )
    told = re.findall(r"^.* shows a secret: .*$", done.stdout, re.MULTILINE)
    assert len(told) >= len(LEAKS)
    assert not any("x7x7x7x7" in line and "••••" not in line for line in told)
    assert f"{len(planted)} passed, {len(LEAKS)} errors" in done.stdout
