"""`accountd completion`: print the script that has a shell complete this command.

The scripts are beside this file, made by `make contrib`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from accountd.cli.exits import OK
from accountd.cli.terminal import say

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_EPILOG = """\
To have it in every new shell, put the first of these lines into ~/.bashrc, the
second into ~/.zshrc, below compinit, or the third into config.fish.

examples:
  eval "$(accountd completion bash)"
  eval "$(accountd completion zsh)"
  accountd completion fish | source
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "completion",
        help="print what a shell completes this command with",
        description="Print the completion script for a shell.",
        epilog=_EPILOG,
    )
    parser.add_argument("shell", choices=["bash", "zsh", "fish"], metavar="SHELL", help="bash, zsh or fish")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the script for a shell."""
    with open(os.path.join(os.path.dirname(__file__), f"accountd.{args.shell}"), encoding="utf-8") as script:
        say(script.read())
    return OK
