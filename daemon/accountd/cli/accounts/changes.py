"""What `accountd accounts` does besides to list them: aliases, pins, and the end of an account."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from accountd import paths
from accountd.cli.connecting import connect
from accountd.cli.exits import ERROR, OK, Failure
from accountd.cli.selecting import describe_who, label, read_accounts, refuse
from accountd.cli.terminal import one_line, say, tell
from accountd.cli.waiting import waiting
from accountd.client.errors import CallFailed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from accountd.client.blocking import Client
    from accountd.client.results import ImportedAccount, ListedAccount


def find_account(client: Client, name: str) -> ListedAccount:
    """Find the account that is called so, and have the connection mean it. Raises Failure."""
    try:
        account_id = client.select_account(name)
    except CallFailed as error:
        raise refuse(error) from error
    accounts, _ = read_accounts(client)
    account = next((each for each in accounts if each["id"] == account_id), None)
    if account is None:  # it has just been removed
        raise Failure("the accounts have changed; try again")
    return account


def _rename(args: argparse.Namespace) -> int:
    with connect(args) as client:
        account = find_account(client, args.name)
        client.rename_account(account["id"], args.alias)
    tell(f"{describe_who(account)} is called `{args.alias.casefold()}` now.")
    return OK


def _remove(args: argparse.Namespace) -> int:
    with connect(args) as client:
        account = find_account(client, args.name)
        if account["state"] == "active":
            command = "accountd logout" if args.revoke else "accountd logout --forget"
            raise Failure(f"{describe_who(account)} is the active account, which is not removed: `{command}`")
        with waiting("the daemon, which removes it; with --revoke it asks the issuer to end the login"):
            client.remove_account(account["id"], revoke=args.revoke)
    had_login = account["state"] != "signedOut" and account["authMode"] != "apikey"
    left = "" if args.revoke or not had_login else " Its login was not revoked."
    pins = f" No folder means it any more: {one_line(', '.join(account['pins']))}." if account["pins"] else ""
    tell(f"Removed {describe_who(account)}, `{label(account)}`.{left}{pins}")
    return OK


def _pin(args: argparse.Namespace) -> int:
    from pathlib import Path  # which no other verb has a use for

    folder = _read_folder(args)
    if not Path(folder).is_dir():
        raise Failure(f"{folder} is no folder")
    with connect(args) as client:
        account = find_account(client, args.name)
        client.write_pin(paths.tell(folder), account["id"])
    tell(f"{one_line(folder)}, and all below it, means {describe_who(account)}, `{label(account)}`.")
    return OK


def _unpin(args: argparse.Namespace) -> int:
    folder = paths.tell(_read_folder(args))
    with connect(args) as client:
        pins = client.read_pins()
        if folder not in pins:
            raise Failure(f"{folder} is not pinned; `accountd accounts pins` lists what is")
        client.write_pin(folder, None)
    tell(f"{one_line(folder)} means no account of its own any more.")
    return OK


def _list_pins(args: argparse.Namespace) -> int:
    with connect(args) as client:
        accounts, _ = read_accounts(client)
    pins = sorted((folder, label(each)) for each in accounts for folder in each["pins"])
    for folder, name in pins:
        say(f"{one_line(folder)}  {name}")
    if not pins:
        tell("No folder is pinned. `accountd accounts pin NAME FOLDER` pins one.")
    return OK


def _read_folder(args: argparse.Namespace) -> str:
    """Return the folder of the command line, or this one, with links resolved. Raises Failure."""
    try:
        return os.path.realpath(getattr(args, "folder", None) or os.curdir)
    except OSError as error:  # of a folder that has been removed
        raise Failure("this folder is gone; name one") from error


def _import(args: argparse.Namespace) -> int:
    path = paths.expand(args.path, where="PATH")
    with connect(args) as client:
        found = client.import_accounts(paths.tell(path), dry_run=args.dry_run, move=args.move)
    for each in found:
        who = "no login" if each["outcome"] == "unreadable" else each["email"] or "an API key"
        say(f"{one_line(each['path'])}: {one_line(who)}, {_OUTCOMES[each['outcome']]}{_add_reason(each)}")
    taken = [each for each in found if each["outcome"] in {"added", "replaced"}]
    if args.dry_run:
        tell(f"{len(taken)} of {len(found)} would be taken over; nothing was done.")
    elif taken and not args.move:
        tell(
            "Each of these logins is in two places now, and the first program that refreshes it ends it for the "
            "other. Use it here alone, or import with --move."
        )
    return OK if any(each["outcome"] not in {"refused", "unreadable"} for each in found) else ERROR


def _add_reason(each: ImportedAccount) -> str:
    why = f": {one_line(each['why'])}" if each["why"] else ""
    return f"{why}; {', '.join(each['alsoIn'])} holds it as well" if each["alsoIn"] else why


_OUTCOMES: Final = {
    "added": "added",
    "replaced": "newer than the login that was here, which it replaces",
    "known": "known already",
    "older": "older than the login that is here, which stays",
    "own": "which is accountd's own",
    "refused": "not taken",
    "unreadable": "not read",
}

ACTIONS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "rename": _rename,
    "remove": _remove,
    "import": _import,
    "pin": _pin,
    "unpin": _unpin,
    "pins": _list_pins,
}
"""What each action does, and its exit code."""
