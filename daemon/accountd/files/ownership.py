"""Whose a file is: the one rule by which what is at a path is used, as sshd has it in StrictModes.

What a program finds at a path is decided by whoever may write to the file, to a folder on the way to it, or has put
a link there. So each of these must be this user's or root's, and nobody else may be allowed to write to it.

- In a sticky folder, such as /tmp, others may write, but cannot move or remove what is not theirs; and what is
  theirs is known by its owner.
- A link is its owner's decision. It has no mode to look at.
- A group is others, unless nobody is in it but this user and root: with a umask of 0002 each user has a group of
  their own, and root has one as well.

Owner and mode are all that is looked at. Whom an access control list lets write is seen in the mode as well, as the
group's right, and so is missed where the group is the user's own.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import lru_cache

OPT_OUT = "ACCOUNTD_TRUST_UNSAFE_PATHS"
"""A variable that, as `1`, has all paths used as they are: for a container whose volumes cannot be otherwise."""


class UnsafePath(OSError):
    """Others decide what is at a path. The message names it and the remedy."""

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        super().__init__(None, f"{problem}; {remedy}")  # no error of the system's, and so without a number
        self.place, self.problem, self.remedy = place, problem, remedy


def trusts_unsafe_paths() -> bool:
    """Return True if whoever started this process has given up the rule."""
    return os.environ.get(OPT_OUT, "").strip() == "1"


def require_ours(found: os.stat_result, place: str, *, in_shared: bool = False) -> None:
    """Raise UnsafePath for what `find_fault` finds, unless the rule has been given up."""
    fault = find_fault(found, place, in_shared=in_shared)
    if fault is not None and not trusts_unsafe_paths():
        raise fault


def find_fault(found: os.stat_result, place: str, *, in_shared: bool = False) -> UnsafePath | None:
    """Return why others decide what is at a place; None if they do not.

    `in_shared` is for what is in a folder where others may write: there, who has no number in this user namespace
    is not taken for root.
    """
    me = os.geteuid()
    trusted = found.st_uid in (me, 0) or (found.st_uid == _root_without_number() and not in_shared)
    if not trusted:
        if me == 0:  # by `sudo -E`, say: to have the home of a person given to root would be no remedy
            problem = f"{place} belongs to {name_user(found.st_uid)}, and this is run by root"
            remedy = f"run it as {login_name(found.st_uid)}, or as root with files of root's own"
            return UnsafePath(place, problem, remedy)
        problem = f"{place} belongs to {name_user(found.st_uid)}, not to you"
        itself = "-h " if stat.S_ISLNK(found.st_mode) else ""  # else what it leads to would be given away
        return UnsafePath(place, problem, f"`sudo chown {itself}{login_name(me)} {_quote(place)}` if it is yours")
    if not stat.S_ISLNK(found.st_mode) and not is_shared(found) and may_others_write(found):
        problem = f"other users can write to {place}: mode {render_mode(found)}"
        return UnsafePath(place, problem, f"`chmod go-w {_quote(place)}`")
    return None


def find_permission(*places: str) -> str | None:
    """Return the command that lets this user read and write some places; None where it is not the modes.

    Another owner comes first: where modes are wrong as well, that is seen once it is one's own.
    """
    foreign, closed, me = [], [], os.geteuid()
    for place in places:
        with suppress(OSError):
            found = os.stat(place)
            wanted = stat.S_IRWXU if stat.S_ISDIR(found.st_mode) else stat.S_IRUSR | stat.S_IWUSR
            if found.st_uid != me:
                foreign.append(_quote(place))
            elif found.st_mode & wanted != wanted:
                closed.append(_quote(place))
    if foreign:
        return f"`sudo chown {login_name(me)} {' '.join(foreign)}` if it is yours"
    return f"`chmod u+rwX {' '.join(closed)}`" if closed else None


def is_shared(found: os.stat_result) -> bool:
    """Return True if it is a folder where everybody may put something, and touch nothing of anybody else's."""
    return bool(stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX and may_others_write(found))


def may_others_write(found: os.stat_result) -> bool:
    """Return True if the mode lets anybody write but the owner and a group that has nobody else in it."""
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_own_group(found.st_gid, os.geteuid())


def render_mode(found: os.stat_result) -> str:
    """Write a mode as chmod takes it, such as 0644."""
    return f"{stat.S_IMODE(found.st_mode):04o}"


def name_user(uid: int) -> str:
    """Name a user to a person, such as `ada (uid 1000)`."""
    name = login_name(uid)
    return f"{name} (uid {uid})" if name != str(uid) else f"uid {uid}"


def login_name(uid: int) -> str:
    """Return the name of a user, or the number of one that has none, as in a container."""
    import pwd  # as all that is for a fault alone: the verbs look at paths while they start

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _quote(place: str) -> str:
    import shlex

    return shlex.quote(place)


@lru_cache(maxsize=64)  # a directory of users may be elsewhere on the network
def _is_own_group(gid: int, me: int) -> bool:
    """Return True if a group has this user in it, or root, and nobody else, as far as the system tells.

    A group in which it tells of nobody is not: a directory server does not list who is in its groups.
    """
    import grp
    import pwd

    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    everybody = pwd.getpwall()
    uids = {entry.pw_name: entry.pw_uid for entry in everybody}
    with suppress(KeyError):  # no name, as for an arbitrary uid in a container
        uids[pwd.getpwuid(me).pw_name] = me  # a directory server may not list its users either
    members = {uids.get(name, -1) for name in group.gr_mem}
    members |= {entry.pw_uid for entry in everybody if entry.pw_gid == gid}
    if uids.get(group.gr_name) == me:
        members.add(me)
    return bool(members) and members <= {me, 0}


@lru_cache(maxsize=1)
def _root_without_number() -> int | None:
    """Return the uid as which root shows in a user namespace without one, as that of a hardened unit; else None.

    Everybody else without a number shows so, too, and cannot be told from root.
    """
    from accountd.files.users import read_namespace

    namespace = read_namespace()
    return None if namespace.has_root else namespace.others
