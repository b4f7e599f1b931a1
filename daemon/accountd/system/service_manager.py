"""The service manager that started us, told how we are: sd_notify(3), by hand. Without one, nothing wakes."""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import trio

from accountd.errors import describe_foreign

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

_PATIENCE: Final = 1.0
"""Seconds for a manager to take a message. It empties its socket at once, unless it is in trouble itself."""

_MICROSECONDS: Final = re.compile(r"[0-9]{1,20}")
"""What is a number of 64 bits, as that of the service manager is."""

_log = logging.getLogger(__name__)


class ServiceManager:
    """Where to send what it should know: to an address, by this socket; without one, to nowhere.

    `watchdog` is for how many seconds it waits for a sign of life before it takes us for stuck.
    """

    def __init__(self, sock: socket.socket | None = None, address: str = "", watchdog: float | None = None) -> None:
        self._sock = sock
        self._address = address
        self._watchdog = watchdog

    @property
    def is_there(self) -> bool:
        """Return True if one has started this process, and wants to hear of it."""
        return self._sock is not None

    def tell_ready(self, status: str) -> None:
        """Tell it that clients are served; also at the end of a reload."""
        self._send("READY=1", f"STATUS={status}")

    def tell_reloading(self) -> None:
        """Tell it that the configuration is being read again. `tell_ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=Reloading")

    def tell_stopping(self) -> None:
        """Tell it that the end has begun."""
        self._send("STOPPING=1", "STATUS=Stopping")

    async def feed_watchdog(self) -> None:
        """Give a sign of life twice in each interval, for ever; return at once if nobody waits for one.

        It comes from the loop that serves the clients: one that is stuck gives none.
        """
        while self._sock is not None and self._watchdog is not None:
            self._send("WATCHDOG=1")
            await trio.sleep(self._watchdog / 2)

    def _send(self, *lines: str) -> None:
        if self._sock is None:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address  # `@`: an abstract one
        try:
            self._sock.sendto("\n".join(lines).encode(errors="surrogateescape"), os.fsencode(name))
        except (OSError, ValueError) as error:  # nobody there, or a path that is no text
            _log.warning("the service manager cannot be told %s: %s", lines[0], describe_foreign(error))


@contextmanager
def open_service_manager(environ: MutableMapping[str, str]) -> Iterator[ServiceManager]:
    """Find who started us, and take their variables out of the environment: they are for no child of ours.

    The socket is had from the start, so that who has used up all descriptors is not restarted as if stuck.
    """
    address = environ.pop("NOTIFY_SOCKET", "")
    microseconds, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", str(os.getpid()))
    if not address.startswith(("/", "@")):  # another kind is for a virtual machine
        yield ServiceManager()
        return
    is_number = _MICROSECONDS.fullmatch(microseconds) is not None
    watched = is_number and int(microseconds) > 0 and pid == str(os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(_PATIENCE)
        yield ServiceManager(sock, address, int(microseconds) / 1e6 if watched else None)
