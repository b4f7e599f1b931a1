"""One trial: an operation, what happens to it after so many steps, and whether all is well afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import ANY

import trio

from accountd.paths import CREDENTIAL_LOCKS
from accountd.storage.base import api_key_record
from accountd.storage.file import FileStore
from accountd.storage.locks import CredentialLocks
from cancellation.operations import KEY, OPERATIONS, log_in_with_a_key
from cancellation.scene import Scene
from cancellation.steps import Stepper, run

if TYPE_CHECKING:
    from accountd.storage.base import AuthRecord

ROOM = Path("/dev/shm") if Path("/dev/shm").is_dir() else None

HOURS = 10 * 3600.0
"""Seconds after which a trial hangs: trio waits for ever where nothing is due."""


class Outcome(NamedTuple):
    """How many of the happenings happened, the others having come too late; and what there was, by its name."""

    struck: int
    counts: Counter[str]


class Trial(NamedTuple):
    """`happenings` are those that happen, each with the steps since the one before, or since the beginning."""

    operation: str
    happenings: tuple[tuple[str, int], ...]
    seed: int = 0

    def run(self) -> Outcome:
        """See that all is well. Raises what is not."""
        folder = Path(tempfile.mkdtemp(prefix="accountd-", dir=ROOM))
        try:
            return run(partial(self._live, home=folder / "home"), self.seed)
        except BaseException as error:  # it goes on, and says where
            error.add_note(f"in {self!r}")
            raise
        finally:
            shutil.rmtree(folder)

    async def _live(self, stepper: Stepper, home: Path) -> Outcome:
        operation = OPERATIONS[self.operation]
        scene = Scene(stepper, home)
        blows = [(steps, partial(operation.happenings[happening], scene)) for happening, steps in self.happenings]
        with trio.fail_after(HOURS), scene.everything:
            async with scene.open():
                await scene.live(operation.run, blows)
        stepper.disarm()
        scene.history.check()
        for client in scene.clients:
            client.check(scene.history)
        await check_folder(scene)
        await check_next_daemon(scene)
        return Outcome(stepper.struck, scene.history.count())


async def check_folder(scene: Scene) -> None:
    """Hold that the store has what it was given last, and the folder nothing besides."""
    names = {path.name for path in scene.home.iterdir()}
    assert names <= {"auth.json", *CREDENTIAL_LOCKS}
    assert await load(scene) == scene.history.stored(scene.first)
    async with CredentialLocks(scene.home).hold(0.0):
        pass


async def load(scene: Scene) -> AuthRecord | None:
    """Give what is on the disk."""
    return await FileStore(scene.home).load()


async def check_next_daemon(scene: Scene) -> None:
    """Hold that the next daemon on this folder knows the account, can refresh it, and log in."""
    left = await load(scene)
    scene.history.note("restart", None)
    async with scene.open(after=scene.world):
        assert scene.world.credential.current == left
        if left is not None and left.mode == "chatgpt":
            await scene.world.refresher.refresh("forced")
        await log_in_with_a_key(scene)
        told = [event for event in scene.history.log if event[0] != "changed"]  # that there are two accounts
        assert told[-1] == ("updated", ANY)
        assert await load(scene) == api_key_record(KEY)
    scene.history.check()
