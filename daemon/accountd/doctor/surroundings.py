"""What the checks look at: an environment, and what several of them ask about it, asked once."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
import trio

from accountd import paths
from accountd.client.blocking import Client
from accountd.client.errors import CallFailed, ClientError, NothingListens
from accountd.client.unix_socket import find_listener
from accountd.codex.user_agent import DEFAULT_ORIGINATOR, render_user_agent
from accountd.config import settings
from accountd.config.env_file import EnvFile, read_env_file
from accountd.config.network import join_network
from accountd.errors import RemoteUnreachable
from accountd.web.answer import HttpAnswer
from accountd.web.http import open_http_client

if TYPE_CHECKING:
    from accountd.config.settings import Config

T = TypeVar("T")

PATIENCE = 4.0
"""Seconds for each answer of the daemon, which has them in its memory."""


class Daemon(msgspec.Struct, frozen=True):
    """What a daemon says, or why it does not. `status` is None of one of an older version.

    `is_absent` is that nothing listens; `trouble` that something does, and is no use.
    """

    is_absent: bool = False
    trouble: str | None = None
    pid: int | None = None
    home: str | None = None
    status: Mapping[str, Any] | None = None


class Probe(msgspec.Struct, frozen=True):
    """A request and what came of it: an answer, or why there is none; and the Unix time halfway."""

    answer: HttpAnswer | RemoteUnreachable
    at: float


class Once(Generic[T]):
    """Something that is found out once, however many ask for it."""

    def __init__(self, find: Callable[[], Awaitable[T]]) -> None:
        self._find = find
        self._lock = trio.Lock()
        self._found: list[T] = []

    async def get(self) -> T:
        """Return it. Whoever is cancelled while finding it out leaves that to the next."""
        async with self._lock:
            if not self._found:
                self._found.append(await self._find())
            return self._found[0]


class Surroundings:
    """An environment. `socket` is the path that the command line names; `request` gets a URL, `ask` a daemon.

    Its paths raise ConfigError where the environment leads to none.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        socket: str | None = None,
        *,
        request: Callable[[str], Awaitable[HttpAnswer]] | None = None,
        ask: Callable[[str], Daemon] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.environ = environ
        self.now = now
        self._socket = socket
        self._request = request or self._get
        self._ask = ask or ask_daemon
        load = partial(settings.load, environ)
        self._config = Once(partial(trio.to_thread.run_sync, load, abandon_on_cancel=True))
        read = partial(read_env_file, environ)
        self._env_file = Once(partial(trio.to_thread.run_sync, read, abandon_on_cancel=True))
        self._daemon = Once(self._ask_daemon)
        self._probes: dict[str, Once[Probe]] = {}

    @property
    def home(self) -> Path:
        """CODEX_HOME."""
        return Path(paths.codex_home(self.environ))

    @property
    def socket(self) -> Path:
        """Where the daemon is to be found."""
        return Path(self._socket or paths.socket_path(self.environ))

    async def env_file(self) -> EnvFile:
        """Read `.env` in CODEX_HOME. Raises ConfigError."""
        return await self._env_file.get()

    async def network_environ(self) -> Mapping[str, str]:
        """Return what decides the way to the network, of `.env` and our settings too. Raises ConfigError."""
        return await trio.to_thread.run_sync(join_network, self.environ, abandon_on_cancel=True)

    async def config(self) -> Config:
        """Read the settings. Raises ConfigError."""
        return await self._config.get()

    async def daemon(self) -> Daemon:
        """Ask the daemon how it is; none is started."""
        return await self._daemon.get()

    async def ask(self, path: str) -> Daemon:
        """Ask whoever listens at another path, as if it were a daemon."""
        return await trio.to_thread.run_sync(partial(self._ask, path), abandon_on_cancel=True)

    async def probe(self, url: str) -> Probe:
        """Send one GET as the daemon would send it, with the proxy and the certificates that are configured."""
        return await self._probes.setdefault(url, Once(partial(self._make_probe, url))).get()

    async def _ask_daemon(self) -> Daemon:
        return await self.ask(os.fspath(self.socket))

    async def _make_probe(self, url: str) -> Probe:
        answer: HttpAnswer | RemoteUnreachable
        before = self.now()
        try:
            answer = await self._request(url)
        except RemoteUnreachable as error:
            answer = error
        return Probe(answer, (before + self.now()) / 2)

    async def _get(self, url: str) -> HttpAnswer:
        config = await self.config()
        user_agent = render_user_agent(config.originator or DEFAULT_ORIGINATOR)
        async with open_http_client(user_agent, await self.network_environ()) as http:
            return await http.request("GET", url)


def ask_daemon(path: str) -> Daemon:
    """Ask whoever listens on a socket. Blocks for some seconds at most."""
    try:
        with Client(path, name="accountd-cli", title="accountd doctor", timeout=PATIENCE, start=False) as client:
            home = client.server.get("codexHome")
            try:
                status = client.call("accountd/status", {}, PATIENCE)
            except CallFailed:
                status = None
    except NothingListens:
        return Daemon(is_absent=True)
    except ClientError as error:
        return Daemon(trouble=str(error), pid=find_listener(path, PATIENCE))
    return Daemon(home=home if isinstance(home, str) else None, status=status, pid=find_listener(path, PATIENCE))
