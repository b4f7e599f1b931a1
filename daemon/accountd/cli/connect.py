"""`accountd connect`: the daemon's socket as standard input and output, for whoever can only start a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.cli.options import add_account_option, add_client_options

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_EPILOG = """\
Bytes go to the daemon and come back as they are: a JSON message on each line,
or a WebSocket, as the client begins. When standard input ends, what has been
asked is still answered. If the daemon closes first, this says so on stderr
and exits with 1.

With an account that is named, or a folder that is pinned to one, the client is
given that one, whichever is active, and need not know of it.

Clients that start `codex app-server` start `accountd app-server` instead.

examples:
  accountd connect < requests.ndjson
  ssh build.example accountd connect --account work
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "connect",
        help="connect standard input and output to the daemon",
        description="Relay between the daemon's socket and standard input and output.",
        epilog=_EPILOG,
    )
    add_account_option(parser)
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Relay until one side ends."""
    from accountd.cli.bridge import bridge_stdio  # --help needs none of it

    return bridge_stdio(args)
