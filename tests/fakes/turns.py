"""Turns at what a machine has once, for tests that run side by side."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def turn(thing: str) -> Iterator[None]:
    """Have a thing alone for the block, among all tests of this user."""
    path = Path(tempfile.gettempdir()) / f"accountd-tests-{os.getuid()}-{thing}.lock"
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
