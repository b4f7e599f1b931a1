"""The programs of Codex beside the daemon: who has read the login, and does not hear of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.doctor.findings import ok, warn
from accountd.system.foreign_servers import describe_foreign, find_foreign_servers

if TYPE_CHECKING:
    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Surroundings


def check_foreign_servers(surroundings: Surroundings) -> Finding:
    """Look for Codex processes that hold a login of their own in memory."""
    found = find_foreign_servers(str(surroundings.home))
    if not found:
        return ok("no Codex runs with a login of its own")
    who, remedy = describe_foreign(found)
    pids = " ".join(str(server.pid) for server in found)
    return warn(f"after a logout or another login these may go on with the one before: {who}", remedy, pids=pids)
