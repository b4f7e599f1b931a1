"""`accountd accounts`: its command line. The list is in `listing`, what changes it in `changes`."""

from __future__ import annotations

from argparse import SUPPRESS
from typing import TYPE_CHECKING, Final

from accountd.cli.options import add_client_options

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Parser, Subparsers

_EPILOG: Final = """\
Each login adds an account: a person in a workspace. One of them is active, and
marked with *: every client has it that says nothing else. What a verb means is
said by --account, else by $ACCOUNTD_ACCOUNT, else by the nearest pinned folder
above this one; else it is the active one. The last line says which that is
here, and why.

A NAME is an alias, an id, an email, or an email and a workspace's name or id:
ada@example.com/Acme. It is never a part of one. An alias has at most 32 of a-z,
0-9, ".", "_" and "-", and begins with a letter or a digit.

A pin is the daemon's, and not in the folder: a repository that was cloned does
not choose an account. It means the folder and all below it.

With --json, one object has version, activeId, revision, here (id, because:
environment, folder or active; folder) and accounts, each with id, alias,
authMode, email, userId, workspace (id, name, kind), planType, state (active,
stored, doubtful, needsLogin, signedOut or forbidden), permitted, needsLogin,
expiresAt, lastRefresh, addedAt, lastUsedAt and pins.

Exits with 6 if there is no such account, or several are meant: their names are
on stderr, and with --json in an object, error, with code and candidates.

examples:
  accountd accounts
  accountd accounts rename ada@example.com/Acme work
  accountd accounts pin work ~/acme
  accountd accounts --json | jq -r '.accounts[].email'
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "accounts",
        help="list the accounts, name them, and pin folders to them",
        description="List the accounts that are logged in here, or change the list.",
        epilog=_EPILOG,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--refresh", action="store_true", help="ask the backend what the workspaces are called")
    add_client_options(parser)
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION")
    rename = _add(actions, "rename", "give an account an alias")
    rename.add_argument("name", metavar="NAME", help="the account")
    rename.add_argument("alias", metavar="ALIAS", help="what it is called from now on")
    remove = _add(actions, "remove", "forget an account that is not active, also one that is signed out")
    remove.add_argument("name", metavar="NAME", help="the account")
    remove.add_argument("--revoke", action="store_true", help="end its login at the issuer as well")
    taken = _add(actions, "import", "take over the logins that another program keeps")
    taken.add_argument("path", metavar="PATH", help="its file or folder, an auth.json, or another CODEX_HOME")
    taken.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    taken.add_argument("--move", action="store_true", help="remove each file whose logins are stored here")
    pin = _add(actions, "pin", "have a folder, and all below it, mean an account")
    pin.add_argument("name", metavar="NAME", help="the account")
    pin.add_argument("folder", metavar="FOLDER", nargs="?", help="the folder (default: this one)")
    unpin = _add(actions, "unpin", "have a folder mean no account of its own any more")
    unpin.add_argument("folder", metavar="FOLDER", nargs="?", help="the folder (default: this one)")
    _add(actions, "pins", "list the folders that are pinned")


def _add(actions: Subparsers, name: str, words: str) -> Parser:
    parser = actions.add_parser(name, help=words, description=f"{words[:1].upper()}{words[1:]}.")
    parser.argument_default = SUPPRESS  # so that what is not given here leaves what was said before the action
    add_client_options(parser)
    parser.argument_default = None
    return parser


def run(args: argparse.Namespace) -> int:
    """List the accounts, or change the list."""
    from accountd.cli.accounts.changes import ACTIONS  # --help needs none of it
    from accountd.cli.accounts.listing import list_accounts  # as above

    return (list_accounts if args.action is None else ACTIONS[args.action])(args)
