"""The socket's path, and who may be at either end of it."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
import trio

from accountd.errors import SocketError
from accountd.files import ownership
from accountd.system.peer_credentials import peer_credentials
from accountd.system.unix_socket import MAX_PATH, open_unix_listener


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a short path, since sockets need one."""
    return tmp_path_factory.mktemp("s")


def mode(path: Path) -> int:
    """Give the permission bits of a path."""
    return stat.S_IMODE(path.lstat().st_mode)


async def test_the_socket_is_private_from_the_moment_it_exists(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is made has mode 0700, the socket 0600 before anybody could connect, whatever the umask."""
    seen: list[int] = []
    listen = socket.socket.listen

    def spy(sock: socket.socket, backlog: int) -> None:
        seen.append(mode(Path(sock.getsockname())))
        listen(sock, backlog)

    monkeypatch.setattr(socket.socket, "listen", spy)
    umask = os.umask(0)
    try:
        with open_unix_listener(folder / "new" / "s"):
            assert mode(folder / "new") == 0o700
            assert mode(folder / "new" / "s") == 0o600
    finally:
        assert os.umask(umask) == 0
    assert seen == [0o600]


async def test_clients_are_accepted_and_known(folder: Path) -> None:
    """A client connects, and the kernel says who it is."""
    with open_unix_listener(folder / "s") as listener:
        client = await trio.open_unix_socket(folder / "s")
        accepted = await listener.accept()
        peer = peer_credentials(accepted.socket)
        assert peer is not None
        assert (peer.uid, peer.pid) == (os.getuid(), os.getpid())
        await client.aclose()
        await accepted.aclose()


def test_of_one_that_has_left_nothing_is_known() -> None:
    """As on macOS, whose kernel answers such a question with an error; nothing is raised."""

    class Left(socket.socket):
        def getsockopt(self, *_: int) -> NoReturn:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    with Left(socket.AF_UNIX) as sock:
        assert peer_credentials(sock) is None


async def test_a_crowd_waits_in_the_queue(folder: Path) -> None:
    """As many clients as the system allows may connect before one is accepted; more than its old 128."""
    with open_unix_listener(folder / "s"), ExitStack() as crowd:
        for _ in range(200):
            client = crowd.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            client.connect(str(folder / "s"))


def test_nothing_is_left_behind(folder: Path) -> None:
    """After the block the path is free."""
    with open_unix_listener(folder / "s"):
        pass
    assert list(folder.iterdir()) == []


async def test_a_stale_socket_is_replaced(folder: Path) -> None:
    """A socket whose daemon was killed does not keep the next one from starting."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "s"))
    assert (folder / "s").exists()
    with open_unix_listener(folder / "s"):
        client = await trio.open_unix_socket(folder / "s")
        await client.aclose()


async def test_a_live_socket_is_not_taken(folder: Path) -> None:
    """A second daemon on the same path is refused, and the first one goes on."""
    with open_unix_listener(folder / "s"):
        with (
            pytest.raises(SocketError, match=rf"already in use by a running server \(pid {os.getpid()}\): .*/s$"),
            open_unix_listener(folder / "s"),
        ):
            raise AssertionError("there are two")
        client = await trio.open_unix_socket(folder / "s")
        await client.aclose()


async def test_a_live_socket_of_one_who_takes_no_lock_is_not_taken_either(folder: Path) -> None:
    """Another make of server may have the path: whoever connects there goes on to find it."""
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
        theirs.listen()
        with pytest.raises(SocketError, match="already in use"), open_unix_listener(path):
            raise AssertionError("it was taken")
        assert path.is_socket()


async def test_what_is_no_socket_is_not_removed(folder: Path) -> None:
    """A file in the way is somebody's file."""
    (folder / "s").write_text("precious")
    with pytest.raises(SocketError, match="exists and is not a socket"), open_unix_listener(folder / "s"):
        raise AssertionError("it was removed")
    assert (folder / "s").read_text() == "precious"


async def test_a_link_is_not_followed(folder: Path) -> None:
    """A link in the way is not what we would remove by its target's nature."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "target"))
    (folder / "s").symlink_to(folder / "target")
    with pytest.raises(SocketError, match="is not a socket"), open_unix_listener(folder / "s"):
        raise AssertionError("it was followed")


async def test_a_path_that_is_too_long_is_refused_with_its_length(folder: Path) -> None:
    """The error says how long the path is and how long it may be; the longest that may be works."""
    path = folder / ("x" * (MAX_PATH - len(str(folder)) - 1))
    with open_unix_listener(path):
        pass
    longer = Path(f"{path}x")
    with (
        pytest.raises(SocketError, match=f"{MAX_PATH + 1} bytes long, and {MAX_PATH} is the most"),
        open_unix_listener(longer),
    ):
        raise AssertionError("it fits")


@pytest.mark.parametrize("mode", [0o777, 0o770], ids=["everybody", "a group"])
async def test_a_folder_that_others_can_write_to_is_refused(
    folder: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another user could put a socket in the place of ours, we do not listen; a sticky folder is safe."""
    monkeypatch.setattr(ownership, "_is_own_group", lambda _gid, _me: False)
    (folder / "shared").mkdir()
    (folder / "shared").chmod(mode)
    with pytest.raises(SocketError, match="other users can write"), open_unix_listener(folder / "shared" / "s"):
        raise AssertionError("others could replace it")
    (folder / "shared").chmod(0o1000 | mode)
    with open_unix_listener(folder / "shared" / "s"):
        pass


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
async def test_a_folder_of_somebody_else_is_refused(folder: Path) -> None:
    """A folder, or one above it, that belongs to another user is not to be trusted."""
    (folder / "theirs" / "ours").mkdir(parents=True)
    os.chown(folder / "theirs", 65534, 65534)
    for path in (folder / "theirs" / "s", folder / "theirs" / "ours" / "s"):
        with (
            pytest.raises(SocketError, match=r"theirs belongs to \w+ \(uid 65534\), "),
            open_unix_listener(path),
        ):
            raise AssertionError("they could replace it")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a link away")
async def test_a_link_of_somebody_else_on_the_way_is_not_followed(folder: Path) -> None:
    """They could lead us, or a client, elsewhere at any time; a link of our own is followed."""
    (folder / "ours").mkdir()
    (folder / "link").symlink_to("ours")
    with open_unix_listener(folder / "link" / "s"):
        pass
    os.chown(folder / "link", 65534, 65534, follow_symlinks=False)
    with (
        pytest.raises(SocketError, match=r"link belongs to .*uid 65534"),
        open_unix_listener(folder / "link" / "s"),
    ):
        raise AssertionError("it was followed")


async def test_a_folder_that_cannot_be_made_is_an_error(folder: Path) -> None:
    """The system's word is passed on, with the path."""
    (folder / "file").touch()
    with (
        pytest.raises(SocketError, match=r"cannot listen on .*: (File exists|Not a directory)"),
        open_unix_listener(folder / "file" / "s"),
    ):
        raise AssertionError("it was made")


async def test_a_socket_that_took_our_place_is_left_alone(folder: Path) -> None:
    """If somebody removed our socket and another server listens there now, that one stays."""
    with open_unix_listener(folder / "s"):
        (folder / "s").unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(folder / "s"))
            other.listen()
    assert (folder / "s").exists()
