"""The life of the token socket: whatever is done to its path, it comes back, and nothing else is harmed."""

from __future__ import annotations

import os
import socket
import stat
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from accountd.errors import SocketError
from accountd.server import token_socket as module
from accountd.server.token_socket import TokenSocket
from accountd.system import unix_socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon: these sockets are real, and so is their time."""
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.05)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[TokenSocket]:
    """Serve the socket `box/s` in a folder, with its lock in another one; those who come are greeted."""

    async def greet(stream: trio.SocketStream) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError):  # who only looks whether somebody listens
                await stream.send_all(b"hello")

    async def serve(listener: trio.SocketListener) -> None:
        await trio.serve_listeners(greet, [listener])

    (folder / "box").mkdir(exist_ok=True)
    found = TokenSocket(folder / "box" / "s", folder / "run" / "lock")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(found.serve, serve)
        await trio.testing.wait_all_tasks_blocked()
        yield found
        nursery.cancel_scope.cancel()


async def wait_served(path: Path) -> None:
    """Wait until somebody is greeted."""
    with trio.fail_after(5):
        while True:
            try:
                async with await trio.open_unix_socket(path) as stream:
                    assert await stream.receive_some() == b"hello"
                    return
            except OSError:
                await trio.sleep(0.01)


PLANTED: dict[str, Callable[[Path], Any]] = {
    "file": lambda path: path.write_text("precious"),
    "pipe": os.mkfifo,
    "folder": lambda path: (path / "x").mkdir(parents=True),
    "link": lambda path: path.symlink_to(path.parent.parent / "elsewhere"),
    "link in a circle": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("planted", PLANTED)
async def test_what_stands_at_its_path_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, planted: str
) -> None:
    """It is left alone, not followed and told once; when it has gone, the socket is there."""
    path = tmp_path / "box" / "s"
    path.parent.mkdir()
    PLANTED[planted](path)
    before = path.lstat()
    async with served(tmp_path) as found:
        await trio.sleep(0.2)
        assert (found.find_trouble() or "").endswith(f"exists and is not a socket: {path}")
        assert os.path.samestat(before, path.lstat())
        assert not (tmp_path / "elsewhere").exists()
        path.rename(tmp_path / "gone")
        await wait_served(path)
        assert found.find_trouble() is None
    assert [file.name for file in path.parent.iterdir()] == ["s.token"]  # by which no verb starts a daemon there
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def replace_by_socket(path: Path) -> None:
    """Put a socket of a container's in its place, with nobody behind it."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"{path}.other")
    path.with_name("s.other").rename(path)


def replace_by_link(path: Path) -> None:
    """Put a link in its place that leads to it: in a container it would lead elsewhere."""
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to(aside)


@linux
@pytest.mark.parametrize(
    "loss",
    [
        lambda path: path.unlink(),
        lambda path: path.rename(path.with_name("t")),
        replace_by_socket,
    ],
)
async def test_it_is_opened_anew_when_it_is_taken_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, loss: Callable[[Path], None]
) -> None:
    """Removed, renamed or replaced by a container: that is said, and clients can connect again."""
    path = tmp_path / "box" / "s"
    async with served(tmp_path):
        await wait_served(path)
        loss(path)
        await wait_served(path)
    assert "somebody has removed or replaced the token socket" in caplog.text


@pytest.mark.parametrize("at_once", [Path.unlink, replace_by_socket, replace_by_link])
async def test_who_is_quicker_than_we_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: Callable[[Path], None]
) -> None:
    """What is put there before we have looked at what we opened is not taken for ours."""
    haste = [at_once]

    def identify(path: Path) -> tuple[int, int] | None:
        if haste:
            haste.pop()(path)
        return unix_socket.identify(path)

    monkeypatch.setattr(module, "identify", identify)
    async with served(tmp_path) as found:
        assert "somebody has removed or replaced" in (found.find_trouble() or "")
        if found.path.is_symlink():
            found.path.unlink()
        await wait_served(found.path)


@linux
async def test_what_others_do_beside_it_wakes_nobody(tmp_path: Path) -> None:
    """A container may fill the folder with files: only what becomes of the socket itself is looked at."""
    looks = []
    async with served(tmp_path) as found:
        await wait_served(found.path)
        original = found._describe_loss
        found._describe_loss = lambda: looks.append(1) or original()  # type: ignore[method-assign,func-returns-value]  # seen by the test alone
        for number in range(100):
            (found.path.parent / str(number)).touch()
        found.path.chmod(0o777)  # which is no loss
        await trio.sleep(0.2)
        assert found.find_trouble() is None
    assert looks == []


async def test_its_lock_is_out_of_reach(tmp_path: Path) -> None:
    """What a container puts where the lock of any other socket is does not matter; a second daemon is refused."""
    box = tmp_path / "box"
    box.mkdir()
    (box / "s.lock").mkdir()
    async with served(tmp_path) as found:
        await wait_served(found.path)
        assert {file.name for file in box.iterdir()} == {"s", "s.lock", "s.token"}
        async with served(tmp_path) as second:
            assert "already in use by a running server" in (second.find_trouble() or "")
        await wait_served(found.path)


async def test_a_folder_that_others_may_write_to_is_waited_for(tmp_path: Path) -> None:
    """A container of the same user can give its folder to everybody; then nobody is let in until it is safe."""
    box = tmp_path / "box"
    box.mkdir(mode=0o777)
    box.chmod(0o777)
    async with served(tmp_path) as found:
        assert "other users can write" in (found.find_trouble() or "")
        box.chmod(0o700)
        await wait_served(found.path)
        assert stat.S_IMODE(found.path.stat().st_mode) == 0o600


async def test_the_socket_of_a_service_manager_is_told_of_and_kept(tmp_path: Path) -> None:
    """Only the manager can open it anew, so that those who are connected are served on."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as given:
        given.bind(os.fspath(path))
        given.listen()
        found = TokenSocket(given)

        async def serve(listener: trio.SocketListener) -> None:
            async with listener:
                await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(found.serve, serve)
            await trio.sleep(0.01)
            assert found.find_trouble() is None
            path.unlink()
            assert (found.find_trouble() or "").endswith("have the service manager open it again")
            nursery.cancel_scope.cancel()


def test_a_path_that_no_socket_can_have_is_refused_at_once(tmp_path: Path) -> None:
    """It is the command line's fault, and no time mends it."""
    with pytest.raises(SocketError, match="bytes long"):
        TokenSocket(tmp_path / ("x" * unix_socket.MAX_PATH), tmp_path / "lock")
