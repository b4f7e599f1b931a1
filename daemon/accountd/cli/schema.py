"""`accountd schema`: write the protocol as JSON Schema or TypeScript, for clients that have their types from it."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

from accountd.cli.exits import OK, USAGE, Failure
from accountd.cli.terminal import one_line, say
from accountd.errors import describe_os_error

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from accountd.cli.parsing import Subparsers

_EPILOG = """\
The folder is laid out as that of `codex app-server generate-json-schema`, with
the methods of this daemon alone. accountd/Methods.json has all of them, each
with its params and its result; the file of TypeScript has it as `Methods`.
What needs a capability says which in its description and its $comment. Files
of these names are replaced; others are left alone.

No daemon is needed, and none is started.

examples:
  accountd schema --ts accountd.ts
  accountd schema --out ./schema && ls ./schema/v2
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "schema",
        help="write the protocol as JSON Schema, or as TypeScript",
        description="Write the messages of the protocol as JSON Schema, or as TypeScript.",
        epilog=_EPILOG,
    )
    parser.add_argument("--out", type=_parse_path, metavar="DIR", help="the folder for the schema; it is created")
    parser.add_argument("--ts", type=_parse_path, metavar="FILE", help="the one file for the types")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files, and say where and how many. Raises Failure for the first that cannot be written."""
    if args.out is None and args.ts is None:
        raise Failure("name a folder with --out, or a file with --ts", USAGE)
    if args.ts is not None:
        from accountd.protocol.schema.typescript import render_types  # which needs msgspec

        _write(args.ts, render_types().encode())
        say(one_line(str(args.ts)))
    if args.out is not None:
        from accountd.protocol.schema import render_files  # likewise

        write_folder(args.out, render_files())
    return OK


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files to a folder, and say how many. Raises Failure, as above."""
    if folder.exists() and not folder.is_dir():
        raise Failure(f"cannot write to {folder}: it is not a folder")
    for name, content in files.items():
        _write(folder / name, content)
    say(f"{one_line(str(folder))}: {len(files)} files")


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise Failure(f"cannot write {path}: {describe_os_error(error)}") from error


def _parse_path(text: str) -> Path:
    if not text:  # as from a variable that is not set; Path would take it for the folder that one is in
        raise ArgumentTypeError("must name a path")
    return Path(text)
