"""A real daemon in a process of its own, and the sandbox on a real port, for the tests of the doors."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import trio

from accountd.client.blocking import Client
from accountd.client.errors import NothingListens
from accountd.sandbox import Sandbox, Script
from accountd.sandbox.config import render_config
from accountd.sandbox.server import serve_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PATIENCE = 15.0
"""Seconds for anything that a process of ours should do; all of it takes a fraction of one."""


PORTS = (1455, 1457)
"""Where browsers come back to; the issuer knows no others."""


class Daemon:
    """A running daemon."""

    def __init__(self, process: subprocess.Popen[str], path: Path) -> None:
        self.process = process
        self.path = path

    def connect(self) -> Client:
        """Connect the client of the command line."""
        return Client(str(self.path), timeout=PATIENCE)

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Send a signal, wait for the end, and give the log."""
        self.process.send_signal(number)
        return self.process.communicate(timeout=PATIENCE)[1]


def run_verb(environ: dict[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a verb of the command line to its end."""
    command = [sys.executable, "-m", "accountd", *arguments]
    return subprocess.run(
        command, env=environ, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Give the environment of a daemon, without what this machine may have set."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**keep, "CODEX_HOME": str(home), "PYTHONWARNINGS": "error", **variables}


def wait_until_it_listens(path: Path, process: subprocess.Popen[str]) -> socket.socket:
    """Give a connection to a daemon that is starting, whoever it belongs to."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(FileNotFoundError, ConnectionRefusedError):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE)
            sock.connect(os.fspath(path))
            return sock
        sock.close()
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def running(home: Path, *options: str, under: Sequence[str] = (), **variables: str) -> Iterator[Daemon]:
    """Run a daemon on a socket in its home, until it answers; `under` a command that becomes it."""
    path = home / "run" / "s"
    command = [*under, sys.executable, "-m", "accountd", "serve", "--listen", f"unix://{path}", *options]
    with subprocess.Popen(
        command, env=environment(home, **variables), stderr=subprocess.PIPE, text=True, cwd="/"
    ) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    Client(str(path)).close()
                    break
                except NothingListens:
                    assert process.poll() is None, process.communicate()[1]
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
            yield Daemon(process, path)
        finally:
            process.kill()
            if process.stderr and not process.stderr.closed:
                process.communicate()  # so that what it has written is looked at


def daemon_pid(path: Path | str) -> int:
    """Ask the kernel who listens; as Linux tells it. Raises NothingListens."""
    with Client(path) as client:
        credentials = client._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[:4], sys.byteorder)


def stop_daemon(path: Path | str) -> None:
    """End the daemon that listens, and wait until its process has: it may write to its home until then.

    Raises NothingListens.
    """
    process = os.pidfd_open(daemon_pid(path))
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        ended, *_ = select.select([process], [], [], PATIENCE)
        assert ended, "the daemon does not stop"
    finally:
        os.close(process)


@contextmanager
def sandbox_on_loopback(sandbox: Sandbox) -> Iterator[str]:
    """Serve a sandbox from a thread of this process, and give its URL."""
    found: list[Any] = []
    ready = threading.Event()

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            port = await nursery.start(serve_sandbox, sandbox, 0)
            found.extend((port, trio.lowlevel.current_trio_token(), nursery.cancel_scope.cancel))
            ready.set()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert ready.wait(PATIENCE)
    port, token, cancel = found
    try:
        yield f"http://127.0.0.1:{port}"
    finally:  # of a test that fails, too: the run would not end before the thread
        trio.from_thread.run_sync(cancel, trio_token=token)
        thread.join(PATIENCE)


@contextmanager
def running_with_sandbox(home: Path, script: Script) -> Iterator[tuple[Daemon, Sandbox]]:
    """Run a daemon whose issuer and backend are a sandbox."""
    sandbox = Sandbox(script)
    with sandbox_on_loopback(sandbox) as url:
        (home / "config.toml").write_text(render_config(url))
        with running(home, CODEX_APP_SERVER_LOGIN_ISSUER=url) as daemon:
            yield daemon, sandbox


def completion(client: Client, login_id: str) -> dict[str, Any]:
    """Wait for a login's completion."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        notification = client.next_notification(PATIENCE)
        if notification is None or notification.method != "account/login/completed":
            continue
        if notification.params["loginId"] == login_id:
            return notification.params
    raise AssertionError("the login did not complete")
