"""Who lives in the home of a sandbox: its daemon, and the Codex processes of its fronts. They end with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from accountd import paths
from accountd.cli.sandbox.home import socket_of
from accountd.client import connect
from accountd.client.unix_socket import find_listener
from accountd.files.daemon_note import read_noted
from accountd.system.peer_credentials import peer_credentials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ENDING = 3.0
"""Seconds for which a daemon that is told to end is waited for."""


@contextlib.asynccontextmanager
async def open_daemon(home: Path) -> AsyncIterator[None]:
    """Start a daemon of this environment, and keep it from ending because nobody uses it. Raises ClientError."""
    async with connect(socket_of(home), name="accountd-sandbox", title="accountd sandbox"):
        yield


async def end_inhabitants(home: Path) -> None:
    """End the daemons of a home, also one at another socket, and its Codex processes: nobody has a use for them."""
    for path in {os.fspath(socket_of(home)), *read_noted(os.fspath(home), os.fspath(home))}:
        await _end_daemon(path)
    _end_agents(home)


async def _end_daemon(path: str) -> None:
    with contextlib.suppress(OSError), trio.move_on_after(_ENDING):  # OSError: there is none, or not any more
        async with await trio.open_unix_socket(path) as connection:
            daemon = peer_credentials(connection.socket)
            if daemon is not None and daemon.uid == os.getuid() and daemon.pid > 0:
                process = _open_process(daemon.pid)
                os.kill(daemon.pid, signal.SIGTERM)
                with contextlib.suppress(trio.BrokenResourceError):
                    await connection.receive_some(1)  # ends with its sockets
                if process is not None:  # its last line of the log would make the home anew
                    await trio.lowlevel.wait_readable(process)
                    os.close(process)


def _open_process(pid: int) -> int | None:
    """Open a process, to wait for its end; None where the system has no such descriptors, or it has ended."""
    try:
        return os.pidfd_open(pid)
    except (OSError, AttributeError):
        return None


def _end_agents(home: Path) -> None:
    """End each Codex that fronts of this home have started, and remove the folder of their sockets."""
    folder = Path(paths.agents_folder({**os.environ, "CODEX_HOME": str(home)}))
    for socket in folder.glob("*/s"):
        pid = find_listener(str(socket))
        if pid is not None:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)  # it has nothing to lose, and politely it goes on with its turns
    shutil.rmtree(folder, ignore_errors=True)
