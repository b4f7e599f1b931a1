"""How many requests a second are answered to one client, to eight and to 64, each of which has sent a few ahead."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Final

from bench.figures import Quantity
from bench.wire import READ, READ_MARK

if TYPE_CHECKING:
    from bench.figures import Sample
    from bench.process import Server
    from bench.wire import Wire

AHEAD: Final = 16
"""Requests that each client has sent and that are not answered yet."""

CROWDS: Final = (1, 8, 64)
RATES: Final = {
    clients: Quantity(f"`account/read`, pipelined by {clients} client{'s' if clients > 1 else ''}", "/s", True)
    for clients in CROWDS
}


def measure(server: Server, seconds: float) -> Sample:
    """Ask for so long with each crowd."""
    return {RATES[clients]: _rate(server, clients, seconds) for clients in CROWDS}


def _rate(server: Server, clients: int, seconds: float) -> float:
    poll = select.epoll()
    crowd = {}
    for _ in range(clients):
        client = _Pipeline(server.connect())
        crowd[client.fileno()] = client
        poll.register(client.fileno(), select.EPOLLIN)
    for client in crowd.values():
        client.ask(AHEAD)
    answered, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        for number, _ in poll.poll(1):
            answered += crowd[number].go_on()
    for client in crowd.values():
        client.close()
    poll.close()
    return answered / passed


class _Pipeline:
    """A client that sends one more request for each answer."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._frame = wire.frame(READ)
        self._tail = b""
        self.fileno = wire.socket.fileno
        self.close = wire.close

    def ask(self, requests: int) -> None:
        """Send so many."""
        self._wire.socket.sendall(self._frame * requests)

    def go_on(self) -> int:
        """Take what has come, and ask as many times as it holds answers."""
        data = self._wire.socket.recv(1 << 16)
        if not data:
            raise EOFError("the server hung up")
        data = self._tail + data
        answers = data.count(READ_MARK)
        self._tail = data[data.rfind(READ_MARK) + len(READ_MARK) :] if answers else data
        self._tail = self._tail[-len(READ_MARK) + 1 :]
        if answers:
            self.ask(answers)
        return answers
