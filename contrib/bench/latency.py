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

P50: Final = Quantity("`account/read`, p50", "µs")
P99: Final = Quantity("`account/read`, p99", "µs")


def measure(server: Server, requests: int) -> Sample:
    """Ask so often, one after the other; a tenth as often before, for nothing."""
    client = server.connect()
    frame = client.frame(READ)
    taken = []
    for number in range(-requests // 10, requests):
        start = time.perf_counter()
        client.ask(frame, READ_MARK)
        if number >= 0:
            taken.append((time.perf_counter() - start) * 1e6)
    client.close()
    return {P50: statistics.median(taken), P99: statistics.quantiles(taken, n=100)[98]}
