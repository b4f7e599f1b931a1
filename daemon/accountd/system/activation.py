"""The listening sockets that a service manager opened for us: systemd by sd_listen_fds(3), launchd by its library.

With them the first client starts the daemon, and who connects while there is none waits for it.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from accountd.errors import SocketError, describe_os_error

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

TOKEN_NAME: Final = "token"  # noqa: S105  # what the second socket is called, and no token
"""The name of the socket that hands out tokens and nothing else. The other one may have any name."""

LAUNCHD_NAME: Final = "accountd"
"""What the first socket is called in the property list of launchd."""

LAUNCHD_LABEL: Final = "accountd"
"""What the job is called there."""

_FIRST: Final = 3  # SD_LISTEN_FDS_START
_COUNTS: Final = ("0", "1", "2")
"""How LISTEN_FDS may say that there are no more sockets than the two."""
_TOO_MANY: Final = "the service manager gave more sockets than one, and one that is named `token`"


class Activated(NamedTuple):
    """The sockets that were given, each None if it was not."""

    main: socket.socket | None = None
    token: socket.socket | None = None


@contextmanager
def open_activated(environ: MutableMapping[str, str], platform: str = sys.platform) -> Iterator[Activated]:
    """Take the sockets that are meant for this process, and the variables about them; close them after the block.

    Raises SocketError for what is no listening Unix socket, and where there are more than the two.
    """
    given = _take_from_launchd(environ) if platform == "darwin" else _take_from_systemd(environ)
    found: dict[bool, int] = {}
    for name, descriptor in given:
        if found.setdefault(name == TOKEN_NAME, descriptor) != descriptor:
            raise SocketError(_TOO_MANY)
    with ExitStack() as stack:
        sockets = {is_token: stack.enter_context(_open(descriptor)) for is_token, descriptor in found.items()}
        yield Activated(sockets.get(False), sockets.get(True))


def _take_from_systemd(environ: MutableMapping[str, str]) -> list[tuple[str, int]]:
    taken = {name: environ.pop(f"LISTEN_{name}", "") for name in ("PID", "FDS", "FDNAMES", "PIDFDID")}
    if taken["PID"] != str(os.getpid()):
        return []  # none, or those of the process that started us
    if not taken["FDS"].isdecimal():
        raise SocketError("LISTEN_FDS, which the service manager has set, is no number")
    if taken["FDS"] not in _COUNTS:  # before anything is made that is as large as the number
        raise SocketError(_TOO_MANY)
    descriptors = range(_FIRST, _FIRST + int(taken["FDS"]))
    names = taken["FDNAMES"].split(":") if taken["FDNAMES"] else [""] * len(descriptors)
    if len(names) != len(descriptors):
        raise SocketError("LISTEN_FDNAMES, which the service manager has set, does not fit LISTEN_FDS")
    return list(zip(names, descriptors, strict=True))


def _take_from_launchd(environ: MutableMapping[str, str]) -> list[tuple[str, int]]:
    if environ.get("XPC_SERVICE_NAME") != LAUNCHD_LABEL:
        return []
    del environ["XPC_SERVICE_NAME"]
    import ctypes  # nobody else needs it this early

    library = ctypes.CDLL(None, use_errno=True)
    return [(name, descriptor) for name in (LAUNCHD_NAME, TOKEN_NAME) for descriptor in ask_launchd(library, name)]


def ask_launchd(library: Any, name: str) -> list[int]:
    """Call launch_activate_socket(3): the descriptors of one name, and none for a name that the job has not."""
    import ctypes
    import errno

    descriptors, count = ctypes.POINTER(ctypes.c_int)(), ctypes.c_size_t()
    library.launch_activate_socket.argtypes = [
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.POINTER(ctypes.c_int)),
        ctypes.POINTER(ctypes.c_size_t),
    ]
    error = library.launch_activate_socket(name.encode(), ctypes.byref(descriptors), ctypes.byref(count))
    if error in (errno.ENOENT, errno.ESRCH):
        return []
    if error:
        raise SocketError(f"launchd does not give the socket `{name}`: {os.strerror(error)}")
    found = [descriptors[index] for index in range(count.value)]
    library.free.argtypes = [ctypes.c_void_p]
    library.free(ctypes.cast(descriptors, ctypes.c_void_p))
    return found


def _open(descriptor: int) -> socket.socket:
    """Make a socket of a descriptor, for no child of ours. Raises SocketError if clients cannot connect to it."""
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        text = f"descriptor {descriptor}, which the service manager gave, is no socket"
        raise SocketError(f"{text}: {describe_os_error(error)}") from error
    if complaint := _find_fault(sock):
        sock.close()
        raise SocketError(f"descriptor {descriptor}, which the service manager gave, {complaint}")
    return sock


def _find_fault(sock: socket.socket) -> str | None:
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        return "is no Unix stream socket; see ListenStream= in systemd.socket(5)"
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "does not listen; see Accept=no in systemd.socket(5)"
    if not str(sock.getsockname()).startswith("/"):  # the name of an abstract one is bytes
        return "has no path, so that no folder protects it"
    return None
