"""Open files: as many as the system allows, some of them kept back for the daemon's own work."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

KEPT_BACK: Final = 128
"""Descriptors that no client gets: a login needs a port and connections to the outside, and a file or two. Half of
them stay when the port of a browser login has all the connections that it takes (`login/loopback.py`)."""


def make_room(clients: int) -> int:
    """Raise the limit on open files as far as so many clients need it; return how many of them have room."""
    wanted = clients + KEPT_BACK
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        more = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):  # macOS has a limit below the one that it tells
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
            soft = more
    return clients if soft == resource.RLIM_INFINITY else max(1, min(clients, soft - KEPT_BACK))
