"""Is there a daemon, does it answer, and is it the one that this command belongs to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import trio

from accountd import __version__, paths
from accountd.doctor.findings import fail, ok, warn
from accountd.system.unix_socket import MAX_PATH

if TYPE_CHECKING:
    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Daemon, Surroundings


async def check_daemon(surroundings: Surroundings) -> Finding:
    """Ask the daemon for its version. None is started: a doctor who changes the patient finds nothing."""
    path = str(surroundings.socket)
    if len(os.fsencode(path)) > MAX_PATH:
        return warn(
            "cannot be asked, since the path of the socket is too long", "see socket.path first", socket=path
        )
    daemon = await surroundings.daemon()
    if daemon.is_absent:
        return warn(
            f"no daemon listens on {path}; the next client starts one",
            "start one with `accountd status`",
            socket=path,
        )
    if daemon.trouble is not None:
        return fail(f"the daemon does not answer: {daemon.trouble}", _how_to_end(daemon), socket=path)
    wanted = str(surroundings.home)
    if daemon.home is not None and not await trio.to_thread.run_sync(paths.leads_to, daemon.home, wanted):
        return fail(
            f"the daemon owns the login of {daemon.home}, not that of {wanted}",
            f"unset ACCOUNTD_SOCKET, or set CODEX_HOME={daemon.home}",
            socket=path,
        )
    status = daemon.status or {}
    version = str(status.get("version") or "of an older version")
    details = {"socket": path, "version": version, "pid": str(daemon.pid)}
    if version != __version__:
        text = f"the daemon is {version}, this command is {__version__}"
        return warn(text, "`accountd restart`", **details)
    return ok(f"accountd {version} answers, pid {daemon.pid}", **details)


async def check_token_socket(surroundings: Surroundings) -> Finding:
    """Ask the daemon whether containers can connect to the socket that is theirs, if it has one."""
    status = (await surroundings.daemon()).status or {}
    token_socket = status.get("tokenSocket")
    if not isinstance(token_socket, dict):
        return ok("no token socket is known of")
    path, trouble = str(token_socket.get("path")), token_socket.get("trouble")
    if trouble is not None:
        remedy = f"see what is at {path}; the daemon tries again by itself, within a minute"
        return fail(f"containers cannot connect: {trouble}", remedy, path=path)
    return ok(f"containers can connect to {path}", path=path)


def _how_to_end(daemon: Daemon) -> str:
    """Describe how to be rid of a daemon; the next client starts another."""
    if daemon.pid is None:
        return "see socket.modes first; `ss -xlp` tells who listens there"
    return f"end it with `kill {daemon.pid}`, and with `kill -KILL {daemon.pid}` if it does not go"
