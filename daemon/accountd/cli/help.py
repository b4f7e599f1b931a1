"""`accountd help`: the help of the command, or of one of its verbs, as `--help` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.cli.exits import OK

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_EPILOG = """\
`man accountd-VERB` has the same, where the man pages are installed.

examples:
  accountd help
  accountd help login
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    from accountd.cli import VERBS  # which is read when this module is looked for

    parser = subparsers.add_parser(
        "help",
        help="say what a verb does, and how it is used",
        description="Print the help of a verb; without one, the list of them.",
        epilog=_EPILOG,
    )
    parser.add_argument("about", choices=VERBS, nargs="?", metavar="VERB", help="the verb to explain")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the help."""
    from accountd.cli import build_parser

    parser = build_parser([args.about] if args.about else [])
    (parser.verbs[args.about] if args.about else parser).print_help()
    return OK
