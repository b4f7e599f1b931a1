"""`accountd doctor`: look at everything that a login depends on, and say what to do about what is wrong."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from accountd import paths
from accountd.cli.exits import ERROR, OK
from accountd.cli.terminal import Screen, say
from accountd.files.temporary import require_temporary_folder

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_EPILOG = """\
Each check says ok, warn or fail, and for the last two what to do: one command
or one sentence. It is told as it ends: those of the network may take a while.
Nothing is changed, and no daemon is started. The network is used as the
daemon would, with the variables of this shell; no token is sent.

Exits with 1 if a check fails, else with 0. --json prints one object, laid out
as that of `codex doctor --json`: warn is "warning" there.

example:
  accountd doctor --json | jq '.checks[] | select(.status == "fail")'
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "doctor",
        help="look for what is wrong, and say what to do",
        description="Look at daemon, files, login and network, and say how to mend what is wrong.",
        epilog=_EPILOG,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument(
        "--socket",
        metavar="PATH",
        help="the daemon's Unix socket, also as unix://PATH (default: $ACCOUNTD_SOCKET, else the usual place)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Examine, print what was found, and give the exit code."""
    import logging  # the help needs none of these

    require_temporary_folder(os.environ)
    import trio

    from accountd.cli.doctor.report import Teller, render_json, render_total
    from accountd.doctor.checks import CHECKS
    from accountd.doctor.examine import examine
    from accountd.doctor.findings import judge
    from accountd.doctor.surroundings import Surroundings

    logging.getLogger("accountd").addHandler(logging.NullHandler())  # what it would say is said by a check
    socket = paths.read_socket(args.socket, where="--socket") if args.socket else None
    screen = Screen.of(sys.stdout)
    teller = None if args.json else Teller(screen)
    try:
        examined = trio.run(examine, CHECKS, Surroundings(os.environ, socket), teller)
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is None:
            raise
        raise KeyboardInterrupt from None  # which comes out of a nursery as one of a group
    say(render_json(examined, time.time()) if args.json else f"\n{render_total(examined, screen)}")
    return ERROR if judge(examined) == "fail" else OK
