"""The command line of the agent: that of the front, with a socket of ours to listen on and no store of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from accountd.codex.command_line import EPHEMERAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NO_STORE: Final = ("-c", EPHEMERAL)
"""Keeps the login in memory. With a store it uses auth.json first, and its `account/logout` deletes that."""

_CREDENTIALS: Final = frozenset({"CODEX_ACCESS_TOKEN", "CODEX_API_KEY", "OPENAI_API_KEY"})
"""Variables that would be a login beside the daemon's."""


def render_command(path: str, before: Sequence[str], after: Sequence[str], socket: str) -> list[str]:
    """Write the command line. `before` and `after` are the flags on both sides of the verb, which are Codex's.

    What is ours comes last, so that it counts.
    """
    return [path, *before, "app-server", *after, *_NO_STORE, "--listen", f"unix://{socket}"]


def render_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the agent's environment: that of the client, without credentials."""
    return {name: value for name, value in environ.items() if name not in _CREDENTIALS}
