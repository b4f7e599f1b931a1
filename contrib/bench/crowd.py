"""A thousand clients that say nothing and hear what there is to hear; and five thousand that come and go."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Final

from bench.figures import Quantity

if TYPE_CHECKING:
    from bench.figures import Sample
    from bench.process import Server
    from bench.wire import Wire

PER_CLIENT: Final = Quantity("memory for each idle client", "KB")
FAN_OUT: Final = Quantity("`account/updated` to all of them, from its cause to the last", "ms")
MEMORY_LEFT: Final = Quantity("left by clients that came and went: memory", "KB")
DESCRIPTORS_LEFT: Final = Quantity("… descriptors", "")

_UPDATED: Final = b'"account/updated"'
_LOG_IN: Final = b'{"id":1,"method":"account/login/start","params":{"type":"apiKey","apiKey":"sk-bench"}}'


def measure_idle(server: Server, clients: int) -> Sample:
    """Connect so many clients; give what each costs, and how soon all of them know who has logged in."""
    crowd = [server.connect() for _ in range(10)]  # what is there once is loaded now
    before = server.memory()
    crowd += [server.connect() for _ in range(clients)]
    cost = (server.memory() - before) / clients
    _tell(crowd)
    told = _tell(crowd)
    for client in crowd:
        client.close()
    return {PER_CLIENT: cost / 1024, FAN_OUT: told * 1e3}


def _tell(crowd: list[Wire]) -> float:
    """Have the first client log in with an API key, and give the seconds until the last one has heard of it."""
    poll = select.epoll()
    deaf = {client.socket.fileno(): client.socket for client in crowd}
    heard = dict.fromkeys(deaf, b"")
    for number in deaf:
        poll.register(number, select.EPOLLIN)
    start = time.perf_counter()
    crowd[0].send(_LOG_IN)
    while deaf:
        for number, _ in poll.poll(20):
            heard[number] += deaf[number].recv(1 << 16)
            if _UPDATED in heard[number]:
                poll.unregister(number)
                del deaf[number]
    taken = time.perf_counter() - start
    poll.close()
    return taken


def measure_churn(server: Server, clients: int) -> Sample:
    """Connect, initialize and leave so many times, and give what stays; a tenth of them has been before."""
    _come_and_go(server, clients // 10)
    before = server.memory(), server.descriptors()
    _come_and_go(server, clients)
    return {MEMORY_LEFT: (server.memory() - before[0]) / 1024, DESCRIPTORS_LEFT: server.descriptors() - before[1]}


def _come_and_go(server: Server, clients: int) -> None:
    for _ in range(clients):
        server.connect().close()
