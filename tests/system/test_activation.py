"""Sockets that a service manager opened: as systemd numbers them from 3 on, and as launchd hands them out."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from accountd.errors import SocketError
from accountd.system import activation
from accountd.system.activation import Activated, ask_launchd, open_activated
from accountd.system.unix_socket import open_inherited_listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Give = Callable[..., dict[str, str]]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a short path, since sockets need one."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Iterator[Give]:
    """Give a function that numbers sockets as systemd does, if not from 3 on, and gives the variables."""
    blocks: list[int] = []

    def number(*given: socket.socket, names: str = "") -> dict[str, str]:
        first = 200
        monkeypatch.setattr(activation, "_FIRST", first)
        for index, sock in enumerate(given):
            os.dup2(sock.fileno(), first + index)
            sock.close()
            blocks.append(first + index)
        variables = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(given))}
        return variables | ({"LISTEN_FDNAMES": names} if names else {})

    yield number
    for descriptor in blocks:
        with suppress(OSError):  # who took it has closed it
            os.close(descriptor)


def listening(path: Path | str, family: int = socket.AF_UNIX) -> socket.socket:
    """Give a socket as a service manager would."""
    sock = socket.socket(family)
    sock.bind(str(path) if family == socket.AF_UNIX else ("127.0.0.1", 0))
    sock.listen()
    return sock


def take(environ: dict[str, str], platform: str = "linux") -> Activated:
    """Take what there is, and close it."""
    with open_activated(environ, platform) as given:
        return given


def test_the_token_socket_is_known_by_its_name(folder: Path, give: Give) -> None:
    """The one that is named `token` is that; the other may have any name. No child inherits either."""
    environ = give(listening(folder / "t"), listening(folder / "m"), names="token:accountd.socket") | {"HOME": "/h"}
    with open_activated(environ, "linux") as given:
        assert given.main is not None
        assert given.token is not None
        assert (given.main.getsockname(), given.token.getsockname()) == (str(folder / "m"), str(folder / "t"))
        assert not given.main.get_inheritable()
    assert environ == {"HOME": "/h"}


@pytest.mark.parametrize("pid", ["", "1"])
def test_sockets_of_another_process_are_let_be(pid: str) -> None:
    """Without our pid they are not ours; the variables go all the same."""
    environ = {"LISTEN_PID": pid, "LISTEN_FDS": "1"}
    assert take(environ) == (None, None)
    assert environ == {}


def test_what_no_client_could_use_is_refused_in_words(folder: Path, give: Give) -> None:
    """TCP, a socket that does not listen, one without a path, a file, and two of a kind."""
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(folder / "silent"))
    nameless = socket.socket(socket.AF_UNIX)
    nameless.bind(f"\0accountd-{os.getpid()}")
    nameless.listen()
    for sock, words in (
        (listening("", socket.AF_INET), "is no Unix stream socket"),
        (silent, "does not listen"),
        (nameless, "has no path"),
    ):
        with pytest.raises(SocketError, match=words):
            take(give(sock))
    with pytest.raises(SocketError, match="more sockets than one"):
        take(give(listening(folder / "a"), listening(folder / "b")))
    with (folder / "file").open("w") as file:
        variables = give()
        os.dup2(file.fileno(), 200)
        with pytest.raises(SocketError, match="is no socket"):
            take(variables | {"LISTEN_FDS": "1"})


@pytest.mark.parametrize(
    "variables",
    [
        {"LISTEN_FDS": "two"},
        {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "one"},
        {"LISTEN_FDS": "3"},
        {"LISTEN_FDS": "9" * 18},
        {"LISTEN_FDS": "9" * 5000},  # more digits than int() takes
        {"LISTEN_FDS": "9" * 18, "LISTEN_FDNAMES": "token"},
    ],
    ids=lambda variables: f"{variables['LISTEN_FDS'][:3]} of {len(variables['LISTEN_FDS'])}",
)
def test_variables_that_make_no_sense_are_refused(variables: dict[str, str]) -> None:
    """A number that is none, one that would fill the memory, and names that are too few."""
    with pytest.raises(SocketError, match=r"the service manager (has set|gave more)"):
        take({"LISTEN_PID": str(os.getpid()), **variables})


async def test_the_file_of_an_inherited_socket_stays(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is the manager's, who goes on listening; that others may reach it is said."""
    sock = listening(folder / "s")
    (folder / "s").chmod(0o666)
    with open_inherited_listener(sock) as listener:
        assert listener.socket.fileno() >= 0
    assert (folder / "s").exists()
    assert "give the socket the mode 0600" in caplog.text


@pytest.fixture
def launchd() -> SimpleNamespace:
    """Give a library whose functions are called as those of C are."""
    pointer = ctypes.POINTER(ctypes.c_int)
    given = (ctypes.c_int * 2)(7, 8)
    freed: list[int] = []

    def activate(name: bytes, descriptors: Any, count: Any) -> int:
        if name != b"accountd":
            return {b"token": 2, b"stranger": 3}.get(name, 1)  # ENOENT, ESRCH, EPERM
        descriptors[0], count[0] = ctypes.cast(given, pointer), 2
        return 0

    signature = (ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(pointer), ctypes.POINTER(ctypes.c_size_t))
    launch_activate_socket = ctypes.CFUNCTYPE(*signature)(activate)
    free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(freed.append)
    return SimpleNamespace(
        launch_activate_socket=launch_activate_socket, free=free, freed=freed, at=ctypes.addressof(given)
    )


def test_launchd_is_asked_by_its_own_function(launchd: SimpleNamespace) -> None:
    """Its array is read and freed; a name that the job does not have has no sockets; other errors are told."""
    assert ask_launchd(launchd, "accountd") == [7, 8]
    assert launchd.freed == [launchd.at]
    assert ask_launchd(launchd, "token") == []
    assert ask_launchd(launchd, "stranger") == []
    with pytest.raises(SocketError, match="Operation not permitted"):
        ask_launchd(launchd, "forbidden")


@pytest.mark.process
def test_launchd_is_asked_only_where_it_started_us() -> None:
    """In a terminal the variable has another value, or is not there; nothing is loaded then."""
    for environ in ({}, {"XPC_SERVICE_NAME": "application.com.apple.Terminal"}):
        assert take(dict(environ), "darwin") == (None, None)
    code = "import accountd.system.activation, sys; sys.exit('ctypes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
