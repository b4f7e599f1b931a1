"""npm, for what tests fetch into the virtual environment, beside the packages of Python."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Final

QUIETLY: Final = (
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--fetch-retry-mintimeout=1000",
    "--fetch-retry-maxtimeout=5000",
)
_UNREACHABLE = re.compile(r"npm error code (ENOTFOUND|EAI_AGAIN|ECONN\w+|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT)")
_PATIENCE = 540  # seconds, for a slow line; it takes 14 on a good one


class OutOfReach(Exception):
    """There is no npm here, or no way to its registry."""


def run_npm(wanted: str, *words: str) -> str:
    """Run npm for what is wanted, and give what it says. Raises OutOfReach, RuntimeError for a failure."""
    npm = shutil.which("npm")
    if npm is None:
        raise OutOfReach(f"there is no npm to fetch {wanted} with")
    done = subprocess.run([npm, *words], capture_output=True, text=True, check=False, timeout=_PATIENCE)
    if found := _UNREACHABLE.search(done.stderr):
        raise OutOfReach(f"npm cannot reach its registry ({found[1]}) to fetch {wanted}")
    if done.returncode != 0:
        raise RuntimeError(f"npm {' '.join(words)} failed:\n{done.stderr}")
    return done.stdout
