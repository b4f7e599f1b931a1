"""What may wait for one client, and at whose cost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio
import trio.testing

from accountd.config.limits import Limits
from accountd.server.outbox import BoundedOutbox
from accountd.server.overload import SMALL, Allowance, Load, Share
from fakes.slow_stream import SlowStream, Writers

if TYPE_CHECKING:
    from collections.abc import Callable


def fail() -> None:
    """Be called when nothing should have overflowed, or no writer should be needed."""
    raise AssertionError("that was not to happen")


def make(
    stream: trio.abc.SendStream,
    start_writer: Callable[[], None],
    on_overflow: Callable[[], None],
    load: Load | None = None,
) -> BoundedOutbox:
    """Make an outbox of a client that is alone, or one of many."""
    allowance = Allowance(Share(load if load is not None else Load(Limits())))
    return BoundedOutbox(stream, Limits(), allowance, start_writer, on_overflow)


async def test_overflow_is_told_once() -> None:
    """A queue that is full tells its owner, who cuts the connection; nothing more is kept."""
    told: list[None] = []
    outbox = make(SlowStream(), lambda: None, partial(told.append, None))
    outbox.put(b"x" * Limits().outbox_bytes)
    assert told == []
    outbox.put(b"x")
    outbox.put(b"x")
    assert told == [None]


async def test_one_message_alone_may_be_of_any_size(autojump_clock: trio.testing.MockClock) -> None:
    """Not to have read it yet is no fault; behind it there is the usual room, and not for another such."""
    stream = SlowStream()
    large = b"x" * (2 * Limits().outbox_bytes)
    async with trio.open_nursery() as nursery:
        writers = Writers(nursery)
        writers.outbox = outbox = make(stream, writers.start, fail)
        assert outbox.offer(large)
        assert not outbox.offer(large)
        await trio.sleep(0.5)
        assert outbox.offer(b"x")
        assert not outbox.offer(large)  # half of the first has not left
        await trio.sleep(5)
        assert outbox.offer(large)
    assert stream.sent == [large, b"x", large]


async def test_what_waits_is_charged(autojump_clock: trio.testing.MockClock) -> None:
    """From when it is put until it has left; what there is no room for is not taken, and the next may be."""
    load = Load(Limits())
    stream = SlowStream()
    async with trio.open_nursery() as nursery:
        writers = Writers(nursery)
        writers.outbox = outbox = make(stream, writers.start, fail, load)
        outbox.put(b"x" * (1 << 20))
        assert load.spare == Limits().kept_bytes - (1 << 20) + SMALL
        await trio.sleep(5)
        assert load.spare == Limits().kept_bytes
        load.spare = 0
        assert outbox.offer(b"x" * SMALL)
        assert not outbox.offer(b"x")


async def test_what_has_left_counts_no_more(autojump_clock: trio.testing.MockClock) -> None:
    """A client that reads is never cut, however much it has been sent in the course of time."""
    stream = SlowStream()
    outbox = make(stream, fail, fail)
    for _ in range(3):
        await outbox.batch(partial(outbox.put, b"x" * Limits().outbox_bytes))
    assert sum(map(len, stream.sent)) == 3 * Limits().outbox_bytes
