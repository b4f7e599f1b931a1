"""The three crowds: a thousand that say nothing, five thousand that come and go, two hundred that read slowly."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from bench.wire import READ

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Event

    from bench.process import Server
    from bench.wire import Wire


class Latency(msgspec.Struct, frozen=True):
    """Microseconds of one client's `account/read`, one after the other."""

    p50: float
    p99: float


class Leftovers(msgspec.Struct, frozen=True):
    """What is there more of after a crowd has gone. Memory in bytes."""

    memory: int
    descriptors: int
    threads: int


def idle(server: Server, clients: int) -> float:
    """Give the bytes of memory that each of so many initialized clients costs that say nothing any more."""
    crowd = [server.connect() for _ in range(10)]  # what is there once is loaded now
    before = server.memory()
    crowd += [server.connect() for _ in range(clients)]
    cost = (server.memory() - before) / clients
    for client in crowd:
        client.close()
    return cost


def churn(server: Server, clients: int) -> Leftovers:
    """Connect, initialize and leave so many times, and give what stays; a tenth of them has been before."""
    _come_and_go(server, clients // 10)
    before = server.memory(), server.descriptors(), server.threads()
    _come_and_go(server, clients)
    memory = server.memory()
    return Leftovers(memory - before[0], server.descriptors() - before[1], server.threads() - before[2])


def _come_and_go(server: Server, clients: int) -> None:
    for _ in range(clients):
        server.connect().close()


def beside_slow_readers(server: Server, readers: int, requests: int) -> tuple[Latency, Latency | None]:
    """Measure one client's latency alone, and beside so many that ask without end and hardly read.

    There is None beside them if an answer took longer than 20 s.
    """
    client = server.connect()
    _latency(client.call, requests // 4)
    alone = _latency(client.call, requests)
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    crowd = context.Process(target=_read_slowly, args=(server, readers, ready, stop))
    crowd.start()
    try:
        ready.wait()
        time.sleep(2)  # until every queue is full
        beside = None
        with suppress(TimeoutError):
            beside = _latency(client.call, requests)
    finally:
        stop.set()
        crowd.join()
        client.close()
    return alone, beside


def _latency(call: Callable[[bytes], None], requests: int) -> Latency:
    taken = []
    for _ in range(requests):
        start = time.perf_counter()
        call(READ)
        taken.append((time.perf_counter() - start) * 1e6)
        time.sleep(0.0005)  # a client is no benchmark: it has something else to do now and then
    return Latency(statistics.median(taken), statistics.quantiles(taken, n=100)[98])


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
