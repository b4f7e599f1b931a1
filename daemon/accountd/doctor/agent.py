"""The programs of Codex beside the daemon: the one that is run, who serves plain `codex`, who has an own login."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from accountd import paths
from accountd.config.agent import read_agent_program
from accountd.doctor.findings import fail, ok, warn
from accountd.errors import AgentUnavailable
from accountd.front.program import HOW_TO_INSTALL, find_program, list_programs
from accountd.system.foreign_servers import describe_foreign, find_foreign_servers

if TYPE_CHECKING:
    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Surroundings


async def check_codex(surroundings: Surroundings) -> Finding:
    """Look for the Codex that `accountd app-server` runs. Whoever wants accounts alone needs none."""
    environ = surroundings.environ
    configured, found = read_agent_program(environ), list_programs(environ)
    is_named = bool(configured or environ.get("ACCOUNTD_CODEX", "").strip())
    if not (is_named or found):
        return ok("there is no codex on PATH; `accountd app-server` has accounts alone")
    try:
        program = await find_program(environ, configured)
    except AgentUnavailable as error:
        trouble = str(error).removesuffix(f"; {HOW_TO_INSTALL}")
        return warn(f"`accountd app-server` has accounts alone: {trouble}", HOW_TO_INSTALL)
    if is_named or len(found) < 2:
        return ok(f"`accountd app-server` runs {program}", path=program.path, version=program.version)
    text = f"`accountd app-server` runs {program}, the first of several on PATH: {', '.join(found)}"
    return warn(text, 'name one in accountd.toml: `codex = "PATH"` below `[agent]`', path=program.path)


async def check_front(surroundings: Surroundings) -> Finding:
    """Ask who listens where plain `codex` looks for a server: nobody, one of ours, Codex's own, one that hangs."""
    place = paths.control_socket(surroundings.environ)
    there = await surroundings.ask(place)
    if there.is_absent:
        return ok("plain `codex` starts a server of its own, with a login of its own", socket=place)
    foreign = await trio.to_thread.run_sync(find_foreign_servers, str(surroundings.home), abandon_on_cancel=True)
    for server in foreign:
        if server.pid == there.pid:
            who, remedy = describe_foreign([server])
            return warn(f"plain `codex` uses {who}, and not the account of the daemon", remedy, socket=place)
    if there.trouble is not None:
        remedy = f"end it with `kill -KILL {there.pid}`" if there.pid else "see `ss -xlp`"
        return fail(f"plain `codex` waits for who listens at {place}: {there.trouble}", remedy, socket=place)
    return ok(f"plain `codex` uses the account of the daemon, by pid {there.pid}", socket=place, pid=str(there.pid))


def check_foreign_servers(surroundings: Surroundings) -> Finding:
    """Look for Codex processes that hold a login of their own in memory."""
    found = find_foreign_servers(str(surroundings.home))
    if not found:
        return ok("no Codex runs with a login of its own")
    who, remedy = describe_foreign(found)
    pids = " ".join(str(server.pid) for server in found)
    return warn(f"after a logout or another login these may go on with the one before: {who}", remedy, pids=pids)
