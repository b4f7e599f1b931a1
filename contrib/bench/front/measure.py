"""What is measured of each: requests, the pieces of an answer of the model, and what a client takes."""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING, Any, Final

from bench.figures import Quantity
from bench.latency import P50 as ACCOUNT_P50
from bench.latency import ask_for
from bench.latency import measure as measure_account_read

if TYPE_CHECKING:
    from bench.figures import Sample
    from bench.process import Server
    from bench.wire import Wire

REQUEST_P50: Final = Quantity("a request for the Codex, p50", "µs")
REQUEST_P99: Final = Quantity("a request for the Codex, p99", "µs")
DELTA_P50: Final = Quantity("a delta, from the backend to the client, p50", "µs")
DELTA_P99: Final = Quantity("a delta, from the backend to the client, p99", "µs")
FLOOD: Final = Quantity("5000 deltas as fast as they come", "ms")
CLIENT: Final = Quantity("memory for each further client", "KB")

_REQUEST: Final = b'{"id":7,"method":"thread/loaded/list","params":{}}'
_REQUEST_MARK: Final = b'"data"'
_DELTA: Final = "item/agentMessage/delta"
_PAUSE: Final = 4  # milliseconds between two deltas, of which each is then alone


def measure(server: Server, seconds: float, clients: int) -> Sample:
    """Measure a server that runs."""
    client = server.connect()
    sample = {ACCOUNT_P50: measure_account_read(server, seconds)[ACCOUNT_P50]}
    for share in (0.1, 1):
        taken = ask_for(client, client.frame(_REQUEST), _REQUEST_MARK, share * seconds)
    sample |= {REQUEST_P50: statistics.median(taken), REQUEST_P99: _p99(taken)}
    thread = _call(client, "thread/start", {"cwd": str(server.home), "ephemeral": True})["thread"]["id"]
    _turn(client, thread, "say hello")
    late = _turn(client, thread, f"times {max(20, round(1e3 * seconds / _PAUSE))} {_PAUSE}")
    sample |= {DELTA_P50: statistics.median(late), DELTA_P99: _p99(late)}
    start = time.perf_counter()
    _turn(client, thread, "deltas 5000")
    sample[FLOOD] = (time.perf_counter() - start) * 1e3
    client.close()
    return sample | {CLIENT: _measure_clients(server, clients)}


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def _turn(client: Wire, thread: str, text: str) -> list[float]:
    """Have a turn, and give how many microseconds after its time each delta came that is one."""
    late = []
    _call(client, "turn/start", {"threadId": thread, "input": [{"type": "text", "text": text}]})
    while (message := client.hear()).get("method") != "turn/completed":
        if message.get("method") == _DELTA and text.startswith("times"):
            late.append((time.monotonic_ns() - int(message["params"]["delta"])) / 1e3)
    if message["params"]["turn"]["status"] != "completed":
        raise SystemExit(f"a turn failed: {message['params']['turn']['error']}")
    return late


def _call(client: Wire, method: str, params: dict[str, Any]) -> Any:
    answer = client.call(json.dumps({"id": 8, "method": method, "params": params}).encode())
    if "result" not in answer:
        raise SystemExit(f"{method} failed: {answer}")
    return answer["result"]


def _measure_clients(server: Server, count: int) -> float:
    """Give the kilobytes of one client more, which has asked something."""
    before = server.memory()
    clients = [server.connect() for _ in range(count)]
    for client in clients:
        client.call(_REQUEST)
    more = server.memory() - before
    for client in clients:
        client.close()
    return more / count / 1e3
