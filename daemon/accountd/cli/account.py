"""Who is logged in, asked of the daemon and put into words. Shared by the verbs that say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from accountd.cli.exits import NOT_LOGGED_IN, Failure
from accountd.cli.terminal import one_line
from accountd.client.errors import CallFailed

if TYPE_CHECKING:
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
        if self.unneeded:
            return "Clients are told of no login, since the model provider in config.toml needs none."
        if self.stale:
            return "Not logged in: the login that is stored here is no longer accepted."
        if self.mode is None:
            return "Not logged in."
        if self.mode == "apikey":
            return "Logged in with an API key."
        who = f" as {one_line(self.email)}" if self.email else ""
        if self.trouble:
            who = f" (workspace details are unavailable: {one_line(self.trouble)})"
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


def find_objection(daemon: dict[str, Any] | None) -> str | None:
    """Find in an `accountd/status` why nobody is logged in though something is stored; None if nothing is."""
    credential = (daemon or {}).get("credential")
    objection = credential.get("unusedBecause") if isinstance(credential, dict) else None
    return one_line(objection) if isinstance(objection, str) else None


def ask_objection(client: Client) -> str | None:
    """Ask the daemon why nobody is logged in though something is stored; None if nothing is."""
    try:
        return find_objection(client.read_status())
    except CallFailed:  # a daemon of an older version
        return None


def explain_nobody(client: Client) -> Failure:
    """Say that nobody is logged in, why if something is stored all the same, and what to do."""
    objection = ask_objection(client)
    if objection is None:
        return Failure("nobody is logged in; log in with `accountd login`", NOT_LOGGED_IN)
    return Failure(f"nobody is logged in, since what is stored is not used: {objection}", NOT_LOGGED_IN)


def read_account(client: Client) -> Account:
    """Ask who is logged in. Raises CallFailed when the daemon cannot tell, and what Client raises."""
    try:
        answer = client.read_account()
    except CallFailed as error:
        # The workspace is looked up over the network; a login does not end because that fails.
        mode = client.read_auth_status().get("authMethod")
        if error.code != _INTERNAL_ERROR or mode not in _CHATGPT:
            raise
        return Account(mode, trouble=error.message)
    mode, account = client.read_auth_status().get("authMethod"), answer.get("account")
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
