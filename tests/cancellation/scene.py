"""Where an operation takes place: services on a real folder, nested as the daemon nests them, and what ends them.

everything ── services ── staying ── connections ── accepting
                                        └── caller: the operation
"""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import trio
import trio.testing

from accountd.config.settings import DEFAULT_CLIENT_ID
from accountd.errors import AccountdError
from accountd.framing.detect import DetectedFraming
from accountd.oauth.claims import parse_claims
from accountd.sandbox import Script
from accountd.sandbox.state import Grant
from accountd.server.serve import Server
from accountd.storage.base import Provenance, chatgpt_record
from accountd.storage.file import FileStore
from fakes.client import CONFIG
from fakes.world import ISSUER, open_world
from model.clients import Client
from model.witnesses import History, WatchedStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from accountd.storage.base import AuthRecord
    from cancellation.steps import Blow, Stepper
    from fakes.world import World

SETTLING = 1000.0
"""Seconds after which nothing of an operation is under way any more: a browser may take ten minutes."""

DISTANCE = 0.1
"""Seconds to the issuer: a request may be cancelled before it takes effect there, and after."""

SHUTDOWN_GRACE = 10.0
"""Seconds, as in `daemon.py`."""


class Scene:
    """One daemon, of which only the process is missing. Ada is logged in when it begins, which is `first`."""

    world: World
    server: Server
    acts: trio.Nursery
    first: AuthRecord

    def __init__(self, stepper: Stepper, home: Path) -> None:
        self.home = home
        self.stepper = stepper
        self.history = History()
        self.everything = trio.CancelScope()
        self.staying = trio.CancelScope()
        self.accepting = trio.CancelScope()
        self.caller = trio.CancelScope()
        self.clients: list[Client] = []
        self.callers: list[trio.CancelScope] = []
        self._is_over = trio.Event()
        self.is_serving = True

    @asynccontextmanager
    async def open(self, after: World | None = None) -> AsyncIterator[None]:
        """Open the services; `after` others, on what they left."""
        store = None if after is not None else WatchedStore(FileStore(self.home), self.history)
        async with open_world(Script(approve_after_polls=1), store=store, after=after) as self.world:
            self.world.transport.distance = DISTANCE
            self.history.watch_services(self.world.services)
            if after is None:
                self.history.watch_issuer(self.world)
                await self._log_in()
            yield

    async def _log_in(self) -> None:
        tokens = self.world.sandbox._state.issue_tokens(Grant(DEFAULT_CLIENT_ID), ISSUER)
        self.first = chatgpt_record(
            tokens, parse_claims(tokens.id_token), Provenance(ISSUER, DEFAULT_CLIENT_ID), 0, None
        )
        async with self.world.store.locked():
            await self.world.store.save(self.first)
        await self.world.account.store_watch.reload()
        self.history.log.clear()

    async def live(self, operation: Callable[[Scene], Awaitable[None]], blows: Sequence[Blow]) -> None:
        """Serve one operation, with what happens to it; then be at rest, and end politely."""
        self.server = Server(self.world.services, CONFIG)
        async with trio.open_nursery() as self.acts:
            try:
                with self.staying:
                    async with trio.open_nursery() as self._connections:
                        with self.accepting:
                            await trio.testing.wait_all_tasks_blocked()
                            at_rest = count_tasks()
                            self._connections.start_soon(self._work, operation, blows)
                            await self._is_over.wait()
                            await trio.sleep(SETTLING)
                            self.stepper.disarm()
                            for client in self.clients:
                                client.check(self.history)
                                client.leave()
                            await trio.testing.wait_all_tasks_blocked()
                            self._check_that_nothing_runs(at_rest)
                        await self.world.logins.shut()
                        self.server.drain()
                        self.staying.deadline = trio.current_time() + SHUTDOWN_GRACE
            finally:
                self.is_serving = False

    async def _work(self, operation: Callable[[Scene], Awaitable[None]], blows: Sequence[Blow]) -> None:
        with self.caller:
            self.stepper.arm(blows)
            await self.attempt("operation", operation(self))
        if not self.stepper.struck:
            self.stepper.disarm()  # it was too late for that
        self._is_over.set()

    def _check_that_nothing_runs(self, at_rest: Counter[str]) -> None:
        assert not self.acts.child_tasks, "something that was begun never ends"
        left = count_tasks() - at_rest
        assert not left, f"still running: {left}"
        assert not self.world.logins.under_way()
        assert not self.world.account._changing.locked()
        assert self.world.credential.record == self.history.stored(self.first)

    async def attempt(self, name: str, work: Awaitable[Any]) -> None:
        """Do something that may be refused, and note what came of it."""
        try:
            self.history.note(name, await work)
        except AccountdError as error:
            self.history.note(f"{name} refused", str(error))

    def act(self, name: str, work: Callable[[], Awaitable[Any]]) -> None:
        """Have somebody else do something, from now on; nobody can any more when all connections have ended."""
        if not self.is_serving:
            return

        async def soon() -> None:
            await self.attempt(name, work())

        self.acts.start_soon(soon)

    async def connect(self, *, websocket: bool = False, extension: bool = False) -> Client:
        """Give a client on a new connection, which has said hello. Raises Left."""
        ours, theirs = trio.testing.memory_stream_pair()
        client = Client(ours, websocket=websocket, extension=extension)
        self.clients.append(client)
        self._connections.start_soon(partial(self.server.serve_stream, theirs, DetectedFraming()))
        self.acts.start_soon(client.listen)
        await client.initialize()
        return client

    async def call_together(self, *works: Callable[[], Awaitable[None]]) -> None:
        """Have several callers at once, each with a scope of its own in `callers`."""

        async def call(scope: trio.CancelScope, work: Callable[[], Awaitable[None]]) -> None:
            with scope:
                await work()

        async with trio.open_nursery() as nursery:
            for work in works:
                self.callers.append(trio.CancelScope())
                nursery.start_soon(call, self.callers[-1], work)


def count_tasks() -> Counter[str]:
    """Count the tasks of this run by their names, but for a wake-up that is due some day, or not.

    Nor those of an account that is not active, which lives as long as the daemon.
    """
    tasks: list[trio.lowlevel.Task | None] = [trio.lowlevel.current_root_task()]
    found: Counter[str] = Counter()
    while tasks:
        task = tasks.pop()
        if task is not None and not task.name.endswith("Roster._keep"):
            found[task.name.rpartition(".")[2]] += 1
            tasks += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    del found["_cancel_when"]
    return found
