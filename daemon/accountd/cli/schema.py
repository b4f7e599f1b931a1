"""`accountd schema`: write the protocol as JSON Schema, for clients that generate their types from it."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

from accountd.cli.exits import OK, Failure
from accountd.cli.terminal import one_line, say
from accountd.errors import describe_os_error

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_EPILOG = """\
The folder is laid out as that of `codex app-server generate-json-schema`, with
the methods of this daemon alone. ClientRequest.json has all of them, and
x-result says where the answer of each is. What needs a capability says which
in x-capability. Files of these names are replaced; others are left alone.

No daemon is needed, and none is started.

example:
  accountd schema --out ./schema && ls ./schema/v2
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "schema",
        help="write the protocol as JSON Schema",
        description="Write a JSON Schema for every message of the protocol.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--out", type=_parse_folder, required=True, metavar="DIR", help="the folder to write to; it is created"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files, and say where and how many. Raises Failure for the first that cannot be written."""
    from accountd.protocol.schema import render_files  # which needs msgspec

    if args.out.exists() and not args.out.is_dir():
        raise Failure(f"cannot write to {args.out}: it is not a folder")
    files = render_files()
    for name, content in files.items():
        path = args.out / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise Failure(f"cannot write {path}: {describe_os_error(error)}") from error
    say(f"{one_line(str(args.out))}: {len(files)} files")
    return OK


def _parse_folder(text: str) -> Path:
    if not text:  # as from a variable that is not set; Path would take it for the folder that one is in
        raise ArgumentTypeError("must name a folder")
    return Path(text)
