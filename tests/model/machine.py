"""A trio run in a thread of its own, on a clock that it moves itself: for a state machine of plain functions."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import trio
import trio.testing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds of real time for one step; each takes a few milliseconds."""


class Machine:
    """Runs one `live` from its making to `stop`. The clock stands still but for `pass_time`."""

    def __init__(self, live: Callable[[trio.TaskStatus[Any]], Awaitable[None]]) -> None:
        self._live = live
        self._clock = trio.testing.MockClock()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.world, self._token, self._work, self._stop = self._take()

    def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Have this run, and everything that follows from it as long as no time passes; give its result."""
        self._token.run_sync_soon(self._work.send_nowait, work)
        result: T = self._take()
        return result

    def pass_time(self, seconds: float) -> None:
        """Let time pass in small steps, so that what is due in between happens in its order."""

        async def jump() -> None:
            left = seconds
            while left > 0:
                step = min(left, 0.25 if left <= 10 else 5.0)
                self._clock.jump(step)
                left -= step
                await trio.testing.wait_all_tasks_blocked()

        self.do(jump)

    def stop(self) -> None:
        """End the run, and raise what it ended with."""
        self._token.run_sync_soon(self._stop.set)
        outcome = self._take()
        self._thread.join(PATIENCE)
        assert outcome == "ended"

    def _take(self) -> Any:
        assert self._thread.is_alive() or not self._answers.empty(), "the run has ended already"
        answer = self._answers.get(timeout=PATIENCE)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _run(self) -> None:
        try:
            trio.run(self._serve, clock=self._clock)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits for it
            self._answers.put(error)
        else:
            self._answers.put("ended")

    async def _serve(self) -> None:
        send, receive = trio.open_memory_channel[Any](10)
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            world = await nursery.start(self._live)
            self._answers.put((world, trio.lowlevel.current_trio_token(), send, stop))
            nursery.start_soon(self._work_off, receive)
            await stop.wait()
            nursery.cancel_scope.cancel()

    async def _work_off(self, receive: trio.MemoryReceiveChannel[Any]) -> None:
        async for work in receive:
            try:
                result = await work()
                for _ in range(3):
                    await trio.testing.wait_all_tasks_blocked()
            except Exception as error:  # noqa: BLE001 - as above
                result = error
            self._answers.put(result)
