"""Who listens on a TCP port of this machine, as far as the system tells: for an error that helps."""

from __future__ import annotations

import re
from pathlib import Path

import trio

from accountd.files.read import read_file

_LISTENING = "0A"  # the state TCP_LISTEN in /proc/net/tcp
_MAX_TABLE = 16 << 20  # bytes of it: a hundred thousand sockets


async def describe_holder(port: int) -> str:
    """Name the program that listens on a port, such as `node (pid 4711)`. Never raises."""
    return await trio.to_thread.run_sync(_describe_holder, port)


def _describe_holder(port: int) -> str:
    sockets = _listening_sockets(port)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                return f"{read_file(process / 'comm').decode('utf-8', 'replace').strip()} (pid {process.name})"
        except OSError:
            continue  # it has ended, or is another user's
    return "a program that cannot be named from here"


def _listening_sockets(port: int) -> set[str]:
    """Find the sockets that listen on a port, by the names that /proc gives to a process's descriptors."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            text = read_file(table, _MAX_TABLE).decode()
        except OSError:
            continue  # another system than Linux
        for line in text.splitlines()[1:]:
            fields = line.split()
            if re.fullmatch(rf"[0-9A-F]+:{port:04X}", fields[1]) and fields[3] == _LISTENING:
                found.add(f"socket:[{fields[9]}]")
    return found
