"""The services as the daemon nests them, with the sandbox for an issuer and a store in memory."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import trio

from accountd.account.reader import AccountReader
from accountd.account.refresh import open_refresher
from accountd.account.routing import Routing
from accountd.account.service import AccountService, open_account
from accountd.account.usage import UsageService
from accountd.audit.log import AuditLog
from accountd.backend.client import Backend
from accountd.config.policy import Policy, PolicyHolder
from accountd.config.settings import DEFAULT_CLIENT_ID
from accountd.counters import Counters
from accountd.hub import Hub, Notification
from accountd.login.admission import Admission
from accountd.login.device_code import DeviceCodeFlow
from accountd.login.manager import LoginManager, open_logins
from accountd.requirements.file import BundleFile
from accountd.requirements.service import RequirementsService, open_requirements, this_machine
from accountd.sandbox import Sandbox, Script
from accountd.server.call import Services
from accountd.storage.base import Provenance
from accountd.storage.memory import MemoryStore
from accountd.web.http import HttpClient
from accountd.web.issuer import Issuer
from fakes.bundles import parse_here
from fakes.sandbox_transport import SandboxTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from accountd.protocol.account import Wire
    from accountd.requirements.service import ReadBundle
    from accountd.storage.base import AuthRecord, AuthStore

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

    def now(self) -> float:
        """See Clock."""
        return self._offset + trio.current_time()

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
    one that follows the logins; `audited` what the audit log has.
    """

    services: Services

    def __init__(self, sandbox: Sandbox, store: AuthStore, clock: TestClock) -> None:
        self.sandbox = sandbox
        self.transport = SandboxTransport(sandbox)
        self.store = store
        self.clock = clock
        self.heard: list[dict[str, Any]] = []
        self.progress: list[dict[str, Any]] = []
        self.audited: list[dict[str, Any]] = []

    def hear(self, notification: Notification) -> None:
        """Take a notification, as a subscription does."""
        message = msgspec.json.decode(notification.payload)
        if message["method"] == "account/login/progress":
            self.progress.append(message["params"])
        else:
            heard = {"method": message["method"]} | message["params"]
            self.heard.append({name: value for name, value in heard.items() if (name, value) != ("reason", None)})

    @property
    def account(self) -> AccountService:
        """The account service."""
        return self.services.account

    @property
    def reader(self) -> AccountReader:
        """What clients are told of the account."""
        return self.services.reader

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
    policy: Policy | None = None,
    issuer: str = ISSUER,
    after: World | None = None,
    read_bundle: ReadBundle | None = None,
) -> AsyncIterator[World]:
    """Give a world, with its clock as the sandbox's; with `after`, another one that has ended, what that left.

    Requirements are asked of the sandbox, which has none, or by `read_bundle`.
    """
    if after is not None:
        world = World(after.sandbox, after.store, after.clock)
    else:
        clock = TestClock()
        world = World(Sandbox(script, now=clock.now), store if store is not None else MemoryStore(), clock)
    clock = world.clock

    async def open_httpx(direct: bool) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=world.transport)

    in_force = PolicyHolder(policy or Policy())
    hub, counters = Hub(), Counters(clock.now)
    audit = AuditLog(lambda line: world.audited.append(msgspec.json.decode(line)), clock.now)
    http = HttpClient("tests", open_httpx)
    asked = Issuer(http, issuer, DEFAULT_CLIENT_ID, f"{issuer}/oauth/token", f"{issuer}/oauth/revoke")
    backend = Backend(http, f"{issuer}/backend-api")
    with hub.subscribe(world.hear):
        async with open_account(world.store, in_force, asked, hub, audit=audit, counters=counters) as account:
            nowhere = Path("/nonexistent")
            service = RequirementsService(
                account,
                read_bundle=read_bundle or backend.read_config_bundle,
                policy=in_force,
                clock=TestClock(),  # whose wake-ups are none of those that tests count
                machine=this_machine(nowhere),
                file=BundleFile(nowhere / "accountd-requirements.json"),
                parse=parse_here,
            )
            admission = Admission(in_force, Provenance(issuer, DEFAULT_CLIENT_ID))
            async with (
                open_refresher(account, clock) as refresher,
                open_requirements(service) as requirements,
                open_logins(
                    account, admission, requirements, hub, clock=clock, audit=audit, counters=counters
                ) as logins,
            ):
                routing = Routing(account, backend, hub)  # which looks nothing up but when it is asked to
                reader = AccountReader(account, refresher, routing, audit)
                usage = UsageService(account, refresher, backend, clock.now)
                world.services = Services(
                    hub, in_force, account, refresher, routing, reader, logins, usage, requirements, asked, counters
                )
                yield world
    await http.aclose()


def stored(store: object) -> AuthRecord | None:
    """Give what a memory store holds."""
    assert isinstance(store, MemoryStore)
    return store.record
