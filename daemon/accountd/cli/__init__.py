"""The `accountd` command: the table of its verbs, one file each, and the one place where it fails.

A verb's module is imported when it is the one that was asked for. `add_parser(subparsers)` gives the command
line its options and names its `run(args)`, which gives the exit code.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import TYPE_CHECKING

from accountd import __version__
from accountd.cli.exits import DOCUMENTATION, ERROR, INTERRUPTED, NO_ACCOUNT, NO_DAEMON, USAGE, Failure
from accountd.cli.parsing import Parser
from accountd.cli.terminal import complain
from accountd.codex.version import CODEX_VERSION
from accountd.errors import describe_os_error

if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = (
    "login",
    "logout",
    "status",
    "usage",
    "token",
    "token-socket",
    "watch",
    "accounts",
    "switch",
    "socket",
    "connect",
    "app-server",
    "serve",
    "stop",
    "restart",
    "service",
    "sandbox",
    "schema",
    "doctor",
    "completion",
    "help",
)
_OWN_OPTIONS = ("-h", "--help", "--version")

_DESCRIPTION = "One owner of ChatGPT account logins for every client on this machine."


def main(argv: list[str] | None = None) -> int:
    """Run the command line and give its exit code. Foreseen failures are one line on stderr."""
    _open_missing_streams()
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except OSError as error:  # of stdout; a socket's or a file's are put into words where they happen
        # What is still in its buffer must not complain once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # whoever closes the pipe knows
            complain(f"cannot write the output: {describe_os_error(error)}")
        return ERROR
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # behind the ^C of the terminal, or the prompt that was left
        return INTERRUPTED
    except Failure as failure:
        complain(str(failure))
        return failure.code
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody here, and its text may quote a secret
        from accountd.unforeseen import explain_end

        complain(explain_end(error))
        return ERROR
    return code


def _open_missing_streams() -> None:
    """Give a command that was started with `>&-` somewhere to write to; and the number to no other file."""
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            if null != descriptor:
                os.close(null)
            setattr(sys, name, os.fdopen(descriptor, "w", encoding="utf-8"))


def _run(argv: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # both are text files, here as ever
    try:
        argv, before = _part_at_verb(argv)
        parser = build_parser(argv)
        args, before = parser.parse_known_args([*argv[:1], *before]) if before else (argparse.Namespace(), [])
        args, unknown = parser.parse_known_args(argv, args)
        if unknown and "ignores_unknown" not in args:
            parser.verbs.get(args.verb, parser).refuse(unknown)
        args.unknown, args.before = unknown, before
    except SystemExit as done:  # the parser has said what there was to say
        return int(done.code or 0)
    if args.verb is None:
        parser.print_help(sys.stderr)
        return USAGE
    return _run_verb(args)


def _run_verb(args: argparse.Namespace) -> int:
    try:
        return _try_verb(args)
    except Failure as failure:
        if failure.code == NO_ACCOUNT:
            from accountd.cli.selecting import tell_refusal  # as below

            tell_refusal(args, failure)
        if failure.code != ERROR or failure.reason is None or "asks_network" not in args:
            raise
        from accountd.cli.replacing import explain_failure  # for those that fail

        if (words := explain_failure(args, failure, failure.reason)) is not None:
            raise Failure(words) from failure
    return _try_verb(args)


def _try_verb(args: argparse.Namespace) -> int:
    from accountd.client.errors import CallFailed, ClientError, DaemonUnreachable  # --help needs neither
    from accountd.errors import AccountdError

    try:
        return int(args.run(args))
    except DaemonUnreachable as error:
        raise Failure(str(error), NO_DAEMON) from error
    except CallFailed as error:
        from accountd.cli.selecting import refuse  # which a verb may have no use for

        raise refuse(error) from error
    except (ClientError, AccountdError) as error:
        raise Failure(str(error)) from error


def _part_at_verb(argv: list[str]) -> tuple[list[str], list[str]]:
    """Part a command line into `app-server` with what follows, and the flags before it, which Codex takes, too."""
    if argv and argv[0].startswith("-") and argv[0] not in _OWN_OPTIONS and "app-server" in argv:
        verb = argv.index("app-server")
        return argv[verb:], argv[:verb]
    return argv, []


def build_parser(argv: Sequence[str] = ()) -> Parser:
    """Build the parser for this command line: with one verb if it names one, with all for help and errors."""
    parser = Parser(prog="accountd", description=_DESCRIPTION, epilog=DOCUMENTATION)
    version = f"accountd for Codex {CODEX_VERSION}, release {__version__}"  # clients of Codex take the first number
    parser.add_argument("--version", action="version", version=version)
    subparsers = parser.add_verbs()
    for verb in argv[:1] if argv[:1] and argv[0] in VERBS else VERBS:
        importlib.import_module(f"accountd.cli.{verb.replace('-', '_')}").add_parser(subparsers)
    return parser
