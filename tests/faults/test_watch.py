"""The folder that is watched for changes vanishes, and comes back."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.system.file_watch import watch_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)


def _move_away(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def _make(folder: Path) -> None:
    folder.mkdir()


def _move_back(folder: Path) -> None:
    made = folder.with_name("new")
    made.mkdir()
    made.rename(folder)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(("go", "come"), [(_remove, _make), (_move_away, _make), (_remove, _move_back)])
async def test_a_folder_that_comes_back_is_watched_again(
    go: Callable[[Path], None],
    come: Callable[[Path], None],
    deep: bool,
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Its going and its coming are told, and so is what happens in it then, however much of the way was missing."""
    home = tmp_path / "ada" / "home"
    home.mkdir(parents=True)
    told: list[bool] = []

    async def note() -> None:
        told.append((home / "auth.json").exists())

    def write() -> None:
        (home / "auth.json").write_text("{}")

    async def hear(change: Callable[[], None]) -> list[bool]:
        told.clear()
        change()
        await trio.sleep(1)
        return told.copy()

    def leave() -> None:
        go(home)
        if deep:
            shutil.rmtree(tmp_path / "ada")

    def arrive() -> None:
        (tmp_path / "ada").mkdir(exist_ok=True)
        come(home)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_file, home / "auth.json", note)
        await trio.sleep(1)
        assert await hear(write) == [True]
        assert (await hear(leave))[-1:] == [False]
        assert (await hear(arrive))[-1:] == [False]
        assert (await hear(write))[-1:] == [True]
        assert (await hear((home / "auth.json").unlink)) == [False]
        nursery.cancel_scope.cancel()


@pytest.fixture
def not_root() -> Iterator[None]:
    """Have root's privileges laid down, who may search every folder."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@pytest.mark.parametrize("mode", [0, 0o444])
@pytest.mark.parametrize("closed", ["ada", "ada/home"])
@pytest.mark.usefixtures("not_root")
async def test_a_folder_that_cannot_be_reached_is_waited_for(
    closed: str, mode: int, autojump_clock: trio.testing.MockClock
) -> None:
    """It, or one above it, may not be searched any more; when it may, what happens in it is told again."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "ada" / "home"
        home.mkdir(parents=True)
        told: list[str] = []

        async def note() -> None:
            with suppress(OSError):
                told.append((home / "auth.json").read_text())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_file, home / "auth.json", note)
            await trio.sleep(1)
            (Path(folder) / "ada").rename(Path(folder) / "elsewhere")
            (Path(folder) / "elsewhere" / "home").rmdir()
            home.mkdir(parents=True)
            (Path(folder) / closed).chmod(mode)
            await trio.sleep(3600)
            (Path(folder) / closed).chmod(0o700)
            await trio.sleep(1)
            (home / "auth.json").write_text("one")
            await trio.sleep(1)
            assert told[-1:] == ["one"]
            nursery.cancel_scope.cancel()
