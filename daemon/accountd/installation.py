"""Whether this package is still on the disk as it was when this process loaded it.

A daemon outlives an upgrade. What it imports after one, such as the HTTP client at the first request, may be
missing, or be of another version than what it has loaded: it fails in a way that says nothing. So whoever has such
a failure, or nothing to do, looks here; that is one look at one file, which every installation writes anew.
"""

from __future__ import annotations

import os
import re
from typing import Final

import accountd
from accountd import __version__
from accountd.files.read import read_file

_VERSION: Final = re.compile(rb'^__version__ = "([^"]{1,40})"', re.MULTILINE)


class Installation:
    """The file of the package that has its version, as it was at first."""

    def __init__(self, path: str = accountd.__file__) -> None:
        self._path = path
        self._seen = self._look()

    def find_version(self) -> str | None:
        """Give the version that is on the disk now; None where the package is not there any more."""
        if self._look() == self._seen:
            return __version__
        try:
            found = _VERSION.search(read_file(self._path))
        except OSError:
            return None
        return found[1].decode("ascii", "replace") if found else None

    def describe_change(self) -> str | None:
        """Say what has happened to it, and what to do; None if nothing has."""
        if self._look() == self._seen:
            return None
        version = self.find_version()
        now = "was removed" if version is None else f"is {version} on the disk now"
        return f"accountd {now}, and this daemon is {__version__}, from before: `accountd restart`"

    def _look(self) -> tuple[int, int, int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - pathlib is too slow for those who only start
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


INSTALLATION: Final = Installation()
"""That of this process, looked at first when it begins."""
