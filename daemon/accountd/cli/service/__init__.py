"""`accountd service`: have systemd or launchd start the daemon, for this user; or not any more."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from accountd import paths
from accountd.cli.exits import OK, USAGE, Failure

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_EPILOG = """\
install writes the files that systemd (or, on macOS, launchd) reads, and has it
listen on the usual socket: the first client starts the daemon. Run it again
after an update; what is as it should be is left alone. uninstall takes it all
back, and leaves the login. Neither needs root.

With --agent, an app-server is run as well, at the socket at which plain `codex`
looks, apart from the daemon and its sandbox. What it starts has the PATH that
this command is run with.

A proxy and certificates are set in ~/.config/accountd/environment, a line each
such as HTTPS_PROXY=http://proxy:3128: systemd does not read a shell's.

examples:
  accountd service install --dry-run
  accountd service install --agent
  accountd service status
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "service",
        help="have systemd or launchd start the daemon",
        description="Have the service manager of this user start the daemon, or not any more.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "action", choices=("install", "uninstall", "status"), metavar="ACTION", help="install, uninstall or status"
    )
    parser.add_argument(
        "--agent",
        action="store_true",
        help="with install: run `accountd app-server --listen unix://` as well, which plain `codex` uses",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do it, and say what was done. Raises Failure with what to do where that cannot be."""
    from accountd.cli.service.steps import Steps  # --help needs none of it

    if sys.platform == "darwin":
        from accountd.cli.service import launchd as manager
    else:
        from accountd.cli.service import systemd as manager
    if args.agent and args.action != "install":
        raise Failure("--agent goes with install; uninstall takes all of it back", USAGE)
    steps = Steps(dry_run=args.dry_run)
    if args.action == "install":
        manager.install(steps, find_command(), paths.socket_path(os.environ), dry_run=args.dry_run)
        if args.agent:
            manager.install_agent(steps, find_command())
    elif args.action == "uninstall":
        manager.uninstall(steps, dry_run=args.dry_run)
    else:
        manager.status(find_command())
    return OK


def find_command() -> list[str]:
    """Return the command that runs this very installation, whatever the PATH of a service manager is."""
    script = os.path.join(os.path.dirname(sys.executable), "accountd")
    if os.access(script, os.X_OK):
        return [script]
    return [sys.executable, "-P", "-m", "accountd"]  # -P: nothing is imported from the working folder
