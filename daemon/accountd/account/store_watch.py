"""Noticing what other programs do to the stored credential: `codex login`, an editor, another daemon."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from accountd.files.walk import check_folder
from accountd.supervisor import supervise
from accountd.system.file_watch import watch_file

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.account.service import AccountService


class StoreWatch:
    """The watch of one file for an account, to be `run` under the supervisor."""

    def __init__(self, path: Path, account: AccountService) -> None:
        self._path = path
        self._account = account
        self._has_watched = False

    async def run(self) -> None:
        """Have the account look at the store after each change, for ever, or for as long as changes are told.

        The first thing of every further run is a look: the file may have changed since the one before failed.
        """
        with suppress(OSError):  # then the first login makes the folder, or says why it cannot
            check_folder(self._path.parent, make=True)
        missed, self._has_watched = self._has_watched, True
        await watch_file(self._path, self._look, missed=missed)

    async def _look(self) -> None:
        """Look until that goes well: the next change, which would be another reason to, may be days away."""
        await supervise("reading what is stored", self._account.reload)
