"""The services as the daemon nests them, with the sandbox for an issuer and a store in memory."""

from __future__ import annotations

from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import trio

from accountd.audit.log import AuditLog
from accountd.config.policy import Policy, PolicyHolder
from accountd.config.settings import Config
from accountd.login.device_code import DeviceCodeFlow
from accountd.requirements.layers import NO_REQUIREMENTS
from accountd.sandbox import Sandbox, Script
from accountd.services import open_services
from accountd.storage.memory import MemoryStore
from accountd.storage.vault import MemoryVault
from accountd.web.http import HttpClient, Way
from fakes.bundles import parse_here
from fakes.sandbox_transport import SandboxTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from accountd.account.account import Account
    from accountd.account.credential import Credential
    from accountd.account.reader import AccountReader
    from accountd.account.refresh import Refresher
    from accountd.hub import Notification
    from accountd.login.manager import LoginManager
    from accountd.protocol.account import Wire
    from accountd.requirements.layers import Layer
    from accountd.server.call import Services
    from accountd.storage.base import AuthRecord, AuthStore
    from accountd.storage.vault import Vault
    from fakes.sandbox_transport import Answer

ISSUER = "http://127.0.0.1"

APPROVED = Script(approve_after_polls=2)
"""A person who takes a moment, and approves."""


class TestClock:
    """A time of day that goes with trio's clock, until it is set or the machine sleeps."""

    __test__ = False

    def __init__(self) -> None:
        self._offset = 1_800_000_000.0 - trio.current_time()
        self._set = trio.Event()
        self.sleeps = 0
        self.told_ahead: float | None = 0.0

    def now(self) -> float:
        """See Clock."""
        return self._offset + trio.current_time()

    def ahead(self) -> float | None:
        """See Clock. A test says how much."""
        return self.told_ahead

    async def sleep_until(self, moment: float) -> None:
        """See Clock."""
        self.sleeps += 1
        with trio.move_on_after(max(0.0, moment - self.now())):
            await self._set.wait()

    def jump(self, seconds: float) -> None:
        """Set the clock; or let the machine sleep for so long, which is the same to those who sleep by it."""
        self._offset += seconds
        self._set.set()
        self._set = trio.Event()


class World:
    """Everything that a test may want to look at.

    `heard` has what a client would have heard, in order, without a `reason` that is null; `progress` what besides
    one that follows the logins, `changes` one that follows the list of accounts; `audited` what the audit log has.
    """

    services: Services

    def __init__(
        self,
        sandbox: Sandbox,
        store: AuthStore,
        vault: Vault,
        clock: TestClock,
        answer_for: Mapping[str, Answer],
    ) -> None:
        self.sandbox = sandbox
        self.transport = SandboxTransport(sandbox, answer_for)
        self.store = store
        self.vault = vault
        self.clock = clock
        self.heard: list[dict[str, Any]] = []
        self.progress: list[dict[str, Any]] = []
        self.changes: list[dict[str, Any]] = []
        self.audited: list[dict[str, Any]] = []

    def hear(self, notification: Notification) -> None:
        """Take a notification, as a subscription does."""
        message = msgspec.json.decode(notification.payload)
        if message["method"] == "account/login/progress":
            self.progress.append(message["params"])
        elif message["method"] == "accountd/accounts/changed":
            self.changes.append(message["params"])
        else:
            heard = {"method": message["method"]} | message["params"]
            self.heard.append({name: value for name, value in heard.items() if (name, value) != ("reason", None)})

    @property
    def account(self) -> Account:
        """The account."""
        return self.services.accounts.active

    @property
    def credential(self) -> Credential:
        """What is known of it."""
        return self.account.credential

    @property
    def refresher(self) -> Refresher:
        """When it is refreshed."""
        return self.account.refresher

    @property
    def reader(self) -> AccountReader:
        """What clients are told of it."""
        return self.account.reader

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
        """Wait until a login has completed; for an hour at most, which none takes."""
        with trio.fail_after(3600):
            while True:
                for completion in self.completions():
                    if completion["loginId"] == login_id:
                        return completion
                await trio.sleep(0.1)


@asynccontextmanager
async def open_world(
    script: Script | None = None,
    *,
    store: AuthStore | None = None,
    vault: Vault | None = None,
    policy: Policy | None = None,
    issuer: str = ISSUER,
    after: World | None = None,
    answer_for: Mapping[str, Answer] | None = None,
    home: Path = Path("/nonexistent"),
    system: Layer = NO_REQUIREMENTS,
) -> AsyncIterator[World]:
    """Give a world, with its clock as the sandbox's; with `after`, another one that has ended, what that left.

    What is asked of a path in `answer_for` is answered by that, and not by the sandbox. Workspaces are looked up
    when they are asked for, and not ahead of time.
    """
    if after is not None:
        world = World(after.sandbox, store or after.store, vault or after.vault, after.clock, answer_for or {})
    else:
        clock = TestClock()
        sandbox = Sandbox(script, now=clock.now)
        world = World(sandbox, store or MemoryStore(), vault or MemoryVault(), clock, answer_for or {})
    clock = world.clock

    async def open_httpx(_way: Way) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=world.transport)

    config = Config(
        codex_home=home,
        issuer=issuer,
        refresh_url=f"{issuer}/oauth/token",
        revoke_url=f"{issuer}/oauth/revoke",
        backend=f"{issuer}/backend-api",
    )
    http = HttpClient("tests", open_httpx)
    with ExitStack() as listening:
        async with open_services(
            config,
            PolicyHolder(policy or Policy()),
            system,
            clock=clock,
            http=http,
            store=world.store,
            vault=world.vault,
            audit=AuditLog(lambda line: world.audited.append(msgspec.json.decode(line)), clock.now),
            environ={},
            parse_bundle=parse_here,
        ) as world.services:
            listening.enter_context(world.services.hub.subscribe(world.hear))  # also to what is said at the end
            yield world
    await http.aclose()


def stored(store: object) -> AuthRecord | None:
    """Give what a memory store holds."""
    assert isinstance(store, MemoryStore)
    return store.record
