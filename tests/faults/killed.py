"""What is killed before each of its system calls, in a process and a home of its own for each.

    python -m faults.killed save FOLDER STORED LATER
    python -m faults.killed switch FOLDER STRIDE

makes homes in the folder, by the numbers of the calls. In the first way the document STORED was to be replaced by
LATER; in the second an account of the vault was to be switched to, at every so many calls. In the last one nobody
was killed.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec
import pytest
import trio

from accountd.storage.base import render_time
from accountd.storage.document import parse_record
from accountd.storage.file import FileStore
from fakes.household import open_files
from fakes.records import log_in
from fakes.world import open_world
from faults.disk import Disk, open_disk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from accountd.storage.base import AuthRecord

NOW = render_time(1_800_000_000 * 10**9)


async def _save(record: AuthRecord, home: Path, disk: Disk, number: int) -> None:
    store = FileStore(home)
    with disk.watched(number, None):
        async with store.locked():
            await store.save(record)


async def _settle_two(home: Path) -> None:
    store, vault = open_files(home)
    async with open_world(store=store, vault=vault, home=home) as world:
        for user in ("comes", "leaves"):
            record = msgspec.structs.replace(log_in(user, user), last_refresh=NOW)
            await world.services.accounts.log_in(record, lambda: None)


async def _switch(home: Path, disk: Disk, number: int) -> None:
    store, vault = open_files(home)
    async with open_world(store=store, vault=vault, home=home) as world:
        [coming] = world.services.accounts.roster.ids
        with disk.watched(number, None):
            await world.services.accounts.switch(coming, lambda: None)


async def _refuse(*_: object) -> NoReturn:
    raise RuntimeError("can't start new thread")


def _kill(
    folder: Path,
    prepare: Callable[[Path], object],
    work: Callable[[Path, Disk, int], Awaitable[None]],
    stride: int = 1,
) -> None:
    """Make the homes. Nothing of it is done in threads, which no child would have."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(trio.to_thread, "run_sync", _refuse)
    status, number = -1, 0
    while status:
        home = folder / str(number)
        prepare(home)
        if not (child := os.fork()):
            trio.run(work, home, open_disk(monkeypatch), number)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status in (0, 9)
        number += stride


def main(what: str, folder: Path, *arguments: str) -> None:
    """Make the homes of one of the two."""
    folder.mkdir(mode=0o700, parents=True)
    if what == "save":
        document, record = Path(arguments[0]).read_bytes(), parse_record(Path(arguments[1]).read_bytes())

        def prepare(home: Path) -> None:
            home.mkdir(mode=0o700)
            (home / "auth.json").write_bytes(document)

        _kill(folder, prepare, partial(_save, record))
    else:
        template = folder / "template"
        template.mkdir(mode=0o700)
        trio.run(_settle_two, template)
        _kill(folder, partial(shutil.copytree, template), _switch, int(arguments[0]))
        shutil.rmtree(template)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
