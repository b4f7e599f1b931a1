"""`accountd sandbox`: serve a stand-in for the issuer and the backend, and say how to point a client at it.

home     the CODEX_HOME that it makes, keeps or refuses   world   the daemon and the agents that live there
course   from the first signal to the last folder         command a command that is run in it
events   what is told of it: to a shell, to a person, as JSON
"""

from __future__ import annotations

import json
import math
from argparse import REMAINDER
from pathlib import Path
from typing import TYPE_CHECKING

from accountd.cli.exits import USAGE, Failure
from accountd.cli.sandbox.background import run_in_background
from accountd.errors import ConfigError, describe_os_error
from accountd.files.read import read_file

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers
    from accountd.sandbox import Script

_AUTHORIZE = ("ask", "approve", "deny", "not_entitled", "no_code", "server_error")
"""Those of `accountd.sandbox.script`, which takes too long to import for the help of a verb."""

_EPILOG = """\
No real account is involved, and nothing leaves this computer. A COMMAND is run
with a daemon there, and the sandbox ends with it, with its exit code. Without
one, what a client needs to know is printed to stdout, for a shell to eval.
Unless a file or an option says otherwise, a login waits until you approve it
in the browser.

example, a shell in which everything is make-believe, until `exit`:
  accountd sandbox -- $SHELL

example, for a test:
  accountd sandbox --approve-after 0 -- accountd login

example, in the shell that there is; bash, zsh or fish:
  eval "$(accountd sandbox --background --approve-after 2)"
  accountd login
  kill $ACCOUNTD_SANDBOX_PID
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "sandbox",
        help="serve a make-believe issuer, to try things out",
        description="Serve a make-believe issuer and backend, while a command runs or until Ctrl-C.",
        epilog=_EPILOG,
    )
    parser.add_argument("--port", type=int, default=0, metavar="N", help="listen here (default: any free port)")
    parser.add_argument(
        "--home",
        metavar="DIR",
        help="the CODEX_HOME to prepare and keep (default: a new one, deleted at the end)",
    )
    parser.add_argument("--daemon", action="store_true", help="start a daemon there, too, at $ACCOUNTD_SOCKET")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--background", action="store_true", help="come back once it serves, and leave it running")
    way.add_argument(
        "--json",
        action="store_true",
        help="print what is there, and each event, as JSON, until nobody reads it",
    )
    parser.add_argument(
        "command", nargs=REMAINDER, metavar="-- COMMAND", help="what to run there; its exit code is the sandbox's"
    )
    group = parser.add_argument_group(
        "what it does", "POST /sandbox/script changes it later, and so does the page /sandbox"
    )
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
    """Serve until a signal comes, or a command ends, and give the exit code."""
    if not 0 <= args.port <= 65535:
        raise Failure("--port must be from 0 to 65535", USAGE)
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if args.command and not command:
        raise Failure("there is no command behind `--`", USAGE)
    if command and (args.json or args.background):
        raise Failure("a command has the terminal to itself: leave --json and --background out", USAGE)
    script = _read_script(args)

    def serve() -> int:
        from accountd.cli.sandbox.course import Wishes, run_sandbox  # with trio, for which no other verb waits

        wishes = Wishes(args.port, args.home, args.daemon or bool(command), args.json, command)
        return run_sandbox(script, wishes)

    return run_in_background(serve) if args.background else serve()


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
