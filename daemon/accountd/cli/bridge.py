"""Standard input and output joined to the daemon's socket: every byte, in both directions, and nothing else.

Each direction is a thread with one chunk in its hands, which reads, then writes, and blocks in both. So whoever
does not read stops that direction, and it alone; and descriptors of any kind will do: pipes, files, sockets,
terminals. With one thread, writing would have to be non-blocking, which is a property of the open file and not of
ours: our parent would have it too. The main thread only waits for the end, or for a signal.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

from accountd.cli import selecting
from accountd.cli.connecting import connect, open_daemon, socket_path
from accountd.cli.exits import ERROR, OK, SIGNALLED, Failure
from accountd.cli.interrupts import Interrupts
from accountd.client.prelude import say_prelude
from accountd.errors import describe_os_error

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

_CHUNK = 65536
"""Bytes taken at once; each direction has no more of them in memory."""


def bridge_stdio(args: argparse.Namespace) -> int:
    """Relay between standard input and output and the daemon of the command line, as `run_bridge` does."""
    if sys.stdin is None:  # its number would go to the next file to be opened: the connection itself
        raise Failure("standard input is closed")
    with connect(args) as client:
        selected = selecting.select(client, args, follows=True)
    selecting.tell_person(selected)
    connection = open_daemon(args)
    if selected.account is not None:
        try:
            say_prelude(connection, selected.account["id"])
        except BaseException:  # Ctrl-C, too, leaves nothing open; and it goes on
            connection.close()
            raise
    return run_bridge(connection, socket_path(args))


def run_bridge(connection: socket.socket, path: str | Path, *, stdin: int = 0, stdout: int = 1) -> int:
    """Relay between two descriptors and the daemon at `path` until one of them ends, and give the exit code.

    The end of `stdin` is passed on, and what the daemon still says is delivered until it closes. A signal ends the
    relay at once, wherever it is. Raises Failure if the daemon closes first, or a descriptor fails.
    """
    connection.settimeout(None)
    with connection, Interrupts() as interrupts:
        bridge = _Bridge(connection, path, stdin, stdout, interrupts.wake)
        for direction in (bridge.ask, bridge.answer):
            # A daemon thread: nothing can end a read of standard input but its other side, or our own end.
            threading.Thread(target=direction, daemon=True).start()
        select.select([interrupts.readable], [], [])
        if not interrupts.take_wake():
            return SIGNALLED + interrupts.take()
    outcome = bridge.outcome.get()
    if isinstance(outcome, Failure):
        raise outcome
    return outcome


class _Bridge:
    """Both directions. The first `outcome` is the one that counts; `wake` tells that there is one."""

    def __init__(
        self, connection: socket.socket, path: str | Path, stdin: int, stdout: int, wake: Callable[[], None]
    ) -> None:
        self.outcome: SimpleQueue[int | Failure] = SimpleQueue()
        self._connection = connection
        self._path = path
        self._stdin = stdin
        self._stdout = stdout
        self._wake = wake
        self._asked_everything = False

    def ask(self) -> None:
        """Relay from standard input to the daemon, and pass its end on."""
        try:
            while data := self._read_stdin():
                self._connection.sendall(data)
            self._asked_everything = True  # before the daemon hears of it, and closes
            self._connection.shutdown(socket.SHUT_WR)
        except Failure as failure:
            self._end(failure)
        except OSError:
            pass  # the daemon is gone: `answer` finds that too, behind its last words

    def answer(self) -> None:
        """Relay from the daemon to standard output."""
        try:
            while data := self._receive():
                _write(self._stdout, data)
        except ConnectionError:  # a pipe or a socket that nobody reads: whoever closed it knows
            self._end(ERROR)
        except OSError as error:
            self._end(Failure(f"cannot write the output: {describe_os_error(error)}"))
        else:
            again = "run this again to connect anew"
            lost = Failure(f"the daemon at {self._path} closed the connection before standard input ended; {again}")
            self._end(OK if self._asked_everything else lost)

    def _read_stdin(self) -> bytes:
        try:
            return _read(self._stdin)
        except OSError as error:
            raise Failure(f"cannot read standard input: {describe_os_error(error)}") from error

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(_CHUNK)
        except OSError:  # it went without having read everything
            return b""

    def _end(self, outcome: int | Failure) -> None:
        self.outcome.put(outcome)
        with suppress(OSError):  # nobody waits any more: a signal came first
            self._wake()


def _read(descriptor: int) -> bytes:
    """Wait for bytes; none mean the end. Somebody else may have made the open file non-blocking."""
    while True:
        try:
            return os.read(descriptor, _CHUNK)
        except BlockingIOError:
            select.select([descriptor], [], [])


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it, however long that takes."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
