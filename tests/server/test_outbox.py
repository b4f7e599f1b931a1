"""The outgoing half of a connection."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.config.limits import Limits
from accountd.server.outbox import Outbox
from accountd.server.overload import SMALL, Allowance, Load, Share

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class SlowStream(trio.abc.SendStream):
    """A stream that takes a second for everything; `sent` has the pieces."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.busy = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See SendStream."""
        assert not self.busy
        self.busy = True
        await trio.sleep(1)
        self.busy = False
        self.sent.append(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        """See SendStream."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """See SendStream."""
        await trio.lowlevel.checkpoint()


def fail() -> None:
    """Be called when nothing should have overflowed, or no writer should be needed."""
    raise AssertionError("that was not to happen")


def make(
    stream: trio.abc.SendStream,
    start_writer: Callable[[], None],
    on_overflow: Callable[[], None],
    load: Load | None = None,
) -> Outbox:
    """Make an outbox of a client that is alone, or one of many."""
    allowance = Allowance(Share(load if load is not None else Load(Limits())))
    return Outbox(stream, Limits(), allowance, start_writer, on_overflow)


class Writers:
    """Starts the writers of an outbox in a nursery, and counts them."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.started = 0
        self.outbox: Outbox
        self._nursery = nursery

    def start(self) -> None:
        """Start one."""
        self.started += 1
        self._nursery.start_soon(self.outbox.flush)


@asynccontextmanager
async def opened(stream: SlowStream) -> AsyncIterator[tuple[Outbox, Writers]]:
    """Open an outbox over a stream; all that is put is sent at the end."""
    async with trio.open_nursery() as nursery:
        writers = Writers(nursery)
        writers.outbox = make(stream, writers.start, fail)
        yield writers.outbox, writers


async def test_what_is_put_is_sent_in_order_and_together(autojump_clock: trio.testing.MockClock) -> None:
    """What waits while something is being sent leaves with the next piece, of the same writer."""
    stream = SlowStream()
    async with opened(stream) as (outbox, writers):
        outbox.put(b"a")
        await trio.sleep(0.5)
        outbox.put(b"b")
        outbox.put(b"c")
        await trio.sleep(5)
        assert stream.sent == [b"a", b"bc"]
        assert writers.started == 1


async def test_a_writer_is_there_only_while_it_is_needed(autojump_clock: trio.testing.MockClock) -> None:
    """One is started for several messages, none for what a batch sends, and the next when there is need again."""
    stream = SlowStream()
    async with opened(stream) as (outbox, writers):
        outbox.put(b"1")
        outbox.put(b"2")
        await trio.sleep(5)
        assert writers.started == 1
        await outbox.batch(partial(outbox.put, b"3"))
        assert writers.started == 1
        outbox.put(b"4")
        assert writers.started == 2
    assert stream.sent == [b"12", b"3", b"4"]


async def test_a_batch_and_a_writer_never_send_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """Whoever is sending sends what the other adds, and the order is that of putting."""
    stream = SlowStream()
    async with opened(stream) as (outbox, _):
        outbox.put(b"1")
        await trio.sleep(0.5)
        await outbox.batch(partial(outbox.put, b"2"))
        await trio.sleep(3)
        await outbox.batch(partial(outbox.put, b"3"))
        outbox.put(b"4")
        await outbox.batch(partial(outbox.put, b"5"))  # before the writer of 4 has begun
        outbox.put(b"6")
    assert b"".join(stream.sent) == b"123456"


async def test_closing_sends_what_waits(autojump_clock: trio.testing.MockClock) -> None:
    """The last words of a connection leave before its end; later ones do not count, and need no writer."""
    stream = SlowStream()
    async with opened(stream) as (outbox, writers):
        outbox.put(b"last words")
        outbox.close()
        await trio.sleep(5)
        outbox.put(b"too late")
        assert writers.started == 1
    assert stream.sent == [b"last words"]


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
    async with opened(stream) as (outbox, _):
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


async def test_a_client_that_is_gone_is_an_error() -> None:
    """Sending to nobody is what ends a connection."""
    ours, theirs = trio.testing.memory_stream_one_way_pair()
    await theirs.aclose()
    outbox = make(ours, fail, fail)
    with pytest.raises(trio.BrokenResourceError):
        await outbox.batch(partial(outbox.put, b"x"))


async def test_what_has_left_counts_no_more(autojump_clock: trio.testing.MockClock) -> None:
    """A client that reads is never cut, however much it has been sent in the course of time."""
    stream = SlowStream()
    outbox = make(stream, fail, fail)
    for _ in range(3):
        await outbox.batch(partial(outbox.put, b"x" * Limits().outbox_bytes))
    assert sum(map(len, stream.sent)) == 3 * Limits().outbox_bytes
