"""Memory of this process: it takes no more than clients may need, and gives back what is free."""

from __future__ import annotations

import gc
import resource
from contextlib import suppress
from typing import Final

OWN: Final = 1 << 30
"""Bytes for the daemon itself. It uses some 40 MB; the rest is for answers of the issuer and the backend, of which
each may have 4 MiB, and for the stacks of threads, which count with their full 8 MiB each."""

PER_CLIENT: Final = 128 << 10
"""Bytes for each client: 20 KB for the connection, and what is small enough not to be counted."""


def bound_memory(clients: int, kept: int) -> None:
    """Take no more than so many clients need, with `kept` bytes for what they have kept, each there twice at times.

    What is over it fails with MemoryError, as it would where the system has no more; so no mistake of the daemon's
    takes the memory of everybody else. Linux counts what is private and writable; macOS holds nobody to it.
    """
    wanted = OWN + clients * PER_CLIENT + 2 * kept
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = [limit for limit in (soft, hard, wanted) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(allowed), hard))


def release_memory() -> None:
    """Give back what nobody uses any more. It takes some hundredths of a second.

    What a connection is made of refers to itself in circles, for which nobody looks while nothing new is made; and
    the C library keeps what is freed between what is not.
    """
    gc.collect()
    with suppress(ImportError, OSError, AttributeError):  # an interpreter without ctypes, or another C library
        import ctypes  # which is there already where the process could be hardened

        ctypes.CDLL(None).malloc_trim(0)
