"""`accountd serve`: be the daemon, in the foreground. The one verb that is no client."""

from __future__ import annotations

import gc
import os
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

from accountd import paths
from accountd.cli.exits import ERROR, OK, UPGRADED, USAGE, Failure
from accountd.files.temporary import require_temporary_folder

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_STDIO = "stdio://"
_LEVELS = ("debug", "info", "warning", "error")
_FORMATS = ("text", "json", "journald")
_LONGEST_IDLE = 24 * 3600

_EPILOG = """\
Other verbs start a daemon by themselves when none is running; run this one to
see its log, or to give a client its own. `accountd service install` has
systemd or launchd run it; a socket that they open is used.

example:
  accountd serve --listen unix:///run/user/1000/accountd/accountd.sock
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "serve",
        help="run the daemon in the foreground",
        description="Run the daemon until SIGTERM or Ctrl-C. Its log goes to stderr.\nSIGHUP reloads config.toml.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--listen",
        metavar="URL",
        help="unix://PATH, or stdio:// to serve one client (default: the socket of the service manager that starts "
        "this, else $ACCOUNTD_SOCKET, else the usual one)",
    )
    parser.add_argument(
        "--token-socket",
        metavar="URL",
        help="unix://PATH of a second socket, for containers: it hands out tokens, and nothing else",
    )
    parser.add_argument(
        "--log-level", choices=_LEVELS, default="info", help="how much to log (default: %(default)s)"
    )
    parser.add_argument(
        "--log-format",
        choices=_FORMATS,
        help="how each line is written (default: journald where the journal reads it, else text)",
    )
    parser.add_argument(
        "--no-audit-log",
        dest="audit",
        action="store_false",
        help="keep no record of logins and of who was given a token",
    )
    parser.add_argument(
        "--exit-when-idle",
        type=_parse_seconds,
        metavar="SECONDS",
        help="end when nobody has been there for so long; only with a socket from systemd or launchd",
    )
    parser.add_argument(
        "--on-demand",
        action="store_true",
        help="be what a client starts by itself: another one may replace it while nothing is under way",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Be the daemon until it is told to stop; then give its exit code."""
    path = _parse_listen(args.listen) if args.listen is not None else None
    token_socket = _parse_listen(args.token_socket) if args.token_socket is not None else None
    if args.token_socket == _STDIO:
        raise Failure("--token-socket takes unix://PATH", USAGE)
    require_temporary_folder(os.environ)
    gc.disable()  # what is imported stays: to look through it for garbage takes a twentieth of the start
    from accountd.daemon import main as daemon_main  # the clients must not wait for this import

    gc.freeze()
    gc.enable()
    end = daemon_main(
        path,
        stdio=args.listen == _STDIO,
        log_level=args.log_level,
        log_format=args.log_format,
        token_socket=token_socket,
        audit=args.audit,
        exit_when_idle=args.exit_when_idle,
        on_demand=args.on_demand,
    )
    return {"done": OK, "failed": ERROR, "upgraded": UPGRADED}[end]


def _parse_seconds(text: str) -> int:
    if not text.isdecimal() or not 0 < (seconds := int(text)) <= _LONGEST_IDLE:
        raise ArgumentTypeError("must be a number of seconds, of a day at most")
    return seconds


def _parse_listen(url: str) -> Path | None:
    """Return the path of a --listen URL, or None if it is stdio://."""
    path = url.removeprefix("unix://")
    if url == _STDIO:
        return None
    if path in (url, ""):
        raise Failure(f"unsupported --listen URL `{url}`; expected `stdio://` or `unix://PATH`", USAGE)
    return Path(paths.expand(path, where="--listen"))
