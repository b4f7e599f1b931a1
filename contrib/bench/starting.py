"""How soon a server answers after its process was started, and how much memory it has then."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

from bench.figures import Quantity
from bench.process import running

if TYPE_CHECKING:
    from bench.figures import Sample
    from bench.rounds import Contender

READY: Final = Quantity("ready: from the start to the first answer", "ms")
RESIDENT: Final = Quantity("memory at rest", "MB")
PRIVATE: Final = Quantity("… of which no other process shares", "MB")


def measure(contender: Contender, starts: int) -> Sample:
    """Start it so often, and give the medians."""
    found = []
    for _ in range(starts):
        with running(contender.command, contender.kind) as server:
            found.append((server.ready * 1e3, server.resident() / (1 << 20), server.private() / (1 << 20)))
    return dict(zip((READY, RESIDENT, PRIVATE), map(statistics.median, zip(*found, strict=True)), strict=True))
