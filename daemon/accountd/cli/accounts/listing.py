"""`accountd accounts`: the list, and which account is meant here."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from accountd.cli.accounts.table import render_table
from accountd.cli.connecting import connect
from accountd.cli.exits import NO_ACCOUNT, OK, Failure
from accountd.cli.selecting import VARIABLE, Selected, decide, here, refuse, render_error
from accountd.cli.terminal import Screen, complain, say, tell
from accountd.cli.waiting import waiting
from accountd.client.errors import CallFailed

if TYPE_CHECKING:
    import argparse

    from accountd.client.blocking import Client
    from accountd.client.results import ListAccountsResponse


def list_accounts(args: argparse.Namespace) -> int:
    """Print the list. Where nobody is called what the environment says, that comes after it, with exit code 6."""
    with connect(args) as client:
        with waiting("the daemon, which reads the list; with --refresh it asks the backend"):
            listed = client.list_accounts(refresh_workspaces=args.refresh)
        selected = _find_here(client, listed)
    if args.json:
        say(json.dumps(_render_json(listed, selected)))
    else:
        _print(listed, selected)
    if isinstance(selected, Failure):
        complain(str(selected))
        return NO_ACCOUNT
    return OK


def _find_here(client: Client, listed: ListAccountsResponse) -> Selected | Failure:
    """Find out which account a verb means that is run here, and says nothing itself."""
    accounts = listed["accounts"]
    pins = {folder: each["id"] for each in accounts for folder in each["pins"]}
    wish = decide(None, os.environ.get(VARIABLE, ""), here(), pins)
    selected_id = listed["activeId"]
    if wish.name is not None:
        try:
            selected_id = client.select_account(wish.name)
        except CallFailed as error:
            return refuse(error, wish)
    return Selected(wish, next((each for each in accounts if each["id"] == selected_id), None), accounts)


def _render_json(listed: ListAccountsResponse, selected: Selected | Failure) -> dict[str, Any]:
    found: dict[str, Any] = {"version": 1, "activeId": listed["activeId"], "revision": listed["revision"]}
    if isinstance(selected, Failure):
        found |= {"here": None, **render_error(selected)}
    else:
        account_id = selected.account["id"] if selected.account is not None else None
        found["here"] = {"id": account_id, "because": selected.wish.because, "folder": selected.wish.folder}
    return found | {"accounts": listed["accounts"]}


def _print(listed: ListAccountsResponse, selected: Selected | Failure) -> None:
    screen = Screen.of(sys.stdout)
    if not listed["accounts"]:
        say("There is no account. `accountd login` adds one.")
        return
    for line in render_table(listed["accounts"], time.time(), screen):
        say(line)
    if isinstance(selected, Selected):
        tell(f"Here: {selected.describe()}")
