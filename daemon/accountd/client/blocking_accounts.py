"""The part of the blocking client that is about several accounts: which there are, which is meant, which is active.

An account is named as a person names it: by its alias, its id, its email, or its email and its workspace. A name of
none, and one of several, is CallFailed with the reason `noSuchAccount` or `ambiguousAccount`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, cast

from accountd.client.blocking_connection import ANSWER_TIMEOUT, BlockingConnection
from accountd.client.errors import CallFailed, CallTimedOut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from accountd.client import results

_AT_ONCE: Final = 8
"""Requests that are under way together: a daemon takes more of one connection."""


class AccountsConnection(BlockingConnection):
    """A connection with a method for each thing to ask of the accounts."""

    def list_accounts(self, *, refresh_workspaces: bool = False) -> results.ListAccountsResponse:
        """Ask which accounts there are; with `refresh_workspaces` the backend is asked for names."""
        asked = {"refreshWorkspaces": refresh_workspaces}
        answer = self.call("accountd/accounts/list", asked, ANSWER_TIMEOUT)
        return cast("results.ListAccountsResponse", answer)

    def select_account(self, name: str | None) -> str | None:
        """Have this connection mean an account from now on, and give its id; with None, whichever is active."""
        return cast("str | None", self.call("accountd/accounts/select", {"account": name})["selectedId"])

    def switch_account(self, name: str) -> results.SwitchAccountResponse:
        """Make an account the active one, for every client that has selected none."""
        answer = self.call("accountd/accounts/switch", {"account": name}, ANSWER_TIMEOUT)
        return cast("results.SwitchAccountResponse", answer)

    def rename_account(self, name: str, alias: str | None) -> None:
        """Give an account an alias, or with None take it away."""
        self.call("accountd/accounts/rename", {"account": name, "alias": alias}, ANSWER_TIMEOUT)

    def remove_account(self, name: str, *, revoke: bool = False) -> None:
        """Forget an account that is not active, and with `revoke` end its login."""
        self.call("accountd/accounts/remove", {"account": name, "revoke": revoke}, ANSWER_TIMEOUT)

    def import_accounts(
        self, path: str, *, dry_run: bool = False, move: bool = False
    ) -> list[results.ImportedAccount]:
        """Take over the logins that are at an absolute path, and say what has become of each, or would."""
        asked = {"path": path, "dryRun": dry_run, "move": move}
        answer = self.call("accountd/accounts/import", asked, ANSWER_TIMEOUT)
        return cast("list[results.ImportedAccount]", answer["found"])

    def read_pins(self) -> dict[str, str]:
        """Ask which folders mean an account: real paths, each with an id."""
        return cast("dict[str, str]", self.call("accountd/pins/read", timeout=ANSWER_TIMEOUT)["pins"])

    def write_pin(self, folder: str, name: str | None) -> None:
        """Have a folder, by its real path, mean an account; with None none of its own any more."""
        self.call("accountd/pins/write", {"folder": folder, "account": name}, ANSWER_TIMEOUT)

    def list_sessions(self, *, refresh: bool = False) -> list[results.AccountSession]:
        """Ask which logins there are; with `refresh` the backend is asked for all workspaces of each."""
        answer = self.call("accountSession/list", {"refreshWorkspaceMetadata": refresh}, ANSWER_TIMEOUT)
        return cast("list[results.AccountSession]", answer["sessions"])

    def switch_workspace(self, session_id: str, workspace_id: str) -> None:
        """Use another workspace of a login. Raises CallFailed, also where it wants a sign-in of its own."""
        wanted = {"sessionId": session_id, "accountId": workspace_id}
        self.call("accountSession/switch", wanted, ANSWER_TIMEOUT)

    def read_all_rate_limits(
        self, accounts: Iterable[str]
    ) -> Iterator[results.GetAccountRateLimitsResponse | CallFailed | CallTimedOut]:
        """Ask how much of the limits of each account is used; give the answers in their order, or what failed.

        Several are asked at once, so that one which is slow holds no other up.
        """
        sent: deque[int] = deque()
        for each in accounts:
            if len(sent) == _AT_ONCE:
                yield self._take_rate_limits(sent.popleft())
            sent.append(self.send("account/rateLimits/read", {"account": each}))
        while sent:
            yield self._take_rate_limits(sent.popleft())

    def _take_rate_limits(self, number: int) -> results.GetAccountRateLimitsResponse | CallFailed | CallTimedOut:
        try:
            return cast("results.GetAccountRateLimitsResponse", self.wait_response(number, ANSWER_TIMEOUT))
        except (CallFailed, CallTimedOut) as error:
            return error
