"""The services as the daemon nests them, with the sandbox for an issuer and a store in memory."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import trio

from accountd.account import AccountService, open_account
from accountd.adapters.backend import Backend
from accountd.adapters.http import HttpClient
from accountd.adapters.issuer import Issuer
from accountd.config import DEFAULT_CLIENT_ID, Config
from accountd.hub import Hub, Notification
from accountd.login.device_code import DeviceCodeFlow
from accountd.login.manager import LoginManager, open_logins
from accountd.policy import Policy
from accountd.sandbox import Sandbox, Script
from accountd.server.handlers import Services
from accountd.storage.memory import MemoryStore
from fakes.sandbox_transport import SandboxTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from accountd.protocol.account import Wire
    from accountd.storage.base import AuthStore

ISSUER = "http://127.0.0.1"


class World:
    """Everything that a test may want to look at. `heard` has what a client would have heard, in order."""

    def __init__(
        self,
        sandbox: Sandbox,
        transport: SandboxTransport,
        services: Services,
        store: AuthStore,
        heard: list[dict[str, Any]],
    ) -> None:
        self.sandbox = sandbox
        self.transport = transport
        self.services = services
        self.store = store
        self.heard = heard

    @property
    def account(self) -> AccountService:
        """The account service."""
        return self.services.account

    @property
    def logins(self) -> LoginManager:
        """The login manager."""
        return self.services.logins

    def reply(self, result: Wire) -> None:
        """Take a reply, as a connection does."""
        self.heard.append({"reply": msgspec.to_builtins(result)})

    def completions(self) -> list[dict[str, Any]]:
        """Give what was heard of logins' ends."""
        return [heard for heard in self.heard if heard.get("method") == "account/login/completed"]

    async def start_device_login(self) -> str:
        """Begin a device-code login and give its id."""
        replies: list[Any] = []
        await self.logins.start(DeviceCodeFlow(self.services.issuer), replies.append)
        login_id: str = replies[0].login_id
        return login_id

    async def wait_completion(self, login_id: str) -> dict[str, Any]:
        """Wait until a login has completed."""
        while True:
            for completion in self.completions():
                if completion["loginId"] == login_id:
                    return completion
            await trio.sleep(0.1)


@asynccontextmanager
async def open_world(
    script: Script | None = None, *, store: AuthStore | None = None, policy: Policy | None = None
) -> AsyncIterator[World]:
    """Give a world, with its clock as the sandbox's."""
    sandbox = Sandbox(script, now=lambda: 1_800_000_000 + trio.current_time())
    transport = SandboxTransport(sandbox)

    async def open_httpx() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=transport)

    heard: list[dict[str, Any]] = []

    def hear(notification: Notification) -> None:
        message = msgspec.json.decode(notification.payload)
        heard.append({"method": message["method"]} | message["params"])

    hub = Hub()
    http = HttpClient("tests", open_httpx)
    issuer = Issuer(http, ISSUER, DEFAULT_CLIENT_ID, f"{ISSUER}/oauth/revoke")
    backend = Backend(http, f"{ISSUER}/backend-api")
    store = store if store is not None else MemoryStore()
    with hub.subscribe(hear):
        async with (
            open_account(store, policy or Policy(), issuer, backend, hub) as account,
            open_logins(account, hub) as logins,
        ):
            yield World(sandbox, transport, Services(hub, account, logins, issuer), store, heard)
    await http.aclose()


def config_for(home: Path) -> Config:
    """Give the configuration of a connection in a test."""
    return Config(codex_home=home)
