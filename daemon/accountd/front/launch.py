"""How a child is had: one of our own that ends with us, or one that is shared, and is found again.

A shared child outlives the front that has started it: who uses it finds it again, with its threads, when the next
front is there. It is known by its socket, in a folder of this person's, and used if it is one that could have been
started now: of the same CODEX_HOME, new enough, with its login in memory alone. One that was told to end goes on
for a while with the turns that it has, and holds its socket meanwhile; so each child has a path of its own.
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from accountd import paths
from accountd.errors import AgentUnavailable, describe_os_error
from accountd.files.own_folder import find_own_folder
from accountd.files.rotation import rotate_if_full
from accountd.files.walk import check_folder, open_ours
from accountd.front.child import Child, Hear, open_child
from accountd.front.command import render_command, render_environment
from accountd.front.process import run_private, start_shared, wait_until_it_listens
from accountd.front.program import find_program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    import trio

_SOCKET: Final = "s"

_log = logging.getLogger(__name__)


class Launch(msgspec.Struct, frozen=True):
    """What a child is started with. `before` and `after` are the flags on both sides of the verb; see `command`.

    A child is for one account: for `account`, or else for the active one.
    """

    environ: Mapping[str, str]
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    configured: str | None = None
    account: str | None = None

    def render(self, program: str, socket: str) -> list[str]:
        """Write the command line of a child."""
        return render_command(program, self.before, self.after, socket)


@asynccontextmanager
async def open_private_child(launch: Launch, hear: Hear, nursery: trio.Nursery) -> AsyncIterator[Child]:
    """Have a child for the block, which ends with it. Raises AgentUnavailable."""
    program = await find_program(launch.environ, launch.configured)
    with tempfile.TemporaryDirectory(
        prefix="agent-", dir=_make_folder(paths.runtime_folder(launch.environ))
    ) as folder:
        socket = os.path.join(folder, _SOCKET)
        command = launch.render(program.path, socket)
        async with run_private(command, render_environment(launch.environ)) as process:
            await wait_until_it_listens(process, socket, str(program), "above")
            yield await open_child(socket, hear, nursery)


@asynccontextmanager
async def open_shared_child(launch: Launch, hear: Hear, nursery: trio.Nursery) -> AsyncIterator[Child]:
    """Have a child for the block, which stays when the block is left. Raises AgentUnavailable."""
    folder = _make_folder(paths.agents_folder(launch.environ, launch.account))
    child = await _adopt(folder, paths.codex_home(launch.environ), hear, nursery)
    yield child or await _start(launch, folder, hear, nursery)


async def _adopt(folder: str, home: str, hear: Hear, nursery: trio.Nursery) -> Child | None:
    """Find a child that another front has started; forget those that are gone."""
    for name in sorted(os.listdir(folder)):
        socket = os.path.join(folder, name, _SOCKET)
        try:
            child = await open_child(socket, hear, nursery)
        except AgentUnavailable as error:
            _log.info("not using the agent at %s: %s", socket, error)
            if isinstance(error.__cause__, ConnectionRefusedError | FileNotFoundError):
                with suppress(OSError):
                    os.unlink(socket)
                with suppress(OSError):
                    os.rmdir(os.path.join(folder, name))
            continue
        if paths.leads_to(child.home, home):
            _log.info("using the agent at %s, pid %d", socket, child.pid)
            return child
        child.control.end("was left")
    return None


async def _start(launch: Launch, folder: str, hear: Hear, nursery: trio.Nursery) -> Child:
    program = await find_program(launch.environ, launch.configured)
    socket = os.path.join(tempfile.mkdtemp(dir=folder), _SOCKET)
    log_path = os.path.join(find_own_folder(launch.environ).path, paths.AGENT_LOG)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
    try:
        with os.fdopen(open_ours(log_path, flags, make_folders=True, private=True), "a+b") as log:
            rotate_if_full(Path(log_path), log.fileno(), 0)
            process = start_shared(launch.render(program.path, socket), render_environment(launch.environ), log)
    except OSError as error:
        raise AgentUnavailable(f"cannot write {log_path}: {describe_os_error(error)}") from error
    await wait_until_it_listens(process, socket, str(program), f"in {log_path}")
    process.returncode = 0  # it is left running on purpose; Popen would warn of it
    return await open_child(socket, hear, nursery)


def _make_folder(folder: str) -> str:
    """Have a folder in which nobody else decides what a socket is. Raises AgentUnavailable."""
    try:
        return check_folder(folder, make=True)
    except OSError as error:
        raise AgentUnavailable(f"cannot have a socket in {folder}: {describe_os_error(error)}") from error
