"""What this process lets others see of it, and leave to it: nothing, since every token is in its memory."""

from __future__ import annotations

import logging
import os
import resource
import sys

from accountd.errors import describe_foreign

_PR_SET_DUMPABLE = 4  # <linux/prctl.h>
_PT_DENY_ATTACH = 31  # <sys/ptrace.h> of macOS

_log = logging.getLogger(__name__)


def harden() -> None:
    """Make no files for others, dump no core, and let no other program of this user attach.

    Root can do all of it anyway. Where the system does not have it, a warning is logged and the process goes on.
    Not dumpable means as well that /proc/PID belongs to root, but for what everybody may read there.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _deny_tracing()
    except (ImportError, OSError, MemoryError, AttributeError) as error:
        # An interpreter without ctypes, or a system that forbids what it takes: no reason to have no daemon.
        _log.warning("other programs of this user may attach to this process: %s", describe_foreign(error))


def _deny_tracing() -> None:
    import ctypes  # brings a library that nothing else needs

    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        failed = libc.ptrace(_PT_DENY_ATTACH, 0, None, 0)
    else:
        failed = libc.prctl(_PR_SET_DUMPABLE, *map(ctypes.c_ulong, (0, 0, 0, 0)))
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
