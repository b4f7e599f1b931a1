"""Whom the kernel can tell apart for this process. In a user namespace, all who have no number there have one uid.

That is the overflow uid, 65534 as a rule, which may be somebody's own as well (user_namespaces(7)).
"""

from __future__ import annotations

import os
from typing import NamedTuple

_ALL = 2**32 - 1
"""How many users there can be: the last number means nobody."""


REMEDY = "run accountd, and its clients, as a user with another uid"
"""What helps against lookalikes."""


class UserNamespace(NamedTuple):
    """The numbers that this process's namespace has for users, and the uid as which everybody else shows.

    `others` is None where each user has a number, as outside of any namespace. `has_root` is that root has one,
    which need not be 0: in a container of a user's own, 0 is that user.
    """

    known: tuple[range, ...] = (range(_ALL),)
    others: int | None = None
    has_root: bool = True


def read_namespace() -> UserNamespace:
    """Ask the kernel; a system without namespaces has the one in which all are known."""
    try:
        with open("/proc/self/uid_map", encoding="utf-8") as file:
            lines = [[int(word) for word in line.split()] for line in file]
        with open("/proc/sys/kernel/overflowuid", encoding="utf-8") as file:
            others = int(file.read())
    except (OSError, ValueError):  # another system than Linux
        return UserNamespace()
    known = tuple(range(first, first + count) for first, _outside, count in lines)
    has_root = any(outside == 0 for _first, outside, _count in lines)
    return UserNamespace(known, None if sum(map(len, known)) >= _ALL else others, has_root)


def find_lookalikes() -> str | None:
    """Return why other users cannot be told from that of this process; None if they can."""
    if os.geteuid() != (others := read_namespace().others):
        return None
    return (
        f"other users cannot be told from this one: it has the uid {others}, as which everybody shows who has no "
        "number in this user namespace (/proc/self/uid_map)"
    )
