"""A sandbox from its start to its end.

The signals are listened for before there is anything to leave behind, and until nothing is there any more. One that
was ignored when this began is left ignored: a shell has its background commands ignore Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, NamedTuple

import trio

from accountd import paths
from accountd.cli.exits import OK, Failure
from accountd.cli.sandbox.command import run_command
from accountd.cli.sandbox.events import tell_json, tell_shell
from accountd.cli.sandbox.home import MARK, find_leftovers, open_home, remove_leftover, socket_of
from accountd.cli.sandbox.world import end_inhabitants, open_daemon
from accountd.client.errors import ClientError
from accountd.errors import describe_os_error
from accountd.files.replace import replace_file
from accountd.sandbox import Sandbox, Script
from accountd.sandbox.config import render_config
from accountd.sandbox.server import serve_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Wishes(NamedTuple):
    """What the command line asks for. `home` is None for one that is deleted."""

    port: int
    home: str | None
    daemon: bool
    json: bool
    command: Sequence[str]


def run_sandbox(script: Script, wishes: Wishes) -> int:
    """Serve until a signal, the end of the command or of whoever reads the events; give the exit code."""
    return trio.run(_run, script, wishes)


async def _run(script: Script, wishes: Wishes) -> int:
    heeded = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    with trio.open_signal_receiver(*heeded) as signals:
        for left in find_leftovers():
            await end_inhabitants(left)
            remove_leftover(left)
        with open_home(wishes.home) as home:
            try:
                return await _serve(script, wishes, home, signals)
            finally:
                with trio.CancelScope(shield=True):
                    await end_inhabitants(home)


async def _serve(script: Script, wishes: Wishes, home: Path, signals: AsyncIterator[int]) -> int:
    """Serve. What goes wrong is raised outside of the nursery, or it would come out as a group."""
    sandbox = Sandbox(script)
    code = OK
    trouble: Failure | ClientError | OSError | None = None
    async with trio.open_nursery() as nursery:
        try:
            port = await nursery.start(serve_sandbox, sandbox, wishes.port)
        except OSError as error:
            trouble = Failure(f"cannot listen on 127.0.0.1:{wishes.port}: {describe_os_error(error)}")
        else:
            try:
                code = await _live(sandbox, wishes, home, f"http://127.0.0.1:{port}", signals)
            except (Failure, ClientError, OSError) as error:  # OSError: of stdout; see cli.main
                trouble = error
        nursery.cancel_scope.cancel()
    if trouble is not None:
        raise trouble
    return code


async def _live(sandbox: Sandbox, wishes: Wishes, home: Path, url: str, signals: AsyncIterator[int]) -> int:
    """Say what is there, and wait for the end of whatever this is for."""
    variables = _prepare(home, url)
    os.environ.update(variables)  # for the daemon, and for the command
    async with contextlib.AsyncExitStack() as stack:
        if wishes.daemon:
            await stack.enter_async_context(open_daemon(home))
        if wishes.command:
            return await run_command(wishes.command, signals)
        if wishes.json:
            await tell_json(sandbox, variables, signals)
        else:
            tell_shell(variables)
            await anext(signals)
    return OK


def _prepare(home: Path, url: str) -> dict[str, str]:
    """Write the configuration of a home for this URL, and give the variables that lead there."""
    try:
        replace_file(home / paths.CONFIG, (MARK + render_config(url)).encode())
    except OSError as error:
        raise Failure(f"{home}: cannot be written to: {describe_os_error(error)}") from error
    return {
        "CODEX_HOME": str(home),
        "CODEX_APP_SERVER_LOGIN_ISSUER": url,
        "ACCOUNTD_SOCKET": str(socket_of(home)),
        "ACCOUNTD_SANDBOX_PID": str(os.getpid()),
    }
