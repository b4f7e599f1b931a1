"""Who holds a `flock`, as Linux tells it: by its list of locks, and by what it says of the processes in it."""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple

from accountd.files.read import read_file

_MAX_TABLE: Final = 16 << 20
"""Bytes of a list of the kernel's: of a hundred thousand locks, or mounts."""


class Holder(NamedTuple):
    """A process that has a file locked. `uids` is all that it may act as, empty where that is not told."""

    pid: int
    program: str | None = None
    uids: frozenset[int] = frozenset()

    @property
    def is_foreign(self) -> bool:
        """Whether it is neither this user's nor root's; a program that borrows root's rights is its user's."""
        return bool(self.uids - {os.geteuid(), 0})

    def __str__(self) -> str:
        others = ", ".join(f"uid {uid}" for uid in sorted(self.uids - {os.geteuid()}))
        return f"{self.program or 'a program'} (pid {self.pid}{', ' if others else ''}{others})"


def find_holders(descriptor: int) -> tuple[Holder, ...] | None:
    """Name the processes that have an open file locked; None where the system does not tell of any.

    None at all is told of one that has ended and left the open file to a child, or runs where it cannot be seen
    from here, as outside of this container.
    """
    try:
        key = _name_in_list(descriptor)
        lines = read_file("/proc/locks", _MAX_TABLE).decode().splitlines()
    except (OSError, ValueError, KeyError):  # another system, or a /proc that is not all there
        return None
    entries = (line.split() for line in lines)  # in those of who waits for a lock, an arrow comes before its kind
    found = {int(entry[4]) for entry in entries if entry[1] == "FLOCK" and entry[5] == key}
    return tuple(_describe(pid) for pid in sorted(found) if _is_there(pid))


def _name_in_list(descriptor: int) -> str:
    """Name an open file as the list does: by the device of its file system, which stat may not tell, and inode."""
    told = read_file(f"/proc/self/fdinfo/{descriptor}").decode()
    facts = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    mount = facts["mnt_id"].strip()
    mounts = (line.split() for line in read_file("/proc/self/mountinfo", _MAX_TABLE).decode().splitlines())
    device = next(fields[2] for fields in mounts if fields[0] == mount)
    major, minor = map(int, device.split(":"))
    inode = int(facts.get("ino", os.fstat(descriptor).st_ino))
    return f"{major:02x}:{minor:02x}:{inode}"


def _is_there(pid: int) -> bool:
    """Say whether a process is there, seen or not: some systems go on to name one that has ended."""
    try:
        os.kill(pid, 0)
    except OSError as error:  # most often that it is another user's
        return not isinstance(error, ProcessLookupError)
    return True


def _describe(pid: int) -> Holder:
    try:
        told = read_file(f"/proc/{pid}/status").decode("utf-8", "replace")
    except OSError:  # it has ended just now, or may not be looked at
        return Holder(pid)
    name, uids = re.search(r"^Name:\t(.*)$", told, re.MULTILINE), re.search(r"^Uid:(.*)$", told, re.MULTILINE)
    program = re.sub(r"[^ -~]", "?", name[1])[:32] if name else None  # it has chosen that itself
    return Holder(pid, program, frozenset(map(int, uids[1].split())) if uids else frozenset())
