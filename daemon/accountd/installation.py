"""Whether this package is still on the disk as it was when this process loaded it.

A daemon outlives an upgrade. What it imports after one, such as the HTTP client at the first request, may be
missing, or be of another version than what it has loaded: it fails in a way that says nothing, or does what neither
version would. So nothing is imported then (`guard_imports`), and whoever has a failure that was not foreseen, or
nothing to do, looks here; that is one look at one file, which every installation writes anew.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Final

import accountd
from accountd import __version__
from accountd.files.read import read_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

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

    def guard_imports(self) -> None:
        """Have imports fail from the moment that this package is another one, but of modules of Python's own.

        For a process that may outlive an upgrade. What it has imported already costs nothing.
        """
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def find_spec(self, fullname: str, _path: Sequence[str] | None, _: ModuleType | None = None) -> None:
        """Leave a module to the finders behind this one in `sys.meta_path`. Raises RuntimeError."""
        if fullname.partition(".")[0] not in sys.stdlib_module_names and (change := self.describe_change()):
            raise RuntimeError(change)  # no ImportError: many a caller takes that for a mere lack

    def _look(self) -> tuple[int, int, int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - pathlib is too slow for those who only start
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


INSTALLATION: Final = Installation()
"""That of this process, looked at first when it begins."""
