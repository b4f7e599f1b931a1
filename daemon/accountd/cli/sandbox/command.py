"""A command that is run in the world of a sandbox, as `env` and `timeout` run theirs."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import trio

from accountd.cli.exits import SIGNALLED, Failure
from accountd.errors import describe_os_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_CANNOT_RUN = 126
_NOT_FOUND = 127
"""The exit codes that shells have for a command that could not be started."""


async def run_command(words: Sequence[str], signals: AsyncIterator[int]) -> int:
    """Run a command with this terminal and environment, and give its exit code, as a shell tells it.

    What a terminal sends comes to the command by itself; it is what ends the command, or does not. What is sent to
    this process is passed on. Raises Failure if the command cannot be started.
    """
    try:
        process = await trio.lowlevel.open_process(words)
    except FileNotFoundError as error:
        raise Failure(f"{words[0]}: no such command", _NOT_FOUND) from error
    except OSError as error:
        raise Failure(f"{words[0]}: cannot be run: {describe_os_error(error)}", _CANNOT_RUN) from error

    async def pass_on() -> None:
        async for number in signals:
            if number != signal.SIGINT:
                process.send_signal(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pass_on)
        code = await process.wait()
        nursery.cancel_scope.cancel()
    return code if code >= 0 else SIGNALLED - code
