"""`accountd restart`: end the daemon, and start one with the environment of this shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.cli.connecting import connect, connect_again
from accountd.cli.exits import OK, Failure
from accountd.cli.options import add_socket_option
from accountd.cli.terminal import tell
from accountd.client.errors import NothingListens

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_EPILOG = """\
For after an upgrade, or after a change of HTTPS_PROXY, SSL_CERT_FILE and the
like, which the daemon has from whoever started it. What is under way ends as
with `accountd stop`. Where no daemon runs, one is started.

A daemon of systemd or launchd is not restarted: this says which command does
it, and exits with 1.

example:
  accountd restart
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "restart",
        help="end the daemon, and start another",
        description="End the daemon, and start one with the environment of this shell.",
        epilog=_EPILOG,
    )
    add_socket_option(parser)
    parser.set_defaults(run=run, no_start=False)


def run(args: argparse.Namespace) -> int:
    """Put another daemon in the place of the one that runs."""
    from accountd.cli.ending import (  # --help needs none of it
        SERVICE_MANAGER,
        describe,
        end_daemon,
        manager_command,
        name_manager,
        read_status,
    )

    try:
        with connect_again(args) as client:
            status = read_status(client)
    except NothingListens:
        pass
    else:
        if status.get("startedBy") == SERVICE_MANAGER:
            raise Failure(f"{name_manager()} runs this daemon: restart it with `{manager_command('restart')}`")
        end_daemon(client.path, status)
        tell(f"Stopped {describe(status)}.")
    with connect(args) as client:
        tell(f"Started {describe(read_status(client))}.")
    return OK
