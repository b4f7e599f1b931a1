"""How many clients a second can connect, be initialized and leave, one after the other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from bench.figures import Quantity

if TYPE_CHECKING:
    from bench.figures import Sample
    from bench.process import Server

RATE: Final = Quantity("connect, `initialize` and leave", "/s", True)


def measure(server: Server, seconds: float) -> Sample:
    """Come and go for so long."""
    server.connect().close()
    clients, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        server.connect().close()
        clients += 1
    return {RATE: clients / passed}
