"""Who listens where plain `codex` looks for a server, and when."""

from __future__ import annotations

import fcntl
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd import paths
from accountd.errors import AgentUnavailable
from accountd.front.control_socket import RETRY_DELAY, serve_control_socket
from accountd.front.report import Report

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Scene:
    """A CODEX_HOME with a front, in the place of its Sides, and of its Agent."""

    def __init__(self, home: Path) -> None:
        self.environ = {"CODEX_HOME": str(home)}
        self.place = Path(paths.control_socket(self.environ))
        self.place.parent.mkdir(mode=0o700)
        self.report = Report()
        self.agent = self
        self.has_agent, self.lost = True, trio.Event()

    async def wait_ready(self) -> None:
        """See Agent."""
        await trio.lowlevel.checkpoint()
        if not self.has_agent:
            raise AgentUnavailable("there is none")

    async def wait_unavailable(self) -> None:
        """See Agent."""
        await self.lost.wait()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Have the socket served for the block, by nobody who would answer."""

        async def accept(_listener: trio.SocketListener) -> None:
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_control_socket, self.place, self, accept)  # type: ignore[arg-type]  # of Sides
            await trio.sleep(1)
            yield
            nursery.cancel_scope.cancel()

    def is_served(self) -> bool:
        """Say whether a client is taken there, by us."""
        with socket.socket(socket.AF_UNIX) as client:
            return not self.place.is_symlink() and client.connect_ex(str(self.place)) == 0


@pytest.fixture
def scene(path: Path) -> Scene:
    """Give one."""
    return Scene(path.parent)


async def test_it_is_there_as_long_as_an_agent_is(scene: Scene, autojump_clock: trio.testing.MockClock) -> None:
    """A file without a listener is passed over, and one whose listener hangs is not."""
    scene.has_agent = False
    async with scene.serving():
        assert not scene.is_served()
        scene.has_agent = True
        await trio.sleep(RETRY_DELAY + 1)
        assert scene.is_served()
        scene.has_agent = False
        scene.lost.set()
        await trio.testing.wait_all_tasks_blocked()
        assert not scene.place.exists()
        scene.has_agent, scene.lost = True, trio.Event()
        await trio.sleep(RETRY_DELAY + 1)
        assert scene.is_served()
    assert not scene.place.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells of it")
async def test_one_that_was_taken_away_is_opened_anew(scene: Scene, autojump_clock: trio.testing.MockClock) -> None:
    """At once: it is what the guard does while we are stopped."""
    async with scene.serving():
        scene.place.unlink()
        await trio.sleep(1)
        assert scene.is_served()


@pytest.mark.parametrize("linked", [False, True], ids=["socket", "link"])
async def test_a_server_that_is_there_is_left_alone(
    scene: Scene, linked: bool, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Codex's own, which puts a link there; when it has gone, though killed, its place is taken."""
    behind = tmp_path / "s" if linked else scene.place
    if linked:
        scene.place.symlink_to(behind)
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(behind))
        foreign.listen()
        left = scene.place.lstat()
        async with scene.serving():
            await trio.sleep(RETRY_DELAY + 1)
            assert scene.place.lstat() == left
            foreign.close()
            await trio.sleep(RETRY_DELAY + 1)
            assert scene.is_served()


async def test_a_start_of_codex_s_own_is_waited_for(scene: Scene, autojump_clock: trio.testing.MockClock) -> None:
    """It holds a lock meanwhile, which we hold while we look who is there."""
    with Path(paths.codex_startup_lock(scene.environ)).open("wb") as lock:  # noqa: ASYNC230 - it is there already
        fcntl.flock(lock, fcntl.LOCK_EX)
        async with scene.serving():
            assert not scene.is_served()
            fcntl.flock(lock, fcntl.LOCK_UN)
            await trio.sleep(1)
            assert scene.is_served()
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
