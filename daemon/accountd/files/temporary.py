"""A folder for temporary files, of which this program makes none; but libraries do, some while they are imported.

In a container whose root is read-only there may be none of the usual ones.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from accountd import paths
from accountd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLES = ("TMPDIR", "TEMP", "TMP")
_USUAL = ("/tmp", "/var/tmp", "/usr/tmp", ".")  # noqa: S108 - that is what Python tries, and how it makes files there


def require_temporary_folder(environ: Mapping[str, str]) -> None:
    """Make libraries use CODEX_HOME if there is no other folder for it. Raises ConfigError if that will not do.

    Call it before trio is imported, which may look for a library with the help of a compiler.
    """
    usual = [environ[name] for name in _VARIABLES if environ.get(name)] + [*_USUAL]
    if any(map(_can_write, usual)):
        return
    home = paths.codex_home(environ)
    if not _can_write(home):
        raise ConfigError("no folder for temporary files, such as /tmp, can be written; set TMPDIR to one that can")
    import tempfile  # which takes long to import, and is used by whoever needs that folder

    tempfile.tempdir = home


def _can_write(folder: str) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)
