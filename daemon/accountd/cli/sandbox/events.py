"""What is told of a sandbox: the variables for a shell, a few words for a person, or JSON for a test harness."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import stat
import sys
from functools import partial
from typing import TYPE_CHECKING

import trio

from accountd.cli.terminal import say
from accountd.sandbox import Event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from accountd.sandbox import Sandbox

_MOST_UNREAD = 10_000
"""Events that are kept for a reader who takes none; those beyond are dropped."""

_URLS = {
    "device": "/codex/device",
    "page": "/sandbox",
    "script": "/sandbox/script",
    "requests": "/sandbox/requests",
    "reset": "/sandbox/reset",
}

_WELCOME = """
The sandbox is at {url} and lists there what it offers.
No real account is involved, and nothing leaves this computer.
{url}/sandbox shows who waits for you, and lets things go wrong.

With the lines above in the environment of a shell, begin a login there:

    accountd login              and type its code at {url}/codex/device
    accountd login --browser    and approve it on the page that opens

`accountd app-server` there is a whole app-server, whose model does as it is told,
if there is a Codex; {url}/model shows what it was asked.

Ctrl-C, or `kill {pid}`, ends the sandbox.
"""


def tell_shell(variables: Mapping[str, str]) -> None:
    """Print the variables for a shell to take in, and the rest for the person; then let go of stdout."""
    say("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))
    url = variables["CODEX_APP_SERVER_LOGIN_ISSUER"]
    sys.stderr.write(_WELCOME.format(url=url, pid=os.getpid()))
    sys.stderr.flush()
    _let_go_of_stdout()


async def tell_json(sandbox: Sandbox, variables: Mapping[str, str], signals: AsyncIterator[int]) -> None:
    """Print what a client and its tests need, then each event, a line each; until a signal, or nobody reads."""
    events, happened = trio.open_memory_channel[Event](_MOST_UNREAD)

    def note(event: Event) -> None:
        with contextlib.suppress(trio.WouldBlock):  # of a harness that has read enough
            events.send_nowait(event)

    sandbox.tell = note
    note(_render_ready(variables))
    async with trio.open_nursery() as nursery:

        async def end_with(wait: Callable[[], Awaitable[object]]) -> None:
            await wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(end_with, partial(_print_events, happened))
        nursery.start_soon(end_with, partial(anext, signals))
        if stat.S_ISFIFO(os.fstat(1).st_mode):
            nursery.start_soon(end_with, partial(trio.lowlevel.wait_readable, 1))  # its other end is closed


def _render_ready(variables: Mapping[str, str]) -> Event:
    url = variables["CODEX_APP_SERVER_LOGIN_ISSUER"]
    urls = {name: url + path for name, path in _URLS.items()}
    socket, home = variables["ACCOUNTD_SOCKET"], variables["CODEX_HOME"]
    ready = {"event": "ready", "url": url, "urls": urls, "socket": socket, "codexHome": home, "pid": os.getpid()}
    return {**ready, "env": dict(variables)}


async def _print_events(happened: trio.MemoryReceiveChannel[Event]) -> None:
    """Print events until stdout is closed. A slow reader holds up a thread, and no request."""
    with contextlib.suppress(OSError):
        async for event in happened:
            line = json.dumps(event).encode() + b"\n"
            # Not by sys.stdout, whose lock this thread would take with it.
            await trio.to_thread.run_sync(os.write, 1, line, abandon_on_cancel=True)


def _let_go_of_stdout() -> None:
    """End what a reader behind a pipe gets, so that `$(accountd sandbox &)` is complete while this goes on."""
    with contextlib.suppress(OSError):  # a closed stdout is let go of already
        if stat.S_ISFIFO(os.fstat(1).st_mode):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.close(null)
