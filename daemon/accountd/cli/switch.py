"""`accountd switch`: have another account be the one in auth.json, for every client that selects none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.cli.accounts.changes import find_account
from accountd.cli.connecting import connect
from accountd.cli.exits import NO_ACCOUNT, OK, Failure
from accountd.cli.foreign_servers import name_foreign_servers
from accountd.cli.options import add_client_options
from accountd.cli.selecting import describe_who, label, read_accounts
from accountd.cli.terminal import one_line, tell
from accountd.cli.waiting import waiting

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers
    from accountd.client.blocking import Client
    from accountd.client.results import AccountSession, AccountSessionWorkspace, ListedAccount

_EPILOG = """\
The account is found by its alias, its id, its email, or its email and its
workspace: ada@example.com/Acme. Nothing else chooses one, and a pinned folder
and $ACCOUNTD_ACCOUNT make no difference here.

Clients that mean an account of their own go on with that, and so does what is
under way. A Codex that reads auth.json itself keeps the account before until it
is started again; those are named. While a login waits for approval there is no
switch.

With --workspace, the account goes on in another workspace of the same login, by
its name or id. One that wants a sign-in of its own needs a login.

examples:
  accountd switch work
  accountd switch ada@example.com --workspace Acme
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "switch",
        help="have another account be the active one",
        description="Have another account be the active one, for every client that selects none.",
        epilog=_EPILOG,
    )
    parser.add_argument("name", metavar="NAME", help="the account")
    parser.add_argument("--workspace", metavar="WORKSPACE", help="another workspace of it, by its name or id")
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Switch, and say who has heard of it and who has not."""
    with connect(args) as client:
        account, (before, _) = find_account(client, args.name), _find_active(client)
        if args.workspace is None or _is_in(account, args.workspace):
            _switch(client, account)
        else:
            _switch_workspace(client, account, args.workspace)
        after, others = _find_active(client)
        home = client.server.get("codexHome")
    if after is None:  # somebody has just logged out
        raise Failure("nobody is active: the account has been logged out meanwhile")
    has_changed = after != before
    told = (
        f" {others} connected client{'s have' if others > 1 else ' has'} been told."
        if has_changed and others
        else ""
    )
    texts = [f"{_describe(after)}{told}"]
    if has_changed and isinstance(home, str) and (reading := name_foreign_servers(home)):
        texts.append(
            f"Programs that read auth.json themselves keep the old account until they restart ({reading})."
        )
    for text in texts:
        tell(text)
    return OK


def _find_active(client: Client) -> tuple[ListedAccount | None, int]:
    """Return the active account, and how many other connections follow it: this one means an account of its own."""
    listed = client.list_accounts()
    active = next((each for each in listed["accounts"] if each["id"] == listed["activeId"]), None)
    return active, listed.get("followers", 0)


def _switch(client: Client, account: ListedAccount) -> None:
    with waiting("the daemon, which refreshes both logins if they are due"):
        client.switch_account(account["id"])


def _switch_workspace(client: Client, account: ListedAccount, wanted: str) -> None:
    """Switch to the same person in another workspace: to their account there, or else by this one's login.

    The connection means the account, whose workspaces it is told so. Raises Failure, and nothing has changed.
    """
    for each in read_accounts(client)[0]:
        if each["userId"] == account["userId"] is not None and _is_in(each, wanted):
            _switch(client, each)
            return
    with waiting("the daemon, which asks the backend for the workspaces"):
        sessions = client.list_sessions(refresh=True)
    session = next((each for each in sessions if _is_of(each, account)), None)
    if session is None:
        raise Failure(f"{describe_who(account)} is no ChatGPT login that could go on in another workspace")
    workspace_id = _choose(session["workspaces"], wanted, account)
    with waiting("the daemon, which asks the issuer for a token of the workspace"):
        client.switch_workspace(session["sessionId"], workspace_id)


def _choose(workspaces: list[AccountSessionWorkspace], wanted: str, account: ListedAccount) -> str:
    """Return the id of the workspace that is called so. Raises Failure if none is, or several are."""
    ids = [each["accountId"] for each in workspaces]
    found = [wanted] if wanted in ids else [each["accountId"] for each in workspaces if each.get("name") == wanted]
    if len(found) == 1:
        return found[0]
    names = found or [one_line(each.get("name") or each["accountId"]) for each in workspaces]
    is_or_are = "several are called so" if found else "none is called so"
    raise Failure(f"of the workspaces of {describe_who(account)} {is_or_are}: {', '.join(names)}", NO_ACCOUNT)


def _is_in(account: ListedAccount, workspace: str) -> bool:
    return workspace in (account["workspace"]["id"], account["workspace"]["name"])


def _is_of(session: AccountSession, account: ListedAccount) -> bool:
    return (session["userId"], session["selectedWorkspaceAccountId"]) == (
        account["userId"],
        account["workspace"]["id"],
    )


def _describe(account: ListedAccount) -> str:
    plan = f" ({one_line(account['planType'])})" if account["planType"] else ""
    return f"Now in use: {describe_who(account)}{plan}, as `{label(account)}`."
