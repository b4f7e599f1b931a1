"""The outgoing half of a connection."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.rpc.outbox import Outbox
from fakes.slow_stream import SlowStream, Writers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def opened(stream: SlowStream) -> AsyncIterator[tuple[Outbox, Writers]]:
    """Open an outbox over a stream; all that is put is sent at the end."""
    async with trio.open_nursery() as nursery:
        writers = Writers(nursery)
        writers.outbox = Outbox(stream.send_all, writers.start)
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


async def test_a_client_that_is_gone_is_an_error() -> None:
    """Sending to nobody is what ends a connection."""
    ours, theirs = trio.testing.memory_stream_one_way_pair()
    await theirs.aclose()
    outbox = Outbox(ours.send_all, lambda: None)
    with pytest.raises(trio.BrokenResourceError):
        await outbox.batch(partial(outbox.put, b"x"))


async def test_whoever_has_much_to_say_waits_for_room(autojump_clock: trio.testing.MockClock) -> None:
    """Until enough has left, or nothing will leave any more; who never waits is never refused."""
    stream = SlowStream()
    async with opened(stream) as (outbox, _):
        await outbox.wait_room(1)
        outbox.put(b"x" * 10)
        outbox.put(b"y" * 10)
        began = trio.current_time()
        await outbox.wait_room(11)  # the second leaves when the first has; both are sent at once
        assert trio.current_time() - began == pytest.approx(1)
        outbox.put(b"z" * 10)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.wait_room, 1)
            await trio.sleep(0.1)
            outbox.close()
        assert trio.current_time() - began == pytest.approx(1.1)
