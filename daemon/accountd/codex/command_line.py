"""What a Codex process is, by the words that it was started with: whether it has a login of its own.

A process that runs an app-server, be it for others or for itself, reads the login once, from where it is stored. It
goes on with that when another account has been logged in, and when the login has been deleted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Role = Literal["daemon", "app-server", "exec", "terminal"]
"""Codex's shared daemon · an app-server of one client · a run without a person · a person's terminal, which has an
app-server of its own unless it finds the shared one."""

_PROGRAM: Final = re.compile(r"codex(-(app-server|exec|tui))?(-(x86_64|aarch64)-.*)?")
"""Not codex-linux-sandbox and the like, by which name Codex starts itself for what needs no login."""

_TAKES_VALUE: Final = frozenset(
    {"-c", "--config", "-m", "--model", "-p", "--profile", "-C", "--cd", "-s", "--sandbox", "-a", "-i", "--image"}
    | {"--ask-for-approval", "--enable", "--disable", "--add-dir", "--local-provider", "--listen"}
)
_SERVES: Final[dict[str, Role]] = {
    "app-server": "app-server",
    "mcp-server": "app-server",
    "exec": "exec",
    "e": "exec",
    "review": "exec",
    "resume": "terminal",
    "fork": "terminal",
}
_SERVES_NOT: Final = frozenset(
    {"a", "app", "apply", "archive", "cloud", "completion", "debug", "delete", "doctor", "exec-server", "features"}
    | {"help", "login", "logout", "marketplace", "mcp", "migrate-nfs-db", "migrate-rollouts", "plugin", "queue"}
    | {"remote-control", "responses-api-proxy", "sandbox", "stdio-to-uds", "unarchive", "update"}
)
_APP_SERVER_TOOLS: Final = frozenset({"daemon", "proxy", "generate-ts", "generate-json-schema", "help"})
_NO_LOGIN: Final = frozenset({"--remote", "--version", "-V", "--help", "-h", "--print-startup-config"})

EPHEMERAL: Final = 'cli_auth_credentials_store="ephemeral"'
"""The setting of a server whose login is in its memory alone: it has what it was given."""

OWN_SERVER: Final = "--no-daemon"


def find_role(words: Sequence[str]) -> Role | None:
    """Say what a process is whose words these are, its program first; None if it has no login that was stored."""
    program = _PROGRAM.fullmatch(words[0].rpartition("/")[2]) if words else None
    flags = {word.partition("=")[0] for word in words[1:]}
    if program is None or EPHEMERAL in words or flags & _NO_LOGIN:
        return None
    verbs = [*([program[2]] if program[2] in _SERVES else []), *_find_positional(words[1:])]
    if not verbs:
        return "terminal"
    is_tool = verbs[0] == "app-server" and not _APP_SERVER_TOOLS.isdisjoint(verbs[1:2])
    if is_tool or verbs[0] in _SERVES_NOT:
        return None
    role = _SERVES.get(verbs[0], "terminal")  # else it is what a person has asked for
    return "daemon" if role == "app-server" and "--managed-daemon" in flags else role


def _find_positional(words: Sequence[str]) -> Iterator[str]:
    before = ""
    for word in words:
        if not word.startswith("-") and before not in _TAKES_VALUE:
            yield word
        before = word
