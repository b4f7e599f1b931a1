"""A save that is killed before each of its system calls, in a process and a home of its own for each.

    python -m faults.killed FOLDER STORED LATER

makes homes in the folder, by their numbers, in which the document STORED was to be replaced by LATER. In the last
one it was: nobody was killed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import pytest
import trio

from accountd.storage.base import AuthRecord, parse_record
from accountd.storage.file import FileStore
from faults.disk import open_disk


async def _save(home: Path, record: AuthRecord) -> None:
    store = FileStore(home)
    async with store.locked():
        await store.save(record)


async def _refuse(*_: object) -> NoReturn:
    raise RuntimeError("can't start new thread")


def _save_or_die(home: Path, record: AuthRecord, number: int) -> None:
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(trio.to_thread, "run_sync", _refuse)
    with open_disk(monkeypatch).watched(number, None):
        trio.run(_save, home, record)


def main(folder: Path, stored: Path, later: Path) -> None:
    """Make the homes."""
    document, record = stored.read_bytes(), parse_record(later.read_bytes())
    status, number = -1, 0
    while status:
        home = folder / str(number)
        home.mkdir(mode=0o700, parents=True)
        (home / "auth.json").write_bytes(document)
        if not (child := os.fork()):
            _save_or_die(home, record, number)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status in (0, 9)
        number += 1


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
