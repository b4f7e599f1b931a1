"""The agent: a stock `codex app-server` that is started when a client first needs it, and what it is told by us.

**Before it is used.** A child that has come up is not ready: it is asked for its store, which has to be none,
and it is given the login that the daemon has. Only then a client's connection to it is opened. So no request of
a client ever reaches a child that has another login, or none.

**When it ends.** Whoever has a connection finds out by that. The next one who needs an agent has another one
started, after a pause that grows for as long as children end soon after they have started. One that was told to end
goes on with the turns that it has, for a minute at most, and begins no others: so each new client's connection is
preceded by a look whether it still does, and beside one that does not, there is another.
"""

from __future__ import annotations

import logging
import math
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

import trio
import trio.lowlevel

from accountd.errors import AgentSilent, AgentUnavailable
from accountd.front.process import signal_session, stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from accountd.front.child import Child

RETRY_DELAYS: Final = (0.1, 30.0)
"""Seconds after a failure in which no other start is tried: at first, and after twice as long each time."""

SHORT_PAUSE: Final = 2.0
"""Seconds of such a pause that are waited for. In a longer one whoever needs an agent is told why there is none."""

LOSS_TIMEOUT: Final = 1.0
"""Seconds for the end of a child to be noticed on our own connection, when a client's has found it out."""

STEADY: Final = 60.0
"""Seconds after which a child that ends is no failed start."""

IDLE_TIMEOUT: Final = 600.0
"""Seconds that a shared child lives on when nobody uses it."""

_log = logging.getLogger(__name__)


class Agent:
    """The children, of which there is one at a time. `serve` is to run in a task of its own.

    `open_child` gives the next one for a block, in a nursery, and raises AgentUnavailable; `feed` is given each
    child for a block before it is used, to its end. With `ends_idle`, a child that nobody uses is ended after
    IDLE_TIMEOUT.
    """

    def __init__(
        self,
        open_child: Callable[[trio.Nursery], AbstractAsyncContextManager[Child]],
        feed: Callable[[Child], AbstractAsyncContextManager[None]],
        *,
        ends_idle: bool = False,
    ) -> None:
        self.child: Child | None = None
        self._open_child = open_child
        self._feed = feed
        self._ends_idle = ends_idle
        self._users = 0
        self._users_changed = trio.Event()
        self._wanted = trio.Event()
        self._settled = trio.Event()
        self._failed = trio.Event()
        self._failure: AgentUnavailable | None = None
        self._over = trio.Event()
        self._started = 0.0
        self._delay = RETRY_DELAYS[0]
        self._next_try = 0.0

    async def wait_ready(self) -> Child:
        """Give the child, started if there is none. Raises AgentUnavailable if it fails, or did a moment ago."""
        if self.child is None and self._next_try - trio.current_time() <= SHORT_PAUSE:
            await trio.sleep_until(self._next_try)
            self._wanted.set()
            await self._settled.wait()
        if self.child is None:
            raise self._failure or AgentUnavailable("the Codex agent has ended")
        return self.child

    async def wait_unavailable(self) -> None:
        """Wait until no child can be had. None is started for this: one that was idle may have ended."""
        await self._failed.wait()

    @contextmanager
    def use(self) -> Iterator[None]:
        """Keep the child from being idle for the block."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def distrust(self, child: Child) -> None:
        """Give up a child that does not answer, as one that is stopped; the next who needs one has another."""
        if self.child is child:
            _log.error("ending the agent, pid %d, which does not answer", child.pid)
            signal_session(child.pid, signal.SIGKILL)
            child.control.end("does not answer")

    async def require_lasting(self, child: Child) -> None:
        """Retire a child that was told to end: it goes on for the clients that it has, and the next have another.

        Raises AgentUnavailable for such a one, and for one that does not answer, which is ended.
        """
        try:
            await child.require_lasting()
        except AgentUnavailable as error:
            if isinstance(error, AgentSilent):
                self.distrust(child)
            if self.child is child:
                _log.info("not using the agent, pid %d, any more: %s", child.pid, error)
                self._close(None)
            raise

    async def wait_gone(self, child: Child) -> bool:
        """Return True once a child is known to have ended; False if it has not within LOSS_TIMEOUT."""
        with trio.move_on_after(LOSS_TIMEOUT):
            await child.lost.wait()
            while self.child is child:  # until `serve` has had its turn
                await trio.lowlevel.checkpoint()
            return True
        return False

    def _count(self, step: int) -> None:
        self._users += step
        self._users_changed.set()
        self._users_changed = trio.Event()

    async def serve(self) -> NoReturn:
        """Have a child whenever one is needed and there is none, until cancelled."""
        async with trio.open_nursery() as lives:
            while True:
                await self._wanted.wait()
                self._started, self._over = trio.current_time(), trio.Event()
                lives.start_soon(self._live, self._over)
                await self._over.wait()

    async def _live(self, over: trio.Event) -> None:
        """Live one child's life, from its start to its end, by which it is over with it at the latest."""
        failure = None
        async with trio.open_nursery() as nursery:
            try:
                async with self._open_child(nursery) as child, self._feed(child):
                    self._settle(child, None)
                    if self._ends_idle:
                        nursery.start_soon(self._end_when_idle, child)
                    await child.lost.wait()
                    _log.warning("the agent, pid %d, has ended", child.pid)
            except AgentUnavailable as error:
                failure = error
            nursery.cancel_scope.cancel()
        if not over.is_set():
            self._close(failure)

    def _close(self, failure: AgentUnavailable | None) -> None:
        """Be without a child; the next who needs one has another one started."""
        first, longest = RETRY_DELAYS
        now = trio.current_time()
        self._delay = first if now - self._started > STEADY else min(2 * self._delay, longest)
        self._next_try = now + self._delay
        self._settle(None, failure)
        self._wanted, self._settled = trio.Event(), trio.Event()
        self._over.set()

    async def _end_when_idle(self, child: Child) -> None:
        while True:
            with trio.move_on_after(math.inf if self._users else IDLE_TIMEOUT) as idle:
                await self._users_changed.wait()
            if idle.cancelled_caught:
                _log.info("ending the agent, pid %d, which nobody has used for %g s", child.pid, IDLE_TIMEOUT)
                await stop(child.pid, child.lost.is_set)

    def _settle(self, child: Child | None, failure: AgentUnavailable | None) -> None:
        self.child, self._failure = child, failure
        self._settled.set()
        if failure is not None:
            self._failed.set()
        elif child is not None:
            self._failed = trio.Event()
