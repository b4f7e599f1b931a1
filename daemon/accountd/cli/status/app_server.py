"""Who serves plain `codex`, and the Codex processes behind `accountd app-server`, as the system tells of them."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from accountd import paths
from accountd.client.unix_socket import find_listener
from accountd.errors import ConfigError
from accountd.files.read import read_file

if TYPE_CHECKING:
    from collections.abc import Mapping


def describe_app_server(home: str) -> list[str]:
    """Say it of a CODEX_HOME; nothing where nobody listens."""
    environ = {**os.environ, "CODEX_HOME": home}
    told = []
    if (pid := find_listener(paths.control_socket(environ))) is not None:
        from accountd.system.foreign_servers import describe_foreign, find_foreign_servers  # mostly nobody listens

        foreign = [server for server in find_foreign_servers(home) if server.pid == pid]
        who, remedy = describe_foreign(foreign)
        told.append(f"{who} serves plain codex: {remedy}" if foreign else f"serves plain codex, pid {pid}")
    with suppress(OSError, ConfigError):  # no folder for sockets is one without an agent
        told += [f"runs Codex, pid {pid}{_describe_memory(pid)}" for pid in _find_agents(environ)]
    return told


def _find_agents(environ: Mapping[str, str]) -> list[int]:
    """List the agents that fronts of a CODEX_HOME share; what its folder is called takes a while to find out."""
    if not any(name.startswith(paths.AGENTS) for name in os.listdir(paths.runtime_folder(environ))):
        return []
    folder = paths.agents_folder(environ)
    agents = [find_listener(os.path.join(folder, name, "s")) for name in sorted(os.listdir(folder))]
    return [pid for pid in agents if pid is not None]


def _describe_memory(pid: int) -> str:
    with suppress(OSError, ValueError, IndexError):  # only Linux tells
        pages = int(read_file(f"/proc/{pid}/statm").split()[1])
        return f", {pages * os.sysconf('SC_PAGE_SIZE') / 1e6:.0f} MB"
    return ""
