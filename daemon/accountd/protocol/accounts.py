"""Several accounts, which are ours alone: which there are, which one a connection means, which is active.

All of it is for connections that declare the accountd extension. An account is named as a person names it: by its
alias, its id, its email, or its email and its workspace.
"""

from __future__ import annotations

from typing import Literal

from accountd.codex.plans import PlanType
from accountd.protocol.account import AuthMode, Wire

State = Literal["active", "stored", "doubtful", "needsLogin", "signedOut", "forbidden"]
"""`doubtful`: another program may have used its tokens, so that it is not refreshed before somebody needs it.
`signedOut`: another program has logged it out, and nothing is stored of it. `forbidden`: by policy; it is kept."""

Change = Literal["added", "removed", "renamed", "switched", "needsLogin", "healed", "foreign"]
"""Why the list is another one; `foreign`: another program has changed auth.json."""


class Workspace(Wire, frozen=True):
    """The workspace of an account, as far as it is known."""

    id: str | None
    name: str | None
    kind: str | None


class ListedAccount(Wire, frozen=True):
    """One account. Its id is the same for good. Times are Unix seconds; `pins` are folders that mean it."""

    id: str
    alias: str | None
    auth_mode: AuthMode
    email: str | None
    user_id: str | None
    workspace: Workspace
    plan_type: PlanType | None
    state: State
    permitted: bool
    needs_login: bool
    expires_at: float | None
    last_refresh: str | None
    added_at: float
    last_used_at: float | None
    pins: tuple[str, ...]


class ListAccountsParams(Wire, frozen=True):
    """`accountd/accounts/list`; with `refresh_workspaces`, the backend is asked for the names of workspaces."""

    refresh_workspaces: bool = False


class ListAccountsResponse(Wire, frozen=True):
    """`accountd/accounts/list`: in the order in which they came. `selected_id` is what this connection means.

    `followers` are the connections that mean whichever is active, this one included if it does.
    """

    active_id: str | None
    selected_id: str | None
    followers: int
    revision: int
    accounts: tuple[ListedAccount, ...]


class SelectAccountParams(Wire, frozen=True):
    """`accountd/accounts/select`: what this connection means from now on; null is the active account."""

    account: str | None


class SelectAccountResponse(Wire, frozen=True):
    """`accountd/accounts/select`: the id of the account, null where it follows the active one."""

    selected_id: str | None


class SwitchAccountParams(Wire, frozen=True):
    """`accountd/accounts/switch`: the active account from now on, if the list is still that of `if_revision`."""

    account: str
    if_revision: int | None = None


class SwitchAccountResponse(Wire, frozen=True):
    """`accountd/accounts/switch`: what has been made of it."""

    active_id: str | None
    revision: int


class RenameAccountParams(Wire, frozen=True):
    """`accountd/accounts/rename`: an alias for an account; null takes it away."""

    account: str
    alias: str | None


class RemoveAccountParams(Wire, frozen=True):
    """`accountd/accounts/remove`: of an account that is not active; with `revoke`, its tokens end as well."""

    account: str
    revoke: bool = False


ImportOutcome = Literal["added", "replaced", "known", "older", "own", "refused", "unreadable"]
"""`replaced`: it is newer than what was here; `older`: it is not, and that is kept. `known`: the same
tokens; `own`: a file of this CODEX_HOME itself."""


class ImportAccountsParams(Wire, frozen=True):
    """`accountd/accounts/import`: an absolute path; `dry_run` does nothing, `move` removes the copies."""

    path: str
    dry_run: bool = False
    move: bool = False


class ImportedAccount(Wire, frozen=True):
    """A login that was found, and what has become of it. `also_in` are other tools that hold the same one."""

    path: str
    tool: str
    email: str | None
    workspace_id: str | None
    outcome: ImportOutcome
    id: str | None
    why: str | None
    also_in: tuple[str, ...]


class ImportAccountsResponse(Wire, frozen=True):
    """`accountd/accounts/import`: in the order in which they were found."""

    found: tuple[ImportedAccount, ...]


class AccountsDone(Wire, frozen=True):
    """`accountd/accounts/rename` and `remove`, `accountd/pins/write`: it is done."""


class ReadPinsResponse(Wire, frozen=True):
    """`accountd/pins/read`: folders by their real paths, each with the id of the account that it means."""

    pins: dict[str, str]


class WritePinParams(Wire, frozen=True):
    """`accountd/pins/write`: an absolute folder, links resolved, that means an account; null takes it back."""

    folder: str
    account: str | None


class AccountsChanged(Wire, frozen=True):
    """`accountd/accounts/changed`: the list is another one. `id` is the account that it is about, if one is."""

    revision: int
    active_id: str | None
    id: str | None
    reason: Change
