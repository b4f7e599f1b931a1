"""`accountd app-server`: what is started in the place of `codex app-server`, with the flags of that."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING

from accountd import paths
from accountd.cli.connecting import socket_path
from accountd.cli.exits import OK, USAGE, Failure
from accountd.cli.options import add_client_options
from accountd.cli.selecting import VARIABLE, Wish, decide, refuse
from accountd.cli.terminal import complain, say
from accountd.client.errors import CallFailed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from accountd.cli.parsing import Subparsers

_STDIO = "stdio://"
_SOCKET = "unix://"
_SIGN_OUT = "--startup-sign-out"
_GENERATORS = ("generate-ts", "generate-json-schema")
_OTHER_WORK = (
    "daemon",
    "proxy",
    *_GENERATORS,
    "help",
    "--print-startup-config",
    _SIGN_OUT,
)
"""What asks Codex for something other than to serve: its caller would wait for it, or believe it done."""
_VERSION = ("--version", "-V")
_TAKE_A_WORD = ("-c", "--config", "--enable", "--disable", "--startup-client-info", "--cloud-skills-snapshot")
"""Flags whose value could read like one of those."""

_EPILOG = """\
Put the path of accountd where a client has an option for its codex program.
The client then has the daemon's account, and shares it with all the others;
everything else is done by a `codex app-server` that this starts when it is
needed: $ACCOUNTD_CODEX, or the first `codex` on PATH. That one is given access
tokens, and never a refresh token.

The flags of `codex app-server`, before the verb or after it, are those of the
codex that is started.

example:
  accountd app-server
  accountd app-server --listen unix://$HOME/codex.sock
  codex --remote unix://$HOME/codex.sock
  accountd app-server --account work
  accountd app-server --account-from unix:///run/user/1000/box.sock
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "app-server",
        help="be a Codex app-server, with the daemon's account",
        description="Be a whole Codex app-server: accounts by the daemon, all else by Codex.",
        epilog=_EPILOG,
    )
    parser.allow_abbrev = False  # a flag of Codex's could be the beginning of one of ours
    parser.add_argument(
        "--listen",
        metavar="URL",
        action="append",
        help="stdio://, which is the default; or unix://PATH, repeatable; unix:// alone is the socket at which "
        "plain `codex` looks",
    )
    parser.add_argument(
        "--stdio", action="append_const", dest="listen", const=_STDIO, help="the same as --listen stdio://"
    )
    add_client_options(parser).add_argument(
        "--account-from",
        metavar="URL",
        help="unix://PATH: have the account of a token socket, which may be another machine's, and start no daemon",
    )
    parser.add_argument(
        "--account", metavar="NAME", help="be for this account, whichever is active; else $ACCOUNTD_ACCOUNT"
    )
    parser.set_defaults(run=run, ignores_unknown=True)


def run(args: argparse.Namespace) -> int:
    """Serve until there is nobody left to serve, or a signal. Raises Failure if something else was asked for."""
    for before, word in pairwise(["", *args.unknown]):
        if word in _VERSION and before not in _TAKE_A_WORD:
            return _say_version()
        if word in _OTHER_WORK and before not in _TAKE_A_WORD:
            return _leave_to_codex(args, word)
    listen = args.listen or [_STDIO]
    places = [_parse(url) for url in listen if url != _STDIO]
    if places and _STDIO in listen:
        raise Failure("--listen takes stdio:// or sockets, not both", USAGE)
    from pathlib import Path

    from accountd.config.agent import read_agent_program
    from accountd.front.launch import Launch
    from accountd.front.serve import Front, main

    remote = args.account_from is not None
    if remote and args.account:
        raise Failure("--account-from has the account of its socket; leave --account out", USAGE)
    # No folder: an editor starts this wherever it likes.
    wish = Wish("active") if remote else decide(args.account, os.environ.get(VARIABLE, ""), None, {})
    launch = Launch(os.environ, args.before, args.unknown, read_agent_program(os.environ), wish.name)
    path = _parse_account(args) if remote else socket_path(args)
    front = Front(Path(path), launch, start=not args.no_start, remote=remote)
    try:
        return main(front, [Path(place) for place in places])
    except CallFailed as error:
        if wish.name is None:
            raise
        raise refuse(error, wish) from error


def _say_version() -> int:
    """Print the version as Codex does, which is what clients look for: that of the agent, or of the protocol."""
    import trio

    from accountd.codex.version import CODEX_VERSION
    from accountd.errors import AgentUnavailable
    from accountd.front.program import find_program

    try:
        version = trio.run(find_program, dict(os.environ)).version
    except AgentUnavailable:
        version = CODEX_VERSION
    say(f"codex-cli {version}")
    return OK


def _parse_account(args: argparse.Namespace) -> str:
    if args.socket:
        raise Failure("--account-from takes the place of a daemon; leave --socket out", USAGE)
    path: str = args.account_from.removeprefix(_SOCKET)
    if not path or path == args.account_from:
        raise Failure("--account-from takes unix://PATH", USAGE)
    return paths.expand(path, where="--account-from")


def _parse(url: str) -> str:
    path = url.removeprefix(_SOCKET)
    if path == url:
        advice = "listens on stdio:// or unix://PATH, and on no port"
        raise Failure(f"unsupported --listen URL `{url}`; accountd app-server {advice}", USAGE)
    return paths.expand(path, where="--listen") if path else paths.control_socket(os.environ)


def _leave_to_codex(args: argparse.Namespace, word: str) -> int:
    """Become Codex, for what needs no account. Raises Failure for what would touch one, and without a Codex."""
    if word == _SIGN_OUT:
        raise Failure(f"app-server does not do `{word}`; the login is the daemon's: use `accountd logout`", USAGE)
    import trio

    from accountd.config.agent import read_agent_program
    from accountd.errors import AgentUnavailable
    from accountd.front.program import find_program

    try:
        program = trio.run(find_program, os.environ, read_agent_program(os.environ))
    except AgentUnavailable as error:
        if word not in _GENERATORS:
            raise
        return _generate(word, args.unknown, str(error))
    command = [program.path, *args.before, "app-server", *args.unknown]
    return os.execv(program.path, command)  # noqa: S606  # the person's own


def _generate(word: str, words: Sequence[str], missing: str) -> int:
    """Write the part of the types that is the daemon's, where Codex would write them all."""
    from argparse import ArgumentParser
    from pathlib import Path

    from accountd.cli.schema import write_folder
    from accountd.protocol.schema import render_files
    from accountd.protocol.schema.typescript import render_type_files

    parser = ArgumentParser(prog=f"accountd app-server {word}", allow_abbrev=False)
    parser.add_argument("-o", "--out", required=True)
    try:
        out = Path(parser.parse_known_args(words)[0].out)
    except SystemExit as done:  # argparse has said what there was to say
        return int(done.code or 0)
    complain(f"warning: this is the part about accounts alone: {missing}")
    if word == _GENERATORS[0]:
        write_folder(out, {path: text.encode() for path, text in render_type_files().items()})
    else:
        write_folder(out, render_files())
    return OK
