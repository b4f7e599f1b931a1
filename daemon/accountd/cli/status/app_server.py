"""The app-servers beside a daemon, and the Codex processes behind them.

Those that are connected have said what they are. Others are found as the system tells of them: whoever serves plain
`codex`, and an agent whose app-server is gone, or has the account of another machine.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from accountd import paths
from accountd.client.unix_socket import find_listener
from accountd.errors import ConfigError
from accountd.files.read import read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LOGINS = {"chatgpt": "logged in with ChatGPT", "apikey": "logged in with an API key", None: "not logged in"}


class Agent(NamedTuple):
    """A Codex behind an app-server; `version` is None, and `mode` not known, for one that nobody has told of."""

    pid: int
    version: str | None = None
    mode: str | None = None

    def __str__(self) -> str:
        words = [f"Codex {self.version}" if self.version else "Codex", f"pid {self.pid}"]
        memory = _read_memory(self.pid)
        words += [f"{memory / 1e6:.0f} MB"] if memory is not None else []
        words += [_LOGINS.get(self.mode, f"logged in by {self.mode}")] if self.version else []
        return ", ".join(words)

    def as_json(self) -> dict[str, object]:
        """Write it for programs; its memory is in bytes, null where the system does not tell."""
        facts = {"pid": self.pid, "version": self.version, "authMode": self.mode}
        return {**facts, "memory": _read_memory(self.pid)}


class AppServer(NamedTuple):
    """One of them. `foreign` says which of Codex's own it is, and what to do; `pid` is None if it is not known."""

    pid: int | None
    sockets: tuple[str, ...] = ()
    agents: tuple[Agent, ...] = ()
    foreign: str | None = None

    def describe(self) -> list[str]:
        """Say it, in a line and one for each Codex."""
        if self.foreign is not None:
            return [self.foreign]
        if self.pid is None:
            return [f"{agent}, of an app-server that is not connected" for agent in self.agents]
        places = ", ".join(self.sockets) or "for the program that has started it"
        return [f"pid {self.pid}, {places}", *(f"runs {agent}" for agent in self.agents)]

    def as_json(self) -> dict[str, object]:
        """Write it for programs."""
        facts = {"pid": self.pid, "sockets": self.sockets, "foreign": self.foreign}
        return {**facts, "agents": [agent.as_json() for agent in self.agents]}


def find_app_servers(home: str, connected: Iterable[Mapping[str, Any]]) -> list[AppServer]:
    """Find those of a CODEX_HOME. `connected` are those of `accountd/status`."""
    environ = {**os.environ, "CODEX_HOME": home}
    found = [
        AppServer(
            each["pid"],
            tuple(each["sockets"]),
            tuple(Agent(agent["pid"], agent["version"], agent["authMode"]) for agent in each["agents"]),
        )
        for each in connected
    ]
    control = paths.control_socket(environ)
    pid = find_listener(control)
    if pid is not None and pid not in [server.pid for server in found]:
        found.append(AppServer(pid, (control,), foreign=_describe_foreign(home, pid)))
    known = [agent.pid for server in found for agent in server.agents]
    with suppress(OSError, ConfigError):  # no folder for sockets is one without an agent
        found += [AppServer(None, agents=(Agent(pid),)) for pid in _find_agents(environ) if pid not in known]
    return found


def _describe_foreign(home: str, pid: int) -> str | None:
    from accountd.system.foreign_servers import describe_foreign, find_foreign_servers  # mostly nobody listens

    foreign = [server for server in find_foreign_servers(home) if server.pid == pid]
    who, remedy = describe_foreign(foreign)
    return f"{who} serves plain codex: {remedy}" if foreign else None


def _find_agents(environ: Mapping[str, str]) -> list[int]:
    """List the agents that app-servers share; what their folder is called takes a while to find out."""
    if not any(name.startswith(paths.AGENTS) for name in os.listdir(paths.runtime_folder(environ))):
        return []
    folder = paths.agents_folder(environ)
    agents = [find_listener(os.path.join(folder, name, "s")) for name in sorted(os.listdir(folder))]
    return [pid for pid in agents if pid is not None]


def _read_memory(pid: int) -> int | None:
    with suppress(OSError, ValueError, IndexError):  # only Linux tells
        return int(read_file(f"/proc/{pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return None
