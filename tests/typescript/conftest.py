"""What authors of clients in TypeScript have: node, the compiler, and two readers of JSON Schema, as they are.

npm fetches the versions of `package.json` into the virtual environment, once (60 MB). Where it cannot, the tests
are skipped and say so, but fail where CI=true.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.npm import QUIETLY, OutOfReach, run_npm
from fakes.turns import turn

PACKAGES = Path(__file__).with_name("package.json")
FOLDER = Path(sys.prefix) / "typescript"


class Tools:
    """The programs of the packages, and the file beside which these are."""

    packages = FOLDER / "package.json"

    def run(self, program: str, *words: str | Path, cwd: Path | None = None) -> str:
        """Run `node`, or a program of a package, and give what it prints; it must not fail."""
        path = program if program == "node" else FOLDER / "node_modules" / ".bin" / program
        done = subprocess.run([path, *words], capture_output=True, text=True, timeout=50, check=False, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="session")
def tools() -> Tools:
    """Give the tools, fetched if they are not here."""
    try:
        _fetch()
    except OutOfReach as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    return Tools()


def _fetch() -> None:
    if shutil.which("node") is None:
        raise OutOfReach("there is no node")
    with turn("typescript"):
        FOLDER.mkdir(exist_ok=True)
        fetched = FOLDER / "fetched.json"
        if not fetched.exists() or fetched.read_bytes() != PACKAGES.read_bytes():
            shutil.copy(PACKAGES, FOLDER / "package.json")
            run_npm("TypeScript and its tools", "install", "--prefix", str(FOLDER), *QUIETLY)
            shutil.copy(PACKAGES, fetched)
