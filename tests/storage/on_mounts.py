"""What the tests of mounts run in them: `python on_mounts.py HOME WORK…`, each told of in a line, or its error."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

import trio

from accountd.errors import StorageError
from accountd.secret import Secret
from accountd.storage.base import api_key_record
from accountd.storage.file import FileStore


def crash_halfway(descriptor: int, document: bytes, offset: int) -> NoReturn:
    """Be a machine that stops while it writes."""
    os.write(descriptor, document[: len(document) // 2])
    os._exit(1)


async def do(store: FileStore, work: str) -> str:
    """Do one thing, and say what came of it."""
    try:
        match work:
            case "load":
                record = await store.load()
                return "nothing" if record is None or record.api_key is None else record.api_key.reveal()
            case "rehearse":
                await store.rehearse()
            case "recover":
                await store.recover()
            case _:
                async with store.locked():
                    if work == "delete":
                        await store.rehearse_delete()
                        await store.delete()
                    else:
                        if work == "sk-crash":
                            setattr(os, "pwrite", crash_halfway)  # noqa: B010 - mypy would have it otherwise
                        await store.save(api_key_record(Secret(work)))
    except StorageError as error:
        return str(error)
    return "done"


async def main() -> None:
    """Do all that is wanted."""
    store = FileStore(Path(sys.argv[1]))
    for work in sys.argv[2:]:
        sys.stdout.write(f"{await do(store, work)}\n")


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    if user := int(os.environ.get("AS_USER", "0")):
        # Now that all is imported: below a folder that nobody else can enter, that could not be any more.
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    trio.run(main)
