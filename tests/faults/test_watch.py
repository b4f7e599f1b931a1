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


def _point(link: Path, target: str) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _rename_over(link: Path, target: str) -> None:
    _point(link.with_name("new"), target)
    link.with_name("new").replace(link)


@pytest.mark.parametrize("point", [_point, _rename_over])
async def test_links_are_followed(
    point: Callable[[Path, str], None], tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Told are a file that is replaced where a link leads, and links that lead elsewhere, and are watched then."""
    home, path = tmp_path / "home", tmp_path / "home" / "auth.json"
    for name in ("a", "b", "dots"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "auth.json").write_text(name)
    told: list[str] = []

    async def note() -> None:
        told.append(path.read_text() if path.exists() else "nothing")

    async def hear(change: Callable[[], object]) -> str:
        told.clear()
        change()
        await trio.sleep(1)
        return told[-1]

    point(home, "a")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_file, path, note)
        await trio.sleep(1)
        assert await hear(lambda: point(home, "b")) == "b"
        assert await hear(lambda: (tmp_path / "b" / "auth.json").write_text("b2")) == "b2"
        assert await hear(lambda: point(tmp_path / "b" / "auth.json", "../dots/auth.json")) == "dots"
        (tmp_path / "dots" / "new").write_text("dots2")
        assert await hear(lambda: (tmp_path / "dots" / "new").rename(tmp_path / "dots" / "auth.json")) == "dots2"
        assert await hear(lambda: shutil.rmtree(tmp_path / "dots")) == "nothing"
        assert await hear((tmp_path / "dots").mkdir) == "nothing"
        assert await hear(lambda: (tmp_path / "dots" / "auth.json").write_text("dots3")) == "dots3"
        assert await hear(lambda: point(home, "a")) == "a"
        nursery.cancel_scope.cancel()
