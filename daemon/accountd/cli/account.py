"""Who is logged in, asked of the daemon and put into words. Shared by the verbs that say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from accountd.cli.exits import ERROR, NEEDS_LOGIN, NOT_LOGGED_IN, UNREADABLE, Failure
from accountd.cli.terminal import one_line
from accountd.client import faults
from accountd.client.blocking_connection import ANSWER_TIMEOUT
from accountd.client.errors import CallFailed, ClientError
from accountd.client.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accountd.cli.selecting import Selected
    from accountd.client.blocking import Client

_INTERNAL_ERROR = -32603
_CHATGPT = ("chatgpt", "chatgptAuthTokens")


class Account(NamedTuple):
    """What `account/read` and `getAuthStatus` say together.

    `mode` is the protocol's AuthMode, or None if nobody is logged in. `trouble` says why the details of a
    ChatGPT login are unknown. `stale` is a stored login that the issuer does not accept any more; `unneeded`, that
    the model provider in use needs no login, so that whether there is one is not told.
    """

    mode: str | None
    email: str | None = None
    plan: str | None = None
    workspace: str | None = None
    trouble: str | None = None
    stale: bool = False
    unneeded: bool = False

    def headline(self) -> str:
        """Say in one sentence who is logged in, and how."""
        if self.stale:
            return "Not logged in: the login that is stored here is no longer accepted."
        if self.mode is None and not self.unneeded:
            return "Not logged in."
        if self.unneeded:
            return "Clients are told of no login, since the model provider in config.toml needs none."
        if self.mode == "apikey":
            return "Logged in with an API key."
        who = f" as {one_line(self.email)}" if self.email else ""
        if self.trouble:
            who += f" (workspace details are unavailable: {one_line(self.trouble)})"
        how = ", with tokens that another program refreshes" if self.mode == "chatgptAuthTokens" else ""
        return f"Logged in with ChatGPT{who}{how}."

    def as_json(self) -> dict[str, Any]:
        """Return the members that every JSON output has for an account."""
        return {
            "loggedIn": self.mode is not None,
            "needsLogin": self.stale,
            "authMode": self.mode,
            "email": self.email,
            "planType": self.plan,
            "workspaceName": self.workspace,
            "detailsError": self.trouble,
        }


def find_fault(account: Account, status: Mapping[str, Any] | None) -> Fault | None:
    """Say why the login cannot be used; None if it can. A daemon of an older version says less."""
    fault = faults.find_fault(status)
    if fault is None and account.mode is None and not account.unneeded:
        return Fault(faults.REFUSED if account.stale else faults.NOT_LOGGED_IN)
    return fault


def render_headline(account: Account, fault: Fault | None, selected: Selected) -> str:
    """Say in one sentence who is logged in, or why the login that there is cannot be used."""
    if fault is None or account.unneeded:
        return account.headline()
    words = one_line(fault.describe(selected.login))
    return words[0].upper() + words[1:]


def choose_exit(fault: Fault) -> int:
    """Give the exit code of a verb that needs the login."""
    if fault.reason in (faults.NOT_LOGGED_IN, *faults.FORBIDDEN):
        return NOT_LOGGED_IN
    if fault.reason in faults.UNREADABLE:
        return UNREADABLE
    return NEEDS_LOGIN if fault.reason == faults.REFUSED else ERROR


def explain_failure(client: Client, error: CallFailed, selected: Selected) -> Failure:
    """Say why a verb that needs the login has failed: because of the login, as `accountd status` says, or else."""
    whose = f"{selected.describe()}: " if selected.is_told else ""
    try:
        fault = faults.find_fault(client.read_status())
    except ClientError:  # of a daemon of an older version, for one
        fault = Fault(error.reason) if error.reason in (faults.NOT_LOGGED_IN, faults.REFUSED) else None
    if fault is None:
        return Failure(f"{whose}{error.message}", reason=error.reason)
    words = f"{whose}{one_line(fault.describe(selected.login))}"
    return Failure(words, choose_exit(fault), fault.reason)


def read_account(client: Client, timeout: float = ANSWER_TIMEOUT) -> Account:
    """Ask who is logged in. Raises CallFailed when the daemon cannot tell, and what Client raises."""
    try:
        answer = client.read_account(timeout=timeout)
    except CallFailed as error:
        # The workspace is looked up over the network; a login does not end because that fails.
        mode = client.read_auth_status(timeout=timeout).get("authMethod")
        if error.code != _INTERNAL_ERROR or mode not in _CHATGPT:
            raise
        return Account(mode, trouble=error.message)
    mode, account = client.read_auth_status(timeout=timeout).get("authMethod"), answer.get("account")
    if account is None:
        return Account(None, stale=mode in _CHATGPT, unneeded=answer.get("requiresOpenaiAuth") is False)
    if account["type"] == "apiKey":
        return Account("apikey")
    return Account(
        mode or "chatgpt",
        email=account.get("email"),
        plan=account.get("planType"),
        workspace=account.get("workspaceName"),
    )
