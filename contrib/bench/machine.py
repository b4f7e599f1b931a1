"""On what and of what the figures are: the machine, and the versions of all that took part."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def describe(peer: str | None) -> str:
    """Say it in a few lines. No name of the machine, nor a path of it. `peer` is the other server's program."""
    versions = [f"accountd {version('accountd')}", f"Python {platform.python_version()}"]
    versions += [f"{package} {version(package)}" for package in ("trio", "msgspec", "wsproto")]
    if peer is not None:
        versions.append(f"beside {_version_of(peer)}")
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {_processor()}, {os.cpu_count()} processors,"
        f" {_memory() / (1 << 30):.0f} GB, {platform.system()} {platform.release().partition('-')[0]}.\n"
        f"{', '.join(versions)}."
    )


def _version_of(program: str) -> str:
    found = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or Path(program).name


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
