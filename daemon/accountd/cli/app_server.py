"""`accountd app-server`: what editors and SDKs start in the place of `codex app-server`, with the flags of that."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from accountd.cli.exits import USAGE, Failure
from accountd.cli.options import add_client_options
from accountd.cli.terminal import complain

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_STDIO = "stdio://"
_OTHER_WORK = (
    "daemon",
    "generate-ts",
    "generate-json-schema",
    "help",
    "--print-startup-config",
    "--startup-sign-out",
)
"""What asks Codex for something other than to serve: its caller would wait for it, or believe it done."""
_TAKE_A_WORD = ("-c", "--config", "--enable", "--disable")
"""Flags whose value could read like one of those."""
_FLAG = re.compile(r"--[a-z]+(?:-[a-z]+)*\d*(?==|$)|-[a-zA-Z]")
"""The name of a flag, without the value that may follow it."""

_EPILOG = """\
Put the path of accountd where a client has an option for its codex program.
The client then has the daemon's account, and shares it with all the others.
accountd has no agent: threads and turns are not to be had here.

The flags of `codex app-server`, before the verb or after it, are ignored with
a note on stderr; the daemon takes its settings from config.toml.

example:
  accountd app-server --listen stdio://
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "app-server",
        help="connect in the place of `codex app-server`",
        description="Stand in for `codex app-server`, for clients that start one: relay between\n"
        "the daemon's socket and standard input and output.",
        epilog=_EPILOG,
    )
    parser.allow_abbrev = False  # a flag of Codex's could be the beginning of one of ours
    parser.add_argument("--listen", metavar="URL", default=_STDIO, help="only stdio://, which is the default")
    parser.add_argument(
        "--stdio", action="store_const", dest="listen", const=_STDIO, help="the same as --listen stdio://"
    )
    add_client_options(parser)
    parser.set_defaults(run=run, ignores_unknown=True)


def run(args: argparse.Namespace) -> int:
    """Relay until one side ends. Raises Failure if something else was asked for."""
    if args.listen != _STDIO:
        advice = "to listen on a socket, use `accountd serve --listen unix://PATH`"
        raise Failure(f"unsupported --listen URL `{args.listen}`; expected `{_STDIO}`; {advice}", USAGE)
    for before, word in pairwise(["", *args.unknown]):
        if word in _OTHER_WORK and before not in _TAKE_A_WORD:
            raise Failure(f"app-server cannot do `{word}`; it only serves the account, over `{_STDIO}`", USAGE)
    if flags := _name_flags(args.unknown):
        complain(f"app-server ignores {', '.join(flags)}; the daemon's settings are in config.toml")
    from accountd.cli.bridge import bridge_stdio  # --help needs none of it

    return bridge_stdio(args)


def _name_flags(words: list[str]) -> list[str]:
    """List the flags among these words, each once. A value could be a secret, and is never named."""
    return list(dict.fromkeys(match[0] for match in map(_FLAG.match, words) if match))
