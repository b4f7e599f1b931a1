"""The messages about sessions and their workspaces: a session is a login, whose person may have several workspaces.

The names are those of the peer's published schema. All of it is experimental there.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from accountd.protocol.account import Wire

WorkspaceKind = Literal["personal", "workspace"]


class AccountSessionsListParams(Wire, frozen=True):
    """`accountSession/list`; asking the backend is what tells the workspaces' names."""

    refresh_workspace_metadata: bool = False


class AccountSessionWorkspace(Wire, frozen=True):
    """A workspace that the session's person has."""

    account_id: str
    name: str | None = None
    image_url: str | None = None
    kind: WorkspaceKind | None = None


class AccountSession(Wire, frozen=True):
    """A login; here there is one at most, and it is the active one. `last_used_at` is in Unix seconds."""

    session_id: str
    email: str | None
    user_id: str | None
    last_used_at: int
    selected_workspace_account_id: str | None
    workspaces: tuple[AccountSessionWorkspace, ...]
    is_active: bool = True
    display_name: str | None = None
    image_url: str | None = None


class AccountSessionsResponse(Wire, frozen=True):
    """`accountSession/list`."""

    active_session_id: str | None = None
    sessions: tuple[AccountSession, ...] = ()


class AccountSessionsSwitchParams(Wire, frozen=True):
    """`accountSession/switch`: the workspace to use of this session; with a browser login, if that needs one."""

    session_id: str
    account_id: str
    allow_browser_login: bool = False


class AccountSessionsSwitchResponse(Wire, frozen=True):
    """`accountSession/switch`: the sessions, as they are now, of which the switched one has the selected workspace.

    Or what the person needs to sign in to it: the address to open, in a browser on this machine. Either pair of
    members is there, and the other is not.
    """

    active_session_id: str | UnsetType | None = UNSET
    sessions: tuple[AccountSession, ...] | UnsetType = UNSET
    login_id: str | UnsetType = UNSET
    auth_url: str | UnsetType = UNSET
