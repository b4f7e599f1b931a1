"""The end of a daemon, for the verbs that want one, or another in its place: who may have it, and the wait for it.

A daemon is asked to end by SIGTERM, as a service manager would, and ends what it has begun. That one of a service
manager is ended by nobody else: it would be started anew, or counted as failed.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from accountd.cli.exits import Failure
from accountd.cli.terminal import describe_duration
from accountd.cli.waiting import waiting
from accountd.client.errors import CallFailed, NothingListens
from accountd.client.unix_socket import find_listener, open_socket

if TYPE_CHECKING:
    from accountd.client.blocking import Client

PATIENCE = 50.0
"""Seconds for a daemon to end: ten for its clients, then thirty for a refresh that has been sent."""
_PAUSE = 0.05
_CONNECTING = 5.0

SERVICE_MANAGER = "serviceManager"
"""Who has started a daemon that only they may end, as it tells."""

Status = dict[str, Any]


def read_status(client: Client) -> Status:
    """Ask a daemon how it is; nothing of one of an older version."""
    try:
        return client.read_status()
    except CallFailed:
        return {}


def name_manager() -> str:
    """Name the service manager of this system."""
    return "launchd" if sys.platform == "darwin" else "systemd"


def manager_command(verb: str) -> str:
    """Return the command that has the service manager stop or restart the daemon."""
    if sys.platform == "darwin":
        job = f"gui/{os.getuid()}/accountd"
        return f"launchctl {'bootout' if verb == 'stop' else 'kickstart -k'} {job}"
    return f"systemctl --user {verb} accountd.service" + (" accountd.socket" if verb == "stop" else "")


def find_hindrance(status: Status) -> str | None:
    """Return why a verb may not put another daemon in the place of this one; None if it may."""
    if status.get("startedBy") == SERVICE_MANAGER:
        return f"{name_manager()} runs it: `{manager_command('restart')}`; its variables are set there"
    if status.get("startedBy") != "client":
        return "somebody has started it by hand: `accountd restart` puts one of this shell in its place"
    busy = describe_busy(status)
    return f"it has {busy}: `accountd restart` ends that" if busy else None


def describe_busy(status: Status) -> str | None:
    """Return what a daemon's end would end; None if nobody would miss it."""
    logins, others = len(status.get("logins") or ()), int(status.get("connections") or 1) - 1
    found = [
        logins and f"{logins} login{'s' * (logins > 1)} under way",
        status.get("holdsOnlyCopy") and "a login that is in its memory alone",
        others > 0 and f"{others} other client{'s' * (others > 1)}",
    ]
    return ", ".join(each for each in found if each) or None


def describe(status: Status) -> str:
    """Name a daemon by its version, process and age."""
    uptime = describe_duration(float(status.get("uptimeSeconds") or 0))
    return f"accountd {status.get('version')}, pid {status.get('pid')}, up {uptime}"


def end_daemon(path: str, status: Status) -> None:
    """End the daemon that listens on a path, and wait until it has. Raises Failure."""
    if not status:
        raise Failure(f"the daemon at {path} does not say who it is; `accountd doctor` tells how to end it")
    pid = find_listener(path)
    if status.get("startedBy") == SERVICE_MANAGER:
        raise Failure(f"{name_manager()} runs this daemon: end it with `{manager_command('stop')}`")
    if pid is None or pid != status.get("pid"):  # its number means another process here
        raise Failure(f"the daemon at {path} cannot be ended from here: it is in another container, or another's")
    process = _open_process(pid)
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise Failure(f"the daemon, pid {pid}, is another user's") from None
    with waiting("the daemon to end what it has begun", goes_on="the daemon ends all the same, when that is done"):
        ended = _wait(process, path)
    if not ended:
        raise Failure(f"the daemon, pid {pid}, has not ended within {PATIENCE:g} s; `kill -KILL {pid}` ends it")


def _open_process(pid: int) -> int | None:
    """Return a descriptor that becomes readable when a process ends, where the system has such."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _wait(process: int | None, path: str) -> bool:
    """Wait until a process has ended, or else until nobody listens on its socket."""
    if process is not None:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        try:
            return bool(poll.poll(PATIENCE * 1000))
        finally:
            os.close(process)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            open_socket(path, _CONNECTING).close()
        except NothingListens:
            return True
        time.sleep(_PAUSE)
    return False
