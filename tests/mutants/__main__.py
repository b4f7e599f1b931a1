"""Make each wrong edit in a copy of the package, and see that the tests notice.

    PYTHONPATH=tests python -m mutants [WORD]

With a word, only those edits whose file or mistake has it. Ends with 1 if one survives, or cannot be made any more.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mutants.edits import HERE, PACKAGE, load_edits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mutants.edits import Edit

AT_ONCE = 2
PATIENCE = 600
"""Seconds for the tests of one edit, which take some five. Whoever hangs for so long has been noticed."""

TIMEOUT = 120
"""Seconds for each test, twice as many as usual: that a machine is busy is not to be taken for a verdict."""


class Verdict(NamedTuple):
    """What became of an edit: `good` if the tests noticed it."""

    good: bool
    words: str


def main() -> int:
    """Try all of them, two at a time."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    edits = [edit for edit in load_edits() if word in edit.file or word in edit.mistake]
    begun = time.monotonic()
    compileall.compile_dir(PACKAGE, quiet=1)
    selection = {name for edit in edits if not _missing(edit) for name in edit.tests.split()}
    unsound = _run(None, sorted(selection), patience=30 * 60) if selection else "there is nothing to try"
    if unsound is not None:  # tests that fail anyway would notice everything
        print(f"Without any edit: {unsound}")
        return 1
    bad = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for edit, verdict in zip(edits, pool.map(_try, edits), strict=True):
            print(f"{edit.file:<26} {edit.mistake}\n    {verdict.words}", flush=True)
            bad += not verdict.good
    print(f"{len(edits)} wrong edits, {bad} of them not noticed, in {time.monotonic() - begun:.0f} s")
    return 1 if bad else 0


def _missing(edit: Edit) -> str | None:
    return next((program for program in edit.needs if shutil.which(program) is None), None)


def _try(edit: Edit) -> Verdict:
    missing = _missing(edit)
    if missing is not None:
        return Verdict(True, f"not tried: there is no {missing} here")
    begun = time.monotonic()
    try:
        outcome = _run(edit, edit.tests.split(), PATIENCE)
    except ValueError as error:
        return Verdict(False, f"CANNOT BE MADE: {error}")
    took = f"({time.monotonic() - begun:.1f} s)"
    if outcome is None:
        return Verdict(False, f"SURVIVED {edit.tests} {took}")
    return Verdict(not outcome.startswith("BROKEN"), f"{outcome} {took}")


def _run(edit: Edit | None, tests: Sequence[str], patience: int) -> str | None:
    """Run tests on a copy of the package; None if they passed, else what went wrong."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / "accountd"
        shutil.copytree(PACKAGE, copy)  # with what is compiled of it
        if edit is not None:
            path = copy / edit.file
            path.write_text(edit.apply_to(path.read_text()))
        options = ("-x", "-q", "-rfE", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib")
        limits = ("-m", "not whole", f"--timeout={TIMEOUT}")
        command = (sys.executable, "-c", _PYTEST, folder, *options, *limits, *tests)
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environ["PYTHONPATH"] = folder
        with subprocess.Popen(
            command, cwd=HERE.parents[1], env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            try:
                output, _ = process.communicate(timeout=patience)
            except subprocess.TimeoutExpired:
                process.kill()
                return f"caught: still at it after {patience} s"
    if process.returncode == 0:
        return None
    failed = re.search(r"^FAILED (\S+)", output, re.MULTILINE)
    if process.returncode == 1 and failed is not None:
        return f"caught by {failed[1]}"
    if "Timeout" in output:
        return "caught by a test that hangs"
    return "BROKEN: " + (output.strip().splitlines() or ["no output"])[-1]


_PYTEST = """
import sys, accountd, pytest
folder = sys.argv.pop(1)
assert accountd.__file__.startswith(folder), accountd.__file__
sys.exit(pytest.main(sys.argv[1:]))
"""
"""Run pytest, if it is the copy that is going to be tested."""

if __name__ == "__main__":
    sys.exit(main())
