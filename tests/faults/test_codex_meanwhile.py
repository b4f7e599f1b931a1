"""`codex login` of another person during a switch: it revokes and removes what is there, then stores what comes."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.paths import CREDENTIAL_LOCKS
from accountd.sandbox import Script
from accountd.storage.document import render_record
from fakes.household import ADA, CAROL, GRACE, add, find_records, log_in_at_the_issuer, open_files, states
from fakes.world import open_world
from faults.disk import Disk, open_disk

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.storage.base import AuthRecord


class Codex:
    """Removes auth.json before the system call of a number, and stores a record as soon as nobody has the locks."""

    def __init__(self, home: Path, record: AuthRecord, number: int) -> None:
        self._home = home
        self._document = render_record(record)
        self._left = number
        self._is_at_it = False
        self.has_removed = self.has_stored = False

    def interfere(self, _: str) -> None:
        """Do what is to be done before a system call of the other's."""
        if self._is_at_it:
            return
        self._is_at_it = True
        if self._left == 0:
            (self._home / "auth.json").unlink(missing_ok=True)
            self.has_removed = True
        elif self.has_removed and not self.has_stored:
            self.store()
        self._left -= 1
        self._is_at_it = False

    def store(self) -> None:
        """Store it, under both locks; do nothing while another has one."""
        locks = [os.open(self._home / name, os.O_RDWR | os.O_CREAT, 0o600) for name in CREDENTIAL_LOCKS]
        try:
            for lock in locks:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (self._home / "new").write_bytes(self._document)
            (self._home / "new").chmod(0o600)
            (self._home / "new").replace(self._home / "auth.json")
            self.has_stored = True
        except BlockingIOError:
            pass
        finally:
            for lock in locks:
                os.close(lock)


STRIDES = [61, pytest.param(1, marks=[pytest.mark.whole, pytest.mark.timeout(600)])]


@pytest.mark.parametrize("stride", STRIDES)
async def test_nobody_is_lost_whom_codex_has_not_revoked(
    stride: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes by the switch, and who logs in meanwhile, have their tokens; the list has all three."""
    disk: Disk = open_disk(monkeypatch)
    idle, number, goes_on = disk.pass_through, 0, True
    while goes_on:
        home = tmp_path / str(number)
        home.mkdir(mode=0o700)
        store, vault = open_files(home)
        async with open_world(Script(token_lifetime=86_400.0), store=store, vault=vault, home=home) as world:
            grace, _ = await add(world, GRACE), await add(world, ADA)
            codex = Codex(home, log_in_at_the_issuer(world, CAROL), number)
            monkeypatch.setattr(disk, "pass_through", codex.interfere)
            await world.services.accounts.switch(grace, lambda: None)
            monkeypatch.setattr(disk, "pass_through", idle)
            goes_on = codex.has_removed
            if goes_on:
                codex.has_stored or codex.store()  # type: ignore[func-returns-value]  # one or the other
                await world.account.store_watch.reload()
                await trio.testing.wait_all_tasks_blocked()
                async with world.services.accounts.moving:
                    await world.services.accounts.displaced.settle_now()
                assert {"carol", "grace"} <= set(await find_records(world)), number
                assert set(states(world)) == {"ada", "carol", "grace"}, number
        number += stride
