"""What one client's latency becomes beside two hundred that ask without end and hardly read."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bench.figures import Quantity
from bench.wire import READ, READ_MARK

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

    from bench.figures import Sample
    from bench.process import Server
    from bench.wire import Wire

ALONE: Final = Quantity("`account/read` by a client that pauses, p50", "µs")
BESIDE: Final = Quantity("… beside slow readers, p50", "µs")
NO_ANSWER: Final = 20e6
"""What stands for the figure when one answer has not come in 20 s."""


def measure(server: Server, readers: int, requests: int) -> Sample:
    """Measure one client's latency alone, and beside so many slow readers."""
    client = server.connect()
    _latency(client, requests // 4)
    alone = _latency(client, requests)
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    crowd = context.Process(target=_read_slowly, args=(server, readers, ready, stop))
    crowd.start()
    try:
        ready.wait()
        time.sleep(2)  # until every queue is full
        beside = NO_ANSWER
        with suppress(TimeoutError):
            beside = _latency(client, requests)
    finally:
        stop.set()
        crowd.join()
        client.close()
    return {ALONE: alone, BESIDE: beside}


def _latency(client: Wire, requests: int) -> float:
    frame = client.frame(READ)
    taken = []
    for _ in range(requests):
        start = time.perf_counter()
        client.ask(frame, READ_MARK)
        taken.append((time.perf_counter() - start) * 1e6)
        time.sleep(0.0005)  # a client is no benchmark: it has something else to do now and then
    return statistics.median(taken)


def _read_slowly(server: Server, readers: int, ready: Event, stop: Event) -> None:
    """Ask more than there is room for answers; then, for ever, read a kilobyte of each in a second, and ask on."""
    crowd = [_SlowReader(server.connect()) for _ in range(readers)]
    ready.set()
    while not stop.is_set():
        for reader in crowd:
            reader.step()
            if stop.wait(1 / readers):
                return


class _SlowReader:
    """A client that asks more than it reads: for half a megabyte at first, and then as fast as it reads."""

    def __init__(self, wire: Wire) -> None:
        self._socket = wire.socket
        self._socket.setblocking(False)
        self._few = wire.frame(READ) * 10
        self._rest = wire.frame(READ) * 5000
        self._ask()

    def step(self) -> None:
        """Read a little, and ask for about as much."""
        with suppress(OSError):  # nothing to read; or it was disconnected for not reading
            self._socket.recv(1024)
            self._rest = self._rest or self._few
            self._ask()

    def _ask(self) -> None:
        with suppress(OSError):  # no room
            self._rest = self._rest[self._socket.send(self._rest) :]
