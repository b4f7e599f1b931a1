"""`accountd/status`, ours: how the daemon is, for those who watch it. Nothing secret, and nobody's name.

What is counted starts at nought with the daemon. Times are Unix seconds.
"""

from __future__ import annotations

from typing import Literal

from accountd.counters import LoginKind, RefreshOutcome
from accountd.protocol.account import AccountLoginProgress, AuthMode, ReadStoreResponse, Wire


class CredentialStatus(Wire, frozen=True):
    """What is logged in. `needs_login`: it is refused, so that somebody must log in again.

    `mode` is null where nobody is logged in; `expires_at` for an API key, or a token that does not say.
    `reason` is that of an error, in a word, where nothing is stored or what is cannot be used; where something is,
    `unused_because` has the words. `workspace_error` says why the details of the workspace are not known.
    """

    mode: AuthMode | None
    needs_login: bool
    expires_at: float | None
    reason: str | None = None
    unused_because: str | None = None
    workspace_error: str | None = None


class RefreshStatus(Wire, frozen=True):
    """How the last refresh ended: `adopted` is the tokens of another program that was first."""

    outcome: RefreshOutcome
    at: float
    error: str | None


class StatusCounters(Wire, frozen=True):
    """What was done since the start. `requests_refused` is by JSON-RPC error code, logins are by their kind."""

    connections_accepted: int
    connections_refused: int
    clients_cut: int
    requests_answered: int
    requests_refused: dict[str, int]
    logins_started: dict[LoginKind, int]
    logins_completed: dict[LoginKind, int]
    logins_failed: dict[LoginKind, int]
    logins_cancelled: dict[LoginKind, int]
    refreshes: dict[RefreshOutcome, int]
    tokens_handed_out: int
    notifications_sent: int


class TokenSocketStatus(Wire, frozen=True):
    """The token socket, and what those did who came by it since the start. `connections` are open now.

    `trouble` says why nobody can connect, null if anybody can. Tokens were refused that were too many; refreshes
    were withheld when the one before had just been made, or the client had an older token.
    """

    path: str
    trouble: str | None
    connections: int
    connections_refused: int
    tokens_handed_out: int
    tokens_refused: int
    refreshes_made: int
    refreshes_withheld: int


class OpenTokenSocketParams(Wire, frozen=True):
    """`accountd/tokenSocket/open`. `path` is absolute, in a folder of its own."""

    path: str


class OpenTokenSocketResponse(Wire, frozen=True):
    """How it is now: it has been opened, or `trouble` says why not yet."""

    token_socket: TokenSocketStatus


class CloseTokenSocketResponse(Wire, frozen=True):
    """There is none any more."""


class AgentStatus(Wire, frozen=True):
    """A Codex behind an app-server of ours. `auth_mode` is the login that it has been given, null for none."""

    pid: int
    version: str
    auth_mode: AuthMode | None


class AppServerStatus(Wire, frozen=True):
    """An `accountd app-server`: the sockets that it listens on, none for one of pipes, and the Codex behind it."""

    pid: int
    sockets: tuple[str, ...]
    agents: tuple[AgentStatus, ...]


class ReportAppServerResponse(Wire, frozen=True):
    """`accountd/appServer/report`: `accountd/status` tells of it until the next report, or the connection ends."""


StartedBy = Literal["client", "person", "serviceManager"]
"""Who started a daemon: a client, as it needed one; a service manager; or a person, or another program, by hand."""


class StatusResponse(Wire, frozen=True):
    """`accountd/status`. `connections` are those that are open, this one included.

    `installed_version` is that of the package on the disk, null where it was removed: another one than `version`
    after an upgrade. `holds_only_copy` is that something ends with the daemon, since it is in its memory alone.
    `next_refresh` is when the daemon will refresh the token by itself; null if there is nothing to refresh.
    `trusts_unsafe_paths` is that the environment has it use files that other users may write to.
    `last_refresh` is that of this login, null if there was none since the start. `environment` has the
    variables that decide where tokens go, as they were when the daemon was started. `backend_url` is null where it
    is the usual one. `clock_ahead` is by how many seconds the machine's clock is ahead of those outside, negative
    if it is behind; null where it is right within a minute, and while nobody has told the time. `token_socket` is
    null where there is none. The counters are of all clients, those of the token socket included. `app_servers` are
    those that are connected, as they have reported themselves.
    """

    version: str
    installed_version: str | None
    protocol_version: str
    pid: int
    started_by: StartedBy
    started_at: float
    uptime_seconds: float
    connections: int
    logins: tuple[AccountLoginProgress, ...]
    credential: CredentialStatus
    store: ReadStoreResponse
    holds_only_copy: bool
    trusts_unsafe_paths: bool
    next_refresh: float | None
    last_refresh: RefreshStatus | None
    environment: dict[str, str]
    backend_url: str | None
    clock_ahead: float | None
    counters: StatusCounters
    token_socket: TokenSocketStatus | None = None
    app_servers: tuple[AppServerStatus, ...] = ()
