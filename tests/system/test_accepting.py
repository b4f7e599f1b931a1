"""The accept loop, when there is no room."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.system.accepting import FIRST_PAUSE, LONGEST_PAUSE, accept_clients

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Listener(trio.abc.Listener[trio.abc.Stream]):
    """A listener that fails as told, each time that it is asked, and then has a client at each asking."""

    def __init__(self, *failures: int) -> None:
        self.asked: list[float] = []
        self.closed = False
        self._failures = list(failures)

    async def accept(self) -> trio.abc.Stream:
        """See Listener."""
        await trio.lowlevel.checkpoint()
        self.asked.append(trio.current_time())
        if self._failures:
            raise OSError(self._failures.pop(0), "no room")
        ours, _ = trio.testing.memory_stream_pair()
        return ours

    async def aclose(self) -> None:
        """See Listener."""
        self.closed = True
        await trio.lowlevel.checkpoint()


async def accept_one(listener: Listener) -> None:
    """Accept until a client has been served."""
    async with trio.open_nursery() as nursery:

        async def serve(_: trio.abc.Stream) -> None:
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

        await run(listener, serve, nursery)


async def run(listener: Listener, serve: Callable[..., Awaitable[None]], nursery: trio.Nursery) -> None:
    """Run the loop."""
    await accept_clients(listener, serve, nursery)  # type: ignore[arg-type]  # it has streams that are no sockets


async def test_no_descriptors_are_waited_for(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It pauses, longer each time up to a second, and says once that it does and once that it goes on."""
    caplog.set_level(logging.WARNING)
    reasons = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
    listener = Listener(*reasons, *reasons)
    await accept_one(listener)
    pauses = [later - earlier for earlier, later in zip(listener.asked, listener.asked[1:], strict=False)]
    expected = [min(FIRST_PAUSE * 2**n, LONGEST_PAUSE) for n in range(len(reasons) * 2)]
    assert pauses[: len(expected)] == pytest.approx(expected)
    assert [record.message for record in caplog.records] == [
        f"no more clients for now, until there is room: Too many open files (os error {errno.EMFILE})",
        "there is room for clients again",
    ]
    assert listener.closed


async def test_another_failure_is_one() -> None:
    """What time does not mend is no reason to try again."""
    listener = Listener(errno.EINVAL)
    async with trio.open_nursery() as nursery:
        with pytest.raises(OSError, match="no room"):
            await run(listener, trio.sleep, nursery)
    assert listener.closed


async def test_a_client_whose_service_fails_is_hung_up_on() -> None:
    """Whoever serves a client closes its stream; if that fails before, it is closed, and the next one is served."""
    streams: list[trio.abc.Stream] = []

    async with trio.open_nursery() as nursery:

        async def serve(stream: trio.abc.Stream) -> None:
            streams.append(stream)
            if len(streams) > 1:
                nursery.cancel_scope.cancel()
            raise LookupError

        await run(Listener(), serve, nursery)
    with pytest.raises(trio.ClosedResourceError):
        await streams[0].send_all(b"x")
