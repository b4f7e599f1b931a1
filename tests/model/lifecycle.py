"""A model of the logins' life: whatever is done to them in whatever order, what clients hear is true.

The services and the connections are the real ones, with the sandbox for an issuer and a store that remembers what
was done to it. Several things may be under way at once: an issuer that is slow holds them up. The daemon may end at
any time, and another go on with what it left.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import trio
import trio.testing
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from accountd.config.settings import DEFAULT_CLIENT_ID
from accountd.errors import AccountdError
from accountd.framing.detect import DetectedFraming
from accountd.oauth.claims import parse_claims
from accountd.sandbox import Claims, Fault, Script
from accountd.sandbox.state import Grant
from accountd.secret import Secret
from accountd.server.serve import Server
from accountd.storage.base import Provenance, api_key_record, chatgpt_record
from accountd.storage.memory import MemoryStore
from fakes.client import CONFIG
from fakes.world import ISSUER, World, open_world
from model.clients import Client, Left
from model.machine import Machine
from model.witnesses import History, WatchedStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.oauth.tokens import TokenSet
    from accountd.storage.base import AuthRecord

NOBODY = "00000000-0000-0000-0000-000000000007"
PATHS = ("/api/accounts/deviceauth/usercode", "/api/accounts/deviceauth/token", "/oauth/token", "/oauth/revoke")
DECISIONS = (
    Script(),
    Script(approve_after_polls=0),
    Script(approve_after_polls=0, delay=0.4),
    Script(approve_after_polls=1, claims=Claims(email="grace@example.com", account_id="account-grace")),
    Script(approve_after_polls=0, token_lifetime=400.0),
    Script(deny=True),
    Script(expire=True),
    Script(disabled=True),
)
GRACE = 10.0
"""Seconds that connections get when the daemon ends politely, as in `daemon.py`."""

done: Counter[str] = Counter()
"""What all the histories of this process have had; `make soak` says it at the end."""


class Lifecycle(RuleBasedStateMachine):
    """What may happen, and what must be true after each of it and at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self.clients: list[Client] = []

    @initialize(polite=st.booleans())
    def begin(self, polite: bool) -> None:
        """Open the world. It ends politely, as at a first signal, or everything is cancelled at once."""
        self.polite = polite
        self.machine = Machine(self._live)

    async def _live(self, task_status: trio.TaskStatus[Any]) -> None:
        """Have one daemon after another, until everything is cancelled."""
        self.store = WatchedStore(MemoryStore(), self.history, 0.6)
        before: World | None = None
        async with trio.open_nursery() as self.nursery:
            while True:
                self.signal, self.staying, self.up = trio.Event(), trio.CancelScope(), False
                async with open_world(store=self.store, after=before) as self.world:
                    self.history.watch_services(self.world.services)
                    if before is None:
                        self.history.watch_issuer(self.world)
                        task_status.started()
                    before = self.world
                    await self._serve()

    async def _serve(self) -> None:
        """Serve until the signal, and end as the daemon does."""
        self.server = Server(self.world.services, CONFIG)
        with self.staying:
            async with trio.open_nursery() as self.connections:
                self.up = True
                try:
                    await self.signal.wait()
                finally:
                    if not self.signal.is_set():  # everything ends: the rest takes the time that it takes
                        self.machine._clock.rate = 1000.0
                await self.world.logins.shut()
                self.server.drain()
                self.staying.deadline = trio.current_time() + GRACE

    def _do(self, work: Callable[[], Any], name: str) -> None:
        """Begin something that may take its time; a refusal is noted and is no failure."""

        async def attempt() -> None:
            try:
                self.history.note(name, await work())
            except AccountdError as error:
                self.history.note(f"{name} refused", str(error))

        async def start() -> None:
            self.nursery.start_soon(attempt)

        self.machine.do(start)

    def _pick(self, who: int) -> Client:
        """Give a client that is connected."""
        here = [client for client in self.clients if not client.is_gone]
        if not here:
            self.connect(websocket=who == 1, extension=who == 2)
            here = self.clients[-1:]
        return here[who % len(here)]

    def _ask(self, who: int, method: str, params: object = None, *, leaves: bool = False) -> None:
        """Have a client ask, and leave at once or wait for its answer."""
        client = self._pick(who)

        async def ask() -> None:
            with suppress(Left):
                if leaves:
                    await client.send(method, params)
                    client.leave(half=who == 3)
                else:
                    answer = await client.ask(method, params)
                    self.history.note("answer", (method, params, answer))

        async def start() -> None:
            self.nursery.start_soon(ask)

        self.machine.do(start)

    # what may happen

    @rule(websocket=st.booleans(), extension=st.booleans())
    def connect(self, websocket: bool, extension: bool) -> None:
        """Somebody connects, and says hello."""
        ours, theirs = trio.testing.memory_stream_pair()
        client = Client(ours, websocket=websocket, extension=extension)
        self.clients.append(client)

        async def start() -> None:
            self.connections.start_soon(partial(self.server.serve_stream, theirs, DetectedFraming()))
            self.nursery.start_soon(client.listen)
            await client.initialize()

        self.machine.do(start)

    @rule(who=st.integers(0, 3), half=st.booleans())
    def disconnect(self, who: int, half: bool) -> None:
        """Somebody goes away, or sends no more."""
        client = self._pick(who)

        async def leave() -> None:
            client.leave(half=half)

        self.machine.do(leave)

    @rule(who=st.integers(0, 3), browser=st.booleans(), leaves=st.booleans())
    def start_a_login(self, browser: bool, who: int = 0, leaves: bool = False) -> None:
        """Begin a login with a code or a browser."""
        self._ask(
            who, "account/login/start", {"type": "chatgpt" if browser else "chatgptDeviceCode"}, leaves=leaves
        )

    @rule(who=st.integers(0, 3), leaves=st.booleans())
    def log_in_with_a_key(self, who: int = 0, leaves: bool = False) -> None:
        """Log in at once."""
        self._ask(who, "account/login/start", {"type": "apiKey", "apiKey": "sk-1"}, leaves=leaves)

    @rule(seldom=st.integers(0, 4), who=st.integers(0, 3))
    def supply_tokens(self, seldom: int, who: int = 0) -> None:
        """Have a client bring its own, which ends other logins until a logout, and so not often."""
        if seldom:
            return

        async def issue() -> TokenSet:
            return self.world.sandbox._state.issue_tokens(Grant(DEFAULT_CLIENT_ID), ISSUER)

        tokens = self.machine.do(issue)
        given = {"accessToken": tokens.access_token.reveal(), "chatgptAccountId": "account-sandbox"}
        self._ask(who, "account/login/start", {"type": "chatgptAuthTokens", **given})

    @rule(who=st.integers(0, 3), which=st.integers(0, 4))
    def cancel(self, which: int, who: int = 0) -> None:
        """Cancel a login: the newest, one that has ended long ago, one that never was, or what is no id at all."""
        ids = ["not an id", NOBODY, *self.history.started]
        self._ask(who, "account/login/cancel", {"loginId": ids[-1 - which % len(ids)]})

    @rule(script=st.sampled_from(DECISIONS))
    def decide(self, script: Script) -> None:
        """Have the person, and the issuer, behave otherwise from now on."""
        self.world.sandbox._state.change_script(script)

    @rule(fresh=st.booleans(), slow=st.booleans(), seconds=st.sampled_from([1.0, 1.25, 1.5, 1.75, 2.0, 3.0]))
    def approve(self, fresh: bool, slow: bool, seconds: float) -> None:
        """Approve what waits for a code, or a new login, and let it come as far as it comes in this time."""
        self.world.transport.offline = False
        if fresh:
            self.decide(Script())
            self.start_a_login(browser=False)
        self.world.sandbox._state.change_script(Script(approve_after_polls=0, delay=0.4 if slow else 0.0))
        self.machine.pass_time(seconds)

    @rule(fresh=st.booleans(), right=st.booleans())
    def come_back_with_a_browser(self, fresh: bool, right: bool) -> None:
        """Answer the newest browser login, or a new one, with its own state or with another's."""
        if fresh:
            self.start_a_login(browser=True)
        if not self.history.browser:
            return
        login_id, url = list(self.history.browser.items())[-1]
        query = dict(pair.split("=", 1) for pair in url.partition("?")[2].split("&"))
        redirect = query["redirect_uri"].replace("%3A", ":").replace("%2F", "/")

        async def work() -> None:
            state = self.world.sandbox._state
            code = state.issue_code(query["client_id"], redirect, query["code_challenge"])
            answer = f"{redirect}?code={code.reveal()}&state={query['state'] if right else 'another'}"
            self.world.logins.submit_callback(login_id, answer)

        self._do(work, "callback")

    @rule(quarters=st.integers(3, 11), how=st.sampled_from(["cancel", "log out", "key", "another", "external"]))
    def change_ones_mind(self, quarters: int, how: str) -> None:
        """Approve a new login, and end it in the middle: while it is asked for, exchanged or stored."""
        self.approve(fresh=True, slow=True, seconds=quarters / 4)
        match how:
            case "cancel":
                self.cancel(0, who=1)
            case "log out":
                self.log_out(revoke=True, who=1)
            case "key":
                self.log_in_with_a_key(who=1)
            case "another":
                self.start_a_login(browser=False, who=1)
            case _:
                self.supply_tokens(seldom=0, who=1)
        self.machine.pass_time(0.25)

    @rule(
        path=st.sampled_from(PATHS),
        nth=st.integers(1, 2),
        status=st.sampled_from([0, 200, 400, 401, 403, 429, 500]),
        body=st.sampled_from([msgspec.UNSET, "{", {}]),
        after=st.booleans(),
    )
    def break_a_request(self, path: str, nth: int, status: int, body: Any, after: bool) -> None:
        """Have one of the next requests fail, or be dropped, before it takes effect or after."""
        state = self.world.sandbox._state
        faults = (Fault(path, nth, status, body, after),)
        state.change_script(msgspec.structs.replace(state.script, faults=faults))
        self.history.answers_lost |= after

    @rule()
    def hang(self) -> None:
        """Have the issuer answer nobody any more in a time in which anybody waits."""
        state = self.world.sandbox._state
        state.change_script(msgspec.structs.replace(state.script, delay=100.0))

    @rule(offline=st.booleans())
    def pull_the_plug(self, offline: bool) -> None:
        """Lose the network, or have it back."""
        self.world.transport.offline = offline

    @rule(full=st.booleans())
    def fill_the_disk(self, full: bool) -> None:
        """Have no room on the disk, or room again."""
        self.store.full = full

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.0, 10.0, 120.0, 1000.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.machine.pass_time(seconds)

    @rule(who=st.integers(0, 3), revoke=st.booleans(), leaves=st.booleans())
    def log_out(self, revoke: bool, who: int = 0, leaves: bool = False) -> None:
        """Log out, here and at the issuer, or here alone, which takes a client that knows our extension."""
        self._ask(who, "account/logout" if revoke else "account/forget", leaves=leaves)

    @rule(who=st.integers(0, 3), leaves=st.booleans())
    def refresh(self, who: int, leaves: bool) -> None:
        """Refresh on request."""
        self._ask(who, "account/read", {"refreshToken": True}, leaves=leaves)

    @rule(kind=st.sampled_from(["chatgpt", "key", "nobody"]))
    def write_from_elsewhere(self, kind: str) -> None:
        """Another program logs in or out, under the store's lock; the daemon notices."""
        store, state = self.store.store, self.world.sandbox._state
        assert isinstance(store, MemoryStore)

        async def work() -> None:
            async with store.locked():
                record: AuthRecord | None = None
                if kind == "chatgpt":
                    tokens = state.issue_tokens(Grant(DEFAULT_CLIENT_ID), ISSUER)
                    given_by = Provenance(ISSUER, DEFAULT_CLIENT_ID)
                    record = chatgpt_record(tokens, parse_claims(tokens.id_token), given_by, 1, None)
                elif kind == "key":
                    record = api_key_record(Secret("sk-2"))
                store.record = record
                self.history.note("foreign", record)
            await self.world.account.store_watch.reload()

        self._do(work, "reload")

    @rule(polite=st.booleans(), seldom=st.integers(0, 2))
    def start_the_daemon_again(self, polite: bool, seldom: int) -> None:
        """End the daemon, at a first signal or a second, and have another go on with what it leaves."""
        if seldom:
            return
        self.every_client_has_heard_all()

        async def stop() -> None:
            self.up = False
            self.signal.set()
            if not polite:
                self.staying.cancel()

        self.machine.do(stop)
        self._wait_until_it_is_up()
        self.history.note("restart", None)
        assert isinstance(self.store.store, MemoryStore)
        assert self.world.credential.current == self.store.store.record
        assert all(client.is_gone for client in self.clients)

    def _wait_until_it_is_up(self) -> None:
        for _ in range(400):
            if self.up:
                return
            self.machine.pass_time(0.5)
        raise AssertionError("the daemon does not end")

    # what must be true

    @invariant()
    def at_most_one_login_can_be_cancelled(self) -> None:
        """Hold that the newest wins at once; only one that is being stored may end beside it."""
        if hasattr(self, "machine"):
            listed = self.world.logins.under_way()
            assert sum(login.progress.state != "committing" for login in listed) <= 1

    def every_client_has_heard_all(self) -> None:
        """Hold that all hear the same, in the same order, and that who is still here has heard it to the end."""
        for client in self.clients:
            client.check(self.history)

    def teardown(self) -> None:
        """End the daemon, and look at all that happened."""
        if not hasattr(self, "machine"):
            return
        self.every_client_has_heard_all()
        if self.polite:
            self.start_the_daemon_again(polite=True, seldom=0)
        self.machine.stop()
        self.every_client_has_heard_all()
        self.history.check()
        self.a_cancellation_that_was_told_is_a_promise()
        done.update(self.history.count())

    def a_cancellation_that_was_told_is_a_promise(self) -> None:
        """Hold that what a client was told is true; a wrong id is answered with that, and costs nothing."""
        saved = self.history.saved()
        for name, what in self.history.log:
            if name == "answer" and what[0] == "account/login/cancel":
                _, params, answer = what
                if params["loginId"] == "not an id":
                    assert answer["error"]["code"] == -32600
                elif answer["result"]["status"] == "canceled":
                    assert params["loginId"] in self.history.started
                    assert params["loginId"] not in saved
