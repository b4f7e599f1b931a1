"""Those who see what happens: in the store, to the tokens of each login, and what is heard of it.

What they have noted is a `History`, and what must be true of every history, whatever was done, is there too. The
model makes its histories by chance, and `tests/cancellation` by a cancellation at each step.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import trio
import trio.lowlevel

from accountd.errors import StorageError
from accountd.login.browser import BrowserFlow
from accountd.login.intent import USUAL, Intent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from accountd.hub import Notification
    from accountd.login.flow import Attempt, Flow, Granted, Retrying
    from accountd.protocol.account import LoginStarted, Wire
    from accountd.secret import Secret
    from accountd.server.call import Services
    from accountd.storage.base import AuthRecord, AuthStore, StoreDescription
    from fakes.world import World

Event = tuple[str, Any]
"""What happened, and to what."""

_STORED = ("save", "delete", "foreign")
"""Events that change what is stored."""


class History:
    """All that is to be known of what happened, in its order; one may span several daemons on one store.

    `told` has the notifications as they were published; `owners` whose a refresh token was at first; `started` the
    logins that their clients heard of; `browser` the addresses of those that have one. Where the disk has failed,
    or an answer of the issuer was lost, a token may be spent that nobody has the successor of.
    """

    def __init__(self) -> None:
        self.log: list[Event] = []
        self.told: list[Notification] = []
        self.owners: dict[Secret, str] = {}
        self.started: list[str] = []
        self.browser: dict[str, str] = {}
        self.reused = 0
        self.disk_failed = False
        self.answers_lost = False
        self._listening = ExitStack()

    def note(self, name: str, what: Any) -> None:
        """Note an event."""
        self.log.append((name, what))

    def watch_issuer(self, world: World) -> None:
        """Count the refresh tokens that are offered although they are spent."""
        state = world.sandbox._state
        find = state.find_refresh_token

        def watched(token: Secret) -> Any:
            found = find(token)
            self.reused += found is not None and found.spent
            return found

        state.find_refresh_token = watched  # type: ignore[method-assign]  # it still does what it did

    def watch_services(self, services: Services) -> None:
        """Note the logins' beginnings and cancellations, and all that is published, to the very end."""
        self._listening.enter_context(services.hub.subscribe(self._hear))  # for good
        start, cancel = services.logins.start, services.logins.cancel

        async def noted_start(flow: Flow[Any], reply: Any, intent: Intent = USUAL) -> None:
            if isinstance(flow, BrowserFlow):
                flow._ports = (0,)  # for there may be many, and other tests beside them

            def noted_reply(started: Wire) -> None:
                self._begin(started)
                reply(started)

            await start(MarkedFlow(flow, self.owners), noted_reply, intent)

        async def noted_cancel(login_id: str) -> bool:
            cancelled = await cancel(login_id)
            self.note("cancelled", (login_id, cancelled))
            return cancelled

        services.logins.start_api_key = self._noting(services.logins.start_api_key, "key answered")  # type: ignore[method-assign]  # it still does what it did
        services.logins.start_external = self._noting(services.logins.start_external, "external answered")  # type: ignore[method-assign]  # it still does what it did
        log_out = services.accounts.active.log_out

        async def noted_logout(announce: Callable[[], None], *, revoke: bool = True) -> None:
            def noted() -> None:
                self.note("logout answered", None)
                announce()

            await log_out(noted, revoke=revoke)

        services.accounts.active.log_out = noted_logout  # type: ignore[method-assign]  # it still does what it did
        services.logins.start = noted_start  # type: ignore[method-assign]  # it still does what it did
        services.logins.cancel = noted_cancel  # type: ignore[method-assign]  # it still does what it did

    def _noting(self, start: Callable[..., Awaitable[None]], name: str) -> Any:
        """Have the reply of a login that is at once done noted."""

        async def noted(*params: Any) -> None:
            *others, reply = params

            def noted_reply(result: Wire) -> None:
                self.note(name, None)
                reply(result)

            await start(*others, noted_reply)

        return noted

    def _begin(self, started: Any) -> None:
        self.note("started", started.login_id)
        self.started.append(started.login_id)
        if hasattr(started, "auth_url"):
            self.browser[started.login_id] = started.auth_url

    def _hear(self, notification: Notification) -> None:
        self.told.append(notification)
        message = msgspec.json.decode(notification.payload)
        self.note(message["method"].rpartition("/")[2], message["params"])

    def count(self) -> Counter[str]:
        """Count what happened, by its name."""
        logins = Counter(
            "success" if each["success"] else "failure" for name, each in self.log if name == "completed"
        )
        return Counter(name for name, _ in self.log) + logins

    # what must be true

    def check(self) -> None:
        """Hold all that must be true at the end, when no daemon is there any more."""
        self.each_login_completes_once_and_truly()
        self.a_success_follows_its_save()
        self.what_is_being_stored_is_seen_through()
        self.answers_follow_their_deeds()
        self.the_newest_wins()
        self.tokens_of_a_client_stay()
        assert not self.reused or self.answers_lost or self.disk_failed, "a refresh token was spent twice"

    def each_login_completes_once_and_truly(self) -> None:
        """One completion for each start; success if and only if its tokens were stored; `canceled` is a promise."""
        saved = self.saved()
        completions = [params for name, params in self.log if name == "completed" and params["loginId"]]
        assert sorted(params["loginId"] for params in completions) == sorted(self.started)
        assert sorted(params["loginId"] for params in completions if params["success"]) == sorted(saved)
        for name, outcome in self.log:
            if name == "cancelled" and outcome[1]:
                assert outcome[0] not in saved

    def saved(self) -> list[str]:
        """Give the logins whose own tokens were stored, once each: a switch of workspaces stores them again."""
        saved = (
            self.owners[record.chatgpt.tokens.refresh_token]
            for name, record in self.log
            if name == "save" and record.chatgpt and record.chatgpt.tokens.refresh_token in self.owners
        )
        return list(dict.fromkeys(saved))

    def a_success_follows_its_save(self) -> None:
        """Nothing is heard of a success before it is stored, and nothing else is stored in between."""
        stored: AuthRecord | None = None
        for name, what in self.log:
            if name in _STORED:
                stored = what
            elif name == "completed" and what["success"] and what["loginId"]:
                assert stored is not None
                assert stored.chatgpt is not None
                assert self.owners.get(stored.chatgpt.tokens.refresh_token) == what["loginId"]

    def what_is_being_stored_is_seen_through(self) -> None:
        """Have a login succeed that has begun to be stored, whatever else ends, if only the disk will have it."""
        committing = {
            params["loginId"] for name, params in self.log if name == "progress" and params["state"] == "committing"
        }
        assert self.disk_failed or committing == set(self.saved())

    def answers_follow_their_deeds(self) -> None:
        """Who is told that a key is stored, or that nothing is, is told so when it has been done."""
        deed = ""
        for name, _ in self.log:
            deed = name if name in _STORED else deed
            assert name != "key answered" or deed == "save"
            assert name != "logout answered" or deed == "delete"

    def the_newest_wins(self) -> None:
        """Have no login succeed that another has followed before it was being stored."""
        waiting: set[str] = set()
        beaten: set[str] = set()
        for name, what in self.log:
            if name == "started":
                beaten |= waiting
                waiting = {what}
            elif name == "progress" and what["state"] == "committing":
                waiting.discard(what["loginId"])
            elif name == "completed" and what["success"]:
                assert what["loginId"] not in beaten

    def tokens_of_a_client_stay(self) -> None:
        """While those are in use, until a logout or the end of the daemon, no other login succeeds."""
        external = False
        for name, what in self.log:
            external = name == "external answered" or (external and name not in ("delete", "restart"))
            succeeds = name == "completed" and what["success"] and what["loginId"]
            assert not (external and (succeeds or name == "key answered")), "the tokens of a client were replaced"

    def stored(self, record: AuthRecord | None) -> AuthRecord | None:
        """Give what is in the store by now, if `record` was there first and nobody else had a hand in it."""
        for name, what in self.log:
            if name in _STORED:
                record = what
        return record


class WatchedStore:
    """Any store, with the history of it. Each change takes several steps, and `pause` seconds before the first.

    That is what a store may need, such as one of a keyring and a file: whoever changes it must see it through. The
    disk is `full` for as long as a test says so.
    """

    def __init__(self, store: AuthStore, history: History, pause: float = 0.0) -> None:
        self.store = store
        self.full = False
        self._history = history
        self._pause = pause

    def describe(self) -> StoreDescription:
        """See AuthStore."""
        return self.store.describe()

    async def rehearse(self) -> None:
        """See AuthStore."""
        await self.store.rehearse()

    async def rehearse_delete(self) -> None:
        """See AuthStore."""
        await self.store.rehearse_delete()

    async def recover(self) -> None:
        """See AuthStore."""
        await self.store.recover()

    async def load(self) -> AuthRecord | None:
        """See AuthStore."""
        return await self.store.load()

    def locked(self) -> AbstractAsyncContextManager[None]:
        """See AuthStore."""
        return self.store.locked()

    async def save(self, record: AuthRecord) -> None:
        """See AuthStore."""
        await self._begin()
        await self.store.save(record)
        self._history.note("save", record)
        await trio.lowlevel.checkpoint()

    async def delete(self) -> None:
        """See AuthStore."""
        await self._begin()
        await self.store.delete()
        self._history.note("delete", None)
        await trio.lowlevel.checkpoint()

    async def _begin(self) -> None:
        await trio.sleep(self._pause)
        if self.full:
            self._history.disk_failed = True
            raise StorageError("No space left on device")


class MarkedFlow:
    """A flow whose tokens are remembered, so that one can tell which login a stored credential is of."""

    def __init__(self, flow: Flow[Any], owners: dict[Secret, str]) -> None:
        self._flow = flow
        self._owners = owners

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Attempt[Any]]:
        """See Flow."""
        async with self._flow.open() as attempt:
            yield MarkedAttempt(attempt, self._owners)


class MarkedAttempt:
    """See MarkedFlow."""

    def __init__(self, attempt: Attempt[Any], owners: dict[Secret, str]) -> None:
        self._attempt = attempt
        self._owners = owners
        self.lifetime = attempt.lifetime
        self.submit_callback = attempt.submit_callback
        self.conclude = attempt.conclude

    def started(self, login_id: str) -> LoginStarted:
        """See Attempt."""
        self._id = login_id
        return self._attempt.started(login_id)

    async def wait_approval(self, retrying: Retrying) -> Any:
        """See Attempt."""
        return await self._attempt.wait_approval(retrying)

    async def exchange(self, approval: Any) -> Granted:
        """See Attempt."""
        granted = await self._attempt.exchange(approval)
        self._owners[granted.tokens.refresh_token] = self._id
        return granted
