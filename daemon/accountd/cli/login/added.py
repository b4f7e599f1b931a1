"""Which account a login was of, and what has become of the one before: found in the list, before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accountd.cli.account import Account, read_account
from accountd.cli.selecting import label, read_accounts
from accountd.client.errors import ClientError, Interrupted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from accountd.client.blocking import Client
    from accountd.client.results import ListedAccount, LoginWishes


def read_wishes(args: argparse.Namespace) -> LoginWishes:
    """Return what the command line says of what becomes of the login."""
    wishes: LoginWishes = {}
    if args.keep_active:
        wishes["activate"] = False
    if args.alias is not None:
        wishes["alias"] = args.alias
    if args.account is not None:
        wishes["account"] = args.account
    return wishes


class Added:
    """A login that is about to begin on this connection. `account` is whose it was, once that is known."""

    def __init__(self, client: Client, args: argparse.Namespace) -> None:
        self.account: ListedAccount | None = None
        self._client = client
        self._keeps_active = args.keep_active
        self._before, self._active_before = read_accounts(client)
        self._wanted: str | None = None
        if read_wishes(args):  # a daemon that has no list would not keep to them, and says so here
            self._wanted = client.select_account(args.account)
            client.select_account(None)

    def find(self, known: Account) -> Account:
        """Ask who is logged in by it. The login is complete, so that this fails does not make it fail."""
        try:
            after, active_id = read_accounts(self._client)
            account_id = self._find_id(after) if self._keeps_active else active_id
            self.account = next((each for each in after if each["id"] == account_id), None)
            if self._keeps_active:
                if account_id is None:
                    return known
                self._client.select_account(account_id)
            return read_account(self._client)
        except ClientError as error:
            return known._replace(trouble=str(error))
        except Interrupted:
            return known._replace(trouble="not waited for")

    def _find_id(self, after: Sequence[ListedAccount]) -> str | None:
        """Return the id of who was to log in, or is new, or has been refreshed last."""
        old = {each["id"]: each["lastRefresh"] for each in self._before}
        changed = [each for each in after if old.get(each["id"], "") != each["lastRefresh"]]
        changed.sort(key=lambda each: (each["id"] not in old, each["lastRefresh"] or ""))
        return self._wanted or (changed[-1]["id"] if changed else None)

    def describe(self) -> str | None:
        """Say what is so now, where there are several accounts and it is not as it was."""
        if self.account is None:
            return None
        name = label(self.account)
        if self._keeps_active and self.account["state"] != "active":
            return f"It is kept as `{name}`; `accountd switch {name}` has it in use."
        before = next((each for each in self._before if each["id"] == self._active_before), None)
        if before is None or before["id"] == self.account["id"]:
            return None
        return (
            f"In use from now on, as `{name}`; `accountd switch {label(before)}` goes back to the account before."
        )

    def as_json(self) -> dict[str, Any]:
        """Return what a program is told besides; nothing of a daemon that has no list."""
        return {} if self.account is None else {"accountId": self.account["id"]}
