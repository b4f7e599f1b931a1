"""A model of the logins' life: whatever is done to them in whatever order, what clients hear is true.

The login manager, the account service and the hub are the real ones, with the sandbox for an issuer and a store
that remembers what was done to it. Several things may be under way at once: an issuer that is slow holds them up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from accountd.config import DEFAULT_CLIENT_ID
from accountd.errors import AccountdError
from accountd.login.browser import BrowserFlow
from accountd.login.device_code import DeviceCodeFlow
from accountd.oauth.tokens import parse_claims
from accountd.protocol.account import BrowserLogin, ExternalTokensLogin
from accountd.sandbox import Claims, Fault, Script
from accountd.sandbox.state import Grant
from accountd.secret import Secret
from accountd.storage.base import Provenance, api_key_record, chatgpt_record
from accountd.storage.memory import MemoryStore
from fakes.world import ISSUER, World, open_world
from model.machine import Machine
from model.witnesses import Event, MarkedFlow, RecordingStore, Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.hub import Notification
    from accountd.login.flow import Flow

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


class Lifecycle(RuleBasedStateMachine):
    """What may happen, and what must be true after each of it and at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Event] = []
        self.told: list[bytes] = []
        self.owners: dict[Secret, str] = {}
        self.started: list[str] = []
        self.browser: dict[str, str] = {}
        self.subscribers: list[Subscriber] = []
        self.reused = 0

    @initialize(polite=st.booleans())
    def begin(self, polite: bool) -> None:
        """Open the world. It ends politely, as at a first signal, or is cancelled at once, as at a second one."""
        self.polite = polite
        self.machine = Machine(self._live)
        self.world: World = self.machine.world

    async def _live(self, task_status: trio.TaskStatus[Any]) -> None:
        async with open_world(store=RecordingStore(self.log)) as world:
            find = world.sandbox._state.find_refresh_token

            def watched(token: Secret) -> Any:
                found = find(token)
                self.reused += found is not None and found.spent
                return found

            world.sandbox._state.find_refresh_token = watched  # type: ignore[method-assign]  # it still does what it did
            # For good: whoever listens to the end hears what ends last, such as a commit that is seen through.
            self.subscription = world.services.hub.subscribe(self._hear)
            self.subscription.__enter__()
            async with trio.open_nursery() as self.nursery:
                task_status.started(world)
                try:
                    await trio.sleep_forever()
                finally:
                    self.machine._clock.rate = 1000.0  # the rest takes the time that it takes
                    if self.polite:
                        with trio.CancelScope(shield=True):
                            await world.logins.shut()

    def _hear(self, notification: Notification) -> None:
        self.told.append(notification.payload)
        message = msgspec.json.decode(notification.payload)
        self.log.append((message["method"].rpartition("/")[2], message["params"]))

    def _do(self, work: Callable[[], Any], name: str) -> None:
        """Begin something that may take its time; a refusal is noted and is no failure."""

        async def attempt() -> None:
            try:
                self.log.append((name, await work()))
            except AccountdError as error:
                self.log.append((f"{name} refused", str(error)))

        async def start() -> None:
            self.nursery.start_soon(attempt)

        self.machine.do(start)

    # what may happen

    @rule(browser=st.booleans())
    def start_a_login(self, browser: bool) -> None:
        """Begin a login with a code or a browser."""
        flow: Flow[Any] = DeviceCodeFlow(self.world.services.issuer)
        if browser:
            flow = BrowserFlow(
                self.world.services.issuer, originator="tests", workspaces=(), wishes=BrowserLogin(), ports=(0,)
            )

        def reply(started: Any) -> None:
            self.log.append(("started", started.login_id))
            self.started.append(started.login_id)
            if browser:
                self.browser[started.login_id] = started.auth_url

        self._do(lambda: self.world.logins.start(MarkedFlow(flow, self.owners), reply), "start")

    @rule()
    def log_in_with_a_key(self) -> None:
        """Log in at once."""
        self._do(lambda: self.world.logins.start_api_key(Secret("sk-model"), lambda _: None), "key")

    @rule(seldom=st.integers(0, 4))
    def supply_tokens(self, seldom: int) -> None:
        """Have a client bring its own, which ends other logins until a logout, and so not often."""
        if seldom:
            return

        async def ask(_: Any) -> Any:
            raise AssertionError("nobody has refused them")

        async def work() -> None:
            tokens = self.world.sandbox._state.issue_tokens(Grant(DEFAULT_CLIENT_ID), ISSUER)
            given = ExternalTokensLogin(tokens.access_token.reveal(), "account-sandbox")
            await self.world.logins.start_external(given, ask, lambda _: None)

        self._do(work, "external")

    @rule(which=st.integers(0, 3))
    def cancel(self, which: int) -> None:
        """Cancel a login: the newest, one that may have ended long ago, or one that never was."""
        login_id = [NOBODY, *self.started][-1 - which % (1 + len(self.started))]

        async def work() -> tuple[str, bool]:
            return login_id, await self.world.logins.cancel(login_id)

        self._do(work, "cancelled")

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
        if not self.browser:
            return
        login_id, url = list(self.browser.items())[-1]
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
                self.cancel(0)
            case "log out":
                self.log_out(revoke=True)
            case "key":
                self.log_in_with_a_key()
            case "another":
                self.start_a_login(browser=False)
            case _:
                self.supply_tokens(seldom=0)
        self.machine.pass_time(0.25)

    @rule(path=st.sampled_from(PATHS), nth=st.integers(1, 2), status=st.sampled_from([0, 400, 401, 429, 500]))
    def break_a_request(self, path: str, nth: int, status: int) -> None:
        """Have one of the next requests fail, or be dropped before it takes effect."""
        state = self.world.sandbox._state
        state.change_script(msgspec.structs.replace(state.script, faults=(Fault(path, nth, status),)))

    @rule(offline=st.booleans())
    def pull_the_plug(self, offline: bool) -> None:
        """Lose the network, or have it back."""
        self.world.transport.offline = offline

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.0, 10.0, 120.0, 1000.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.machine.pass_time(seconds)

    @rule(revoke=st.booleans())
    def log_out(self, revoke: bool) -> None:
        """Log out, as the handlers do."""

        async def work() -> None:
            await self.world.logins.cancel_all()
            await self.world.account.log_out(announce=lambda: None, revoke=revoke)

        self._do(work, "logout")

    @rule()
    def refresh(self) -> None:
        """Refresh on request."""
        self._do(lambda: self.world.services.refresher.ensure_fresh(forced=True), "refresh")

    @rule(kind=st.sampled_from(["chatgpt", "key", "nobody"]))
    def write_from_elsewhere(self, kind: str) -> None:
        """Another program logs in or out, under the store's lock; the daemon notices."""
        store, state = self.world.store, self.world.sandbox._state
        assert isinstance(store, MemoryStore)

        async def work() -> None:
            async with store.locked():
                if kind == "chatgpt":
                    tokens = state.issue_tokens(Grant(DEFAULT_CLIENT_ID), ISSUER)
                    given_by = Provenance(ISSUER, DEFAULT_CLIENT_ID)
                    store.record = chatgpt_record(tokens, parse_claims(tokens.id_token), given_by, 1, None)
                else:
                    store.record = api_key_record(Secret("sk-other")) if kind == "key" else None
                self.log.append(("foreign", store.record))
            await self.world.account.reload()

        self._do(work, "reload")

    @rule()
    def subscribe(self) -> None:
        """Somebody begins to listen."""
        subscriber = Subscriber(len(self.told))

        async def listen() -> None:
            with self.world.services.hub.subscribe(subscriber.hear):
                await subscriber.leaves.wait()

        async def start() -> None:
            self.nursery.start_soon(listen)

        self.machine.do(start)
        self.subscribers.append(subscriber)

    @precondition(lambda self: self.subscribers)
    @rule(which=st.integers(0, 3))
    def unsubscribe(self, which: int) -> None:
        """Somebody goes away."""
        subscriber = self.subscribers[which % len(self.subscribers)]

        async def leave() -> None:
            subscriber.leaves.set()

        self.machine.do(leave)

    # what must be true

    @invariant()
    def at_most_one_login_can_be_cancelled(self) -> None:
        """Hold that the newest wins at once; only one that is being stored may end beside it."""
        if hasattr(self, "machine"):
            listed = self.world.logins.under_way()
            assert sum(login.progress.state != "committing" for login in listed) <= 1

    def teardown(self) -> None:
        """End the daemon, and look at all that happened."""
        if not hasattr(self, "machine"):
            return
        self.machine.stop()
        self.each_login_completes_once_and_truly()
        self.a_completion_of_success_follows_its_save()
        assert self.reused == 0, "a refresh token was spent twice"
        for subscriber in self.subscribers:
            end = subscriber.start + len(subscriber.heard)
            assert subscriber.heard == self.told[subscriber.start : end]

    def each_login_completes_once_and_truly(self) -> None:
        """One completion for each start; success if and only if its tokens were stored; `canceled` is a promise."""
        saved = [
            self.owners[record.chatgpt.tokens.refresh_token]
            for name, record in self.log
            if name == "save" and record.chatgpt and record.chatgpt.tokens.refresh_token in self.owners
        ]
        completions = [params for name, params in self.log if name == "completed" and params["loginId"]]
        assert sorted(params["loginId"] for params in completions) == sorted(self.started)
        assert sorted(params["loginId"] for params in completions if params["success"]) == sorted(saved)
        for name, outcome in self.log:
            if name == "cancelled" and outcome[1]:
                assert outcome[0] not in saved

    def a_completion_of_success_follows_its_save(self) -> None:
        """Nothing is heard of a success before it is stored, and nothing comes between but steps."""
        events = [event for event in self.log if event[0] in ("save", "delete", "foreign", "completed", "updated")]
        for before, (name, params) in zip([("", None), *events], events, strict=False):
            if name == "completed" and params["success"] and params["loginId"]:
                assert before[0] == "save"


TestLifecycle = Lifecycle.TestCase


@pytest.mark.parametrize("how", ["cancel", "log out", "key", "another", "external"])
@pytest.mark.parametrize("quarters", range(2, 12))
def test_a_change_of_mind_at_each_moment(quarters: int, how: str) -> None:
    """A login that is ended while it waits, is exchanged or stored: nothing of it is stored, or it is a success."""
    lifecycle = Lifecycle()
    lifecycle.begin(polite=True)
    lifecycle.change_ones_mind(quarters, how)
    lifecycle.wait(10.0)
    lifecycle.teardown()


@pytest.mark.parametrize("polite", [True, False])
@pytest.mark.parametrize("quarters", range(2, 12))
def test_an_end_of_the_daemon_at_each_moment(quarters: int, polite: bool) -> None:
    """So it is when the daemon ends, at the first signal or the second: what is being stored is seen through."""
    lifecycle = Lifecycle()
    lifecycle.begin(polite=polite)
    lifecycle.approve(fresh=True, slow=True, seconds=quarters / 4)
    lifecycle.teardown()
