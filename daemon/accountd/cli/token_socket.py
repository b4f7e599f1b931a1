"""`accountd token-socket`: have the daemon that runs open a socket for containers, which hands out tokens alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from accountd import paths
from accountd.cli.connecting import connect
from accountd.cli.exits import ERROR, OK, USAGE, Failure
from accountd.cli.options import add_client_options
from accountd.cli.terminal import complain, say, tell

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_EPILOG = """\
open has the daemon listen on a second socket, whose clients can have the token
and change nothing, and prints its path. Without PATH it is in a folder beside
that of the daemon's socket. It stays while the daemon runs, which may be under
systemd or launchd; for good, put it into accountd.toml in CODEX_HOME:
  [token_socket]
  path = "/run/user/1000/accountd-tokens/s"

Mount its folder, and nothing else of the daemon's, and mount it read-only. The
verb `accountd token` works on it, with `--socket` or ACCOUNTD_SOCKET.

close takes it away; status, the default, says how it is, and exits with 1 if
there is none, or nobody can connect to it.

examples:
  accountd token-socket open
  accountd token-socket status
  accountd token-socket close
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "token-socket",
        help="open a socket for containers, or close it",
        description="Have the daemon open a socket that hands out tokens, and nothing else.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "action",
        choices=["open", "close", "status"],
        nargs="?",
        default="status",
        metavar="ACTION",
        help="open, close or status (default: %(default)s)",
    )
    parser.add_argument("path", nargs="?", metavar="PATH", help="with open: where it is to be, also as unix://PATH")
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Open it, close it, or say how it is; the exit code says whether containers can connect."""
    if args.path is not None and args.action != "open":
        raise Failure("a path goes with open", USAGE)
    with connect(args) as client:
        if args.action == "close":
            client.close_token_socket()
            tell("Closed: containers are handed no more tokens.")
            return OK
        if args.action == "open":
            path = (
                paths.token_socket(os.environ) if args.path is None else paths.read_socket(args.path, where="PATH")
            )
            found = client.open_token_socket(path)["tokenSocket"]
        else:
            found = client.read_status().get("tokenSocket")
    if found is None:
        tell("There is no token socket; `accountd token-socket open` opens one.")
        return ERROR
    if found["trouble"] is not None:
        complain(f"containers cannot connect: {found['trouble']}")
        return ERROR
    say(found["path"])
    return OK
