"""What is said when the account has changed: which Codex processes go on as the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accountd.cli.terminal import complain

if TYPE_CHECKING:
    from collections.abc import Mapping


def warn_of_foreign_servers(daemon: Mapping[str, Any]) -> None:
    """Name on stderr who has read the login before it changed; `daemon` is what it has said of itself."""
    from accountd.system.foreign_servers import describe_foreign, find_foreign_servers  # when it has changed

    home = daemon.get("codexHome")
    found = find_foreign_servers(home) if isinstance(home, str) else []
    if found:
        who, remedy = describe_foreign(found)
        complain(f"warning: {who} had read the login before, and may go on with that: {remedy}")


def name_foreign_servers(home: str) -> str:
    """Name those of a CODEX_HOME, each with its pid; nothing where there is none."""
    from accountd.system import foreign_servers  # as above

    return "; ".join(f"{each.name}, pid {each.pid}" for each in foreign_servers.find_foreign_servers(home))
