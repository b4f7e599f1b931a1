"""What all clients of a front share: the agent and its feed, and the way to the daemon."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio

from accountd import paths
from accountd.client.opening import open_stream as open_daemon_stream
from accountd.errors import AgentUnavailable
from accountd.front.child import open_stream
from accountd.front.program import Program, find_program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from accountd.front.agent import Agent
    from accountd.front.child import Child
    from accountd.front.feed import Feed
    from accountd.front.launch import Launch
    from accountd.front.remote_account import RemoteAccount
    from accountd.front.report import Report

_VERSION_TIMEOUT: Final = 2.0
"""Seconds for the agent's program to say its version, before a client is told that of the protocol."""

_CHOOSE_PROVIDER: Final = ("--oss", "--profile", "-p", "--local-provider")
"""Flags that may give an agent a model provider that is not the one of the configuration; `-c` may, too."""


class Sides:
    """The two sides of every client's router. `start`: a daemon is started where none listens at `path`.

    With `remote` there is that in place of a daemon; with `account` that is meant, whichever is active.
    """

    def __init__(
        self,
        path: Path,
        agent: Agent,
        feed: Feed,
        report: Report,
        launch: Launch,
        *,
        start: bool,
        remote: RemoteAccount | None = None,
        account: str | None = None,
    ) -> None:
        self.remote = remote
        self.agent = agent
        self.feed = feed
        self.report = report
        self._path = path
        self._launch = launch
        self._start = start
        self._account = account
        self._program: Program | None = None
        self._is_program_known = trio.Event()
        flags = (*launch.before, *launch.after)
        self._chooses_provider = any(
            flag.startswith(_CHOOSE_PROVIDER) or "model_provider" in flag for flag in flags
        )

    @property
    def environ(self) -> Mapping[str, str]:
        """The agent's environment, but for what is taken from it."""
        return self._launch.environ

    @property
    def codex_home(self) -> str:
        """The agent's CODEX_HOME."""
        return paths.codex_home(self.environ)

    async def look_for_program(self) -> None:
        """Find the agent's program, and its version, before anybody needs it."""
        with suppress(AgentUnavailable):  # told to those who need an agent
            self._program = await find_program(self._launch.environ, self._launch.configured)
        self._is_program_known.set()

    async def agent_version(self) -> str | None:
        """Give the version of the agent; None if there is none, or it is not known soon."""
        if self.agent.child is not None:
            return self.agent.child.version
        with trio.move_on_after(_VERSION_TIMEOUT):
            await self._is_program_known.wait()
        return self._program.version if self._program is not None else None

    async def requires_openai_auth(self) -> bool:
        """Return False if the agent's model provider needs no login, as far as that can be known."""
        if self.agent.child is None and self._chooses_provider:
            try:
                await self.agent.wait_ready()
            except AgentUnavailable:
                return True
        return self.agent.child is None or self.agent.child.requires_openai_auth

    async def open_agent(self) -> tuple[Child, trio.abc.Stream]:
        """Connect to the agent, started if there is none that will last. Raises AgentUnavailable."""
        child = await self.agent.wait_ready()
        try:
            await self.agent.require_lasting(child)
        except AgentUnavailable:
            child = await self.agent.wait_ready()
        return child, await open_stream(child.socket)

    async def open_daemon(self) -> trio.abc.Stream:
        """Connect to the daemon, started if there is none. Raises ClientError."""
        return await open_daemon_stream(self._path, self._start, account=self._account)
