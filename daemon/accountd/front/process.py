"""The process of an agent: started, waited for until it listens, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Final

import trio

from accountd.errors import AgentUnavailable, describe_os_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

READINESS_TIMEOUT: Final = 60.0
"""Seconds for an agent to listen. The first start after an update has been seen to take seven."""

STOP_TIMEOUTS: Final = ((signal.SIGTERM, 0.5), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
"""What an agent is told, and for how many seconds it is waited for then. It waits for the turns that are under way,
up to a minute; told again it ends at once, as a Codex of the client's own does at the end of its standard input."""

PAUSE: Final = 0.02
"""Seconds between two looks at what nobody tells of: a socket that comes, a process that ends."""


@asynccontextmanager
async def run_private(command: Sequence[str], environ: Mapping[str, str]) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run a program for the block, and however this process ends, the program ends with it (on Linux).

    It has a session of its own, so that a Ctrl-C at our terminal is ours to handle. Raises AgentUnavailable.
    """
    process = _start(command, environ, sys.stderr.fileno(), end_with_parent)
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            await stop(process.pid, lambda: process.poll() is not None)
            with suppress(
                ProcessLookupError, PermissionError
            ):  # mostly nothing is left: a script waits for its program
                os.killpg(process.pid, signal.SIGKILL)


def start_shared(command: Sequence[str], environ: Mapping[str, str], log: BinaryIO) -> subprocess.Popen[bytes]:
    """Start a program that outlives this one. Raises AgentUnavailable."""
    return _start(command, environ, log.fileno(), None)


def _start(
    command: Sequence[str], environ: Mapping[str, str], output: int, prepare: Callable[[], None] | None
) -> subprocess.Popen[bytes]:
    """Start a program; by the main thread, since on Linux it ends with the thread that has started it."""
    try:
        return subprocess.Popen(  # noqa: S603  # what the person named
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environ,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509  # it makes one system call
        )
    except OSError as error:
        raise AgentUnavailable(f"{command[0]} cannot be run: {describe_os_error(error)}") from error


def end_with_parent() -> None:
    """Have the kernel end this process when the thread that has started it ends (prctl(2)); on Linux alone."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


async def stop(pid: int, has_ended: Callable[[], bool]) -> None:
    """End a process and what it has started in its session: see STOP_TIMEOUTS."""
    for number, timeout in STOP_TIMEOUTS:
        signal_session(pid, number)
        with trio.move_on_after(timeout):
            while not has_ended():  # noqa: ASYNC110  # nobody tells
                await trio.sleep(PAUSE)
            return


def signal_session(pid: int, number: int) -> None:
    """Send a signal to an agent and what it has started: npm installs a script that starts another program."""
    if not pid:  # the system does not tell whose it is; 0 would be our own
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(os.getpgid(pid), number)


async def wait_until_it_listens(process: subprocess.Popen[bytes], socket: str, named: str, output: str) -> None:
    """Wait for a socket. `named` is the program, and `output` where what it says is. Raises AgentUnavailable."""
    with trio.move_on_after(READINESS_TIMEOUT):
        while process.poll() is None:
            if os.path.exists(socket):
                return
            await trio.sleep(PAUSE)
        code = process.returncode
        raise AgentUnavailable(f"{named} ended with {code} as it was started; what it said is {output}")
    raise AgentUnavailable(f"{named} did not listen within {READINESS_TIMEOUT:.0f} seconds")
