"""Mounts of a test's own: what is run in them sees them, and nobody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATIENCE = 30.0
"""Seconds for a command in a namespace; each takes one or two."""

needs_mounts = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="only root of Linux can mount",
)


def wrap(mounts: str, command: Sequence[str]) -> list[str]:
    """Give the command line that makes mounts, by the words of a shell, and then runs a command in them."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{mounts}\nexec "$@"', "sh", *command]


def run_in(
    mounts: str, command: Sequence[str], environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in mounts to its end."""
    return subprocess.run(
        wrap(mounts, command), capture_output=True, text=True, timeout=PATIENCE, check=False, env=environ
    )
