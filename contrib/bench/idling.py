"""What a server does while one client is connected and nobody wants anything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from bench.figures import Quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Sample
    from bench.process import Server

WAKE_UPS: Final = Quantity("idle: wake-ups in 10 s", "")
PROCESSOR: Final = Quantity("idle: processor time in 10 s", "ms")


def measure(servers: Sequence[Server], seconds: float) -> list[Sample]:
    """Leave all of them alone at the same time."""
    clients = [server.connect() for server in servers]
    time.sleep(min(1.0, seconds))  # until what they were asked last is done with
    before = [server.activity() for server in servers]
    time.sleep(seconds)
    after = [server.activity() for server in servers]
    for client in clients:
        client.close()
    return [
        {
            WAKE_UPS: (then.sleeps - first.sleeps) * 10 / seconds,
            PROCESSOR: (then.processor - first.processor) * 1e4 / seconds,
        }
        for first, then in zip(before, after, strict=True)
    ]
