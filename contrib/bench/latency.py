"""How long one client waits for the answer to `account/read`, asking again as soon as it has one."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Final

from bench.figures import Quantity
from bench.wire import READ, READ_MARK

if TYPE_CHECKING:
    from bench.figures import Sample
    from bench.process import Server
    from bench.wire import Wire

P50: Final = Quantity("`account/read`, p50", "µs")
P99: Final = Quantity("`account/read`, p99", "µs")


def measure(server: Server, seconds: float) -> Sample:
    """Ask for so long, one after the other; a tenth as long before, for nothing.

    Everybody gets as much time, not as many requests. A quick server has to be woken for each, or is still awake
    when the next one comes, which takes a third of the time; either stays so for tenths of a second, or seconds.
    """
    client = server.connect()
    frame = client.frame(READ)
    ask_for(client, frame, READ_MARK, seconds / 10)
    taken = ask_for(client, frame, READ_MARK, seconds)
    client.close()
    return {P50: statistics.median(taken), P99: statistics.quantiles(taken, n=100)[98]}


def ask_for(client: Wire, frame: bytes, mark: bytes, seconds: float) -> list[float]:
    """Send a frame, again as soon as a message with the mark has come, and give the microseconds of each."""
    taken: list[float] = []
    start = now = time.perf_counter()
    while now - start < seconds or len(taken) < 2:  # of one there are no quantiles
        asked = now
        client.ask(frame, mark)
        now = time.perf_counter()
        taken.append((now - asked) * 1e6)
    return taken
