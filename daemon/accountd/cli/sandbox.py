"""`accountd sandbox`: serve a stand-in for the issuer and the backend, and say how to point a client at it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shlex
import signal
import stat
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from accountd import paths
from accountd.cli.exits import OK, USAGE, Failure
from accountd.cli.terminal import say
from accountd.errors import ConfigError, describe_os_error
from accountd.files.read import read_file
from accountd.files.replace import replace_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from accountd.cli.parsing import Subparsers
    from accountd.sandbox import Sandbox, Script

_MARK = "# Written by `accountd sandbox`, which writes it anew at each start.\n"
_LONGEST_SOCKET_PATH = 103
"""Bytes that fit into sun_path on macOS, whose limit is the smallest."""

_ENDING = 3.0
"""Seconds for which a daemon that is told to end is waited for."""

_AUTHORIZE = ("ask", "approve", "deny", "not_entitled", "no_code", "server_error")
"""Those of `accountd.sandbox.script`, which takes too long to import for the help of a verb."""

_EPILOG = """\
No real account is involved, and nothing leaves this computer. What a client
needs to know is printed to stdout, for a shell to eval. Unless a file or an
option says otherwise, a login waits until you approve it in the browser.

example, in a terminal of its own; paste the lines into another:
  accountd sandbox

example, all in one shell:
  eval "$(accountd sandbox --approve-after 2 &)"
  accountd login
  kill $ACCOUNTD_SANDBOX_PID
"""


_WELCOME = """
The sandbox is at {url} and lists there what it offers.
No real account is involved, and nothing leaves this computer.

With the lines above in the environment of a shell, begin a login there:

    accountd login              and type its code at {url}/codex/device
    accountd login --browser    and approve it on the page that opens

`accountd app-server` there is a whole app-server, whose model does as it is told,
if there is a Codex; {url}/model shows what it was asked.

Ctrl-C, or `kill {pid}`, ends the sandbox.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "sandbox",
        help="serve a make-believe issuer, to try things out",
        description="Serve a make-believe issuer and backend on 127.0.0.1 until SIGTERM or Ctrl-C.",
        epilog=_EPILOG,
    )
    parser.add_argument("--port", type=int, default=0, metavar="N", help="listen here (default: any free port)")
    parser.add_argument(
        "--home",
        metavar="DIR",
        help="the CODEX_HOME to prepare and keep (default: a new one, deleted at the end, with its daemon)",
    )
    group = parser.add_argument_group("what it does", "POST /sandbox/script changes it later")
    group.add_argument(
        "--approve-after",
        type=int,
        metavar="N",
        help="approve device logins by itself, after N polls that it lets wait",
    )
    group.add_argument("--deny", action="store_true", help="deny them instead")
    group.add_argument("--expire", action="store_true", help="let their codes expire instead")
    group.add_argument("--disabled", action="store_true", help="offer no login with a device code")
    group.add_argument(
        "--authorize",
        choices=_AUTHORIZE,
        metavar="X",
        help=f"what a browser login gets: {', '.join(_AUTHORIZE)}; the first, the default, waits for you",
    )
    group.add_argument("--delay", type=_seconds, metavar="S", help="take S seconds for each answer")
    group.add_argument("--script", metavar="FILE", help="all of this and more, as JSON; the options come on top")
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    if not math.isfinite(seconds := float(text)):
        raise ValueError
    return seconds


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes, and give the exit code."""
    if not 0 <= args.port <= 65535:
        raise Failure("--port must be from 0 to 65535", USAGE)
    import trio  # this and what needs it is not for the other verbs to wait for

    from accountd.sandbox import Sandbox

    sandbox = Sandbox(_read_script(args))
    with _open_home(args.home) as home:
        trio.run(_serve_until_signal, sandbox, args.port, partial(_announce, home))
        if args.home is None:
            trio.run(_end_daemon, _socket_path(home))
            _end_agents(home)
    return OK


def _read_script(args: argparse.Namespace) -> Script:
    from accountd.sandbox.script import Script, merge_script

    script = Script()
    try:
        if args.script is not None:
            script = merge_script(script, read_file(Path(args.script).expanduser()))
    except OSError as error:
        raise Failure(f"{args.script}: cannot be read: {describe_os_error(error)}", USAGE) from error
    except ConfigError as error:
        raise Failure(f"{args.script}: {error}", USAGE) from error
    options = {
        "approve_after_polls": args.approve_after,
        "deny": args.deny or None,
        "expire": args.expire or None,
        "disabled": args.disabled or None,
        "authorize": args.authorize,
        "delay": args.delay,
    }
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return merge_script(script, json.dumps(given).encode())
    except ConfigError as error:
        raise Failure(str(error), USAGE) from error


@contextlib.contextmanager
def _open_home(folder: str | None) -> Iterator[Path]:
    """Yield the folder that is to be CODEX_HOME. Raises Failure for one that is somebody's real one."""
    if folder is None:
        # A daemon that still runs there may write while it is deleted; what is left then is no error.
        with tempfile.TemporaryDirectory(prefix="accountd-sandbox-", ignore_cleanup_errors=True) as made:
            yield Path(made)
        return
    home = Path(paths.expand(folder, where="--home"))
    if len(os.fsencode(_socket_path(home))) > _LONGEST_SOCKET_PATH:
        raise Failure(f"{home}: too long for a socket in it; choose a shorter --home", USAGE)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_real_home(home)
    except OSError as error:
        raise Failure(f"{home}: cannot be used: {describe_os_error(error)}") from error
    yield home


def _refuse_real_home(home: Path) -> None:
    """Raise Failure unless a folder is empty, or the sandbox's own from before and without anybody else's login."""
    from accountd.sandbox.jwt import is_of_sandbox

    person = paths.user_home()
    if person is not None and paths.leads_to(f"{person}/.codex", str(home)):
        raise Failure(f"{home}: is the CODEX_HOME of your own login; choose another --home", USAGE)
    config, auth = home / paths.CONFIG, home / paths.CREDENTIAL
    if auth.exists():
        document = read_file(auth)
        if not config.exists() or (b"refresh_token" in document and not is_of_sandbox(document)):
            raise Failure(f"{home}: holds a login that is not the sandbox's; choose another --home", USAGE)
    if config.exists():
        if not read_file(config).startswith(_MARK.encode()):
            raise Failure(
                f"{config}: was not written by the sandbox, and is left alone; choose another --home", USAGE
            )
    elif any(home.iterdir()):
        raise Failure(f"{home}: has files that are not the sandbox's; choose another --home", USAGE)


async def _serve_until_signal(sandbox: Sandbox, port: int, announce: Callable[[int], None]) -> None:
    """Serve. What goes wrong is raised outside of the nursery, or it would come out as a group."""
    import trio  # as above

    from accountd.sandbox.server import serve_sandbox

    trouble: Failure | OSError | None = None
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            try:
                bound = await nursery.start(serve_sandbox, sandbox, port)
            except OSError as error:
                trouble = Failure(f"cannot listen on 127.0.0.1:{port}: {describe_os_error(error)}")
            else:
                try:
                    announce(bound)
                    await anext(signals)
                except (Failure, OSError) as error:  # OSError: of stdout; see cli.main
                    trouble = error
            nursery.cancel_scope.cancel()
    if trouble is not None:
        raise trouble


async def _end_daemon(path: Path) -> None:
    """End the daemon that verbs have started in a home which is about to be deleted; nobody could find it again."""
    import trio  # as above

    from accountd.system.peer_credentials import peer_credentials

    with contextlib.suppress(OSError), trio.move_on_after(_ENDING):  # OSError: there is none, or not any more
        async with await trio.open_unix_socket(str(path)) as connection:
            daemon = peer_credentials(connection.socket)
            if daemon is not None and daemon.uid == os.getuid() and daemon.pid > 0:
                process = _open_process(daemon.pid)
                os.kill(daemon.pid, signal.SIGTERM)
                with contextlib.suppress(trio.BrokenResourceError):
                    await connection.receive_some(1)  # ends with its sockets
                if process is not None:  # its last line of the log would make the home anew
                    await trio.lowlevel.wait_readable(process)
                    os.close(process)


def _open_process(pid: int) -> int | None:
    """Open a process, to wait for its end; None where the system has no such descriptors, or it has ended."""
    try:
        return os.pidfd_open(pid)
    except (OSError, AttributeError):
        return None


def _end_agents(home: Path) -> None:
    """End each Codex that fronts of this home have started: nobody uses one whose home is deleted."""
    from accountd.client.unix_socket import find_listener

    folder = Path(paths.agents_folder({**os.environ, "CODEX_HOME": str(home)}))
    for socket in folder.glob("*/s"):
        pid = find_listener(str(socket))
        if pid is not None:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)  # it has nothing to lose, and politely it goes on with its turns


def _announce(home: Path, port: int) -> None:
    """Prepare the home for this port; then tell the shell on stdout, and the person on stderr."""
    from accountd.sandbox.config import render_config  # as above

    url = f"http://127.0.0.1:{port}"
    try:
        replace_file(home / paths.CONFIG, (_MARK + render_config(url)).encode())
    except OSError as error:
        raise Failure(f"{home}: cannot be written to: {describe_os_error(error)}") from error
    variables = {
        "CODEX_HOME": home,
        "CODEX_APP_SERVER_LOGIN_ISSUER": url,
        "ACCOUNTD_SOCKET": _socket_path(home),
        "ACCOUNTD_SANDBOX_PID": os.getpid(),
    }
    say("\n".join(f"export {name}={shlex.quote(str(value))}" for name, value in variables.items()))
    sys.stderr.write(_WELCOME.format(url=url, pid=os.getpid()))
    sys.stderr.flush()
    _let_go_of_stdout()


def _socket_path(home: Path) -> Path:
    return home / paths.SOCKET


def _let_go_of_stdout() -> None:
    """End what a reader behind a pipe gets, so that `$(accountd sandbox &)` is complete while this goes on."""
    with contextlib.suppress(OSError):  # a closed stdout is let go of already
        if stat.S_ISFIFO(os.fstat(1).st_mode):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.close(null)
