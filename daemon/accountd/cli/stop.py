"""`accountd stop`: end the daemon, and wait until it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.cli.connecting import connect_again, socket_path
from accountd.cli.exits import OK
from accountd.cli.options import add_socket_option
from accountd.cli.terminal import complain, tell
from accountd.client.errors import NothingListens

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_EPILOG = """\
What has been asked is still answered, a login that waits for approval is
cancelled, and a refresh that has been sent is waited for. The next verb that
needs a daemon starts another. It is no error if there was none.

A daemon of systemd or launchd is not ended: this says which command does it,
and exits with 1.

example:
  accountd stop
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "stop", help="end the daemon", description="End the daemon, and wait until it has ended.", epilog=_EPILOG
    )
    add_socket_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """End the daemon, and say what that was."""
    from accountd.cli.ending import describe, describe_busy, end_daemon, read_status  # --help needs none of it

    try:
        with connect_again(args) as client:
            status = read_status(client)
    except NothingListens:
        tell(f"No daemon listens on {socket_path(args)}.")
        return OK
    end_daemon(client.path, status)
    if busy := describe_busy(status):
        complain(f"with it ended {busy}")
    tell(f"Stopped {describe(status)}.")
    return OK
