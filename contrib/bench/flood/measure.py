"""One flood: what a client of the main socket notices of it, and what the daemon has kept when it is over."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from bench.flood import hostile
from bench.wire import READ

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.flood.hostile import DoorName
    from bench.flood.subject import Subject
    from bench.wire import Wire

BACK: Final = 1.2
"""Times its memory at rest that the daemon may have when they have left: enough to stop waiting for less."""

_SETTLING: Final = 8.0
"""Seconds for which that is waited for. The daemon itself waits three, for the rest of a crowd to leave."""

_PAUSE: Final = 0.002
"""Seconds between two questions of the client that is measured, which has something else to do now and then."""

_LOOK: Final = 0.02  # seconds between two looks at its memory
_START_BROWSER: Final = b'{"id":1,"method":"account/login/start","params":{"type":"chatgpt"}}'


class Answers(msgspec.Struct, frozen=True):
    """The milliseconds that each took to come, and how many of them were errors."""

    took: tuple[float, ...]
    refused: int = 0

    @property
    def p50(self) -> float:
        """Give the milliseconds in which half of them came."""
        return statistics.median(self.took)

    @property
    def p99(self) -> float:
        """Give those in which 99 of 100 came."""
        return statistics.quantiles(self.took, n=100)[98]


class Flood(msgspec.Struct, frozen=True):
    """What was found. Memory is in bytes: at the most, and when they had left; logs are what they grew by."""

    kind: str
    door: DoorName
    clients: int
    quiet: Answers
    answers: Answers
    peak: int
    left: int
    descriptors: int
    logged: int
    audited: int
    refreshes: int


def measure(subject: Subject, kind: str, door: DoorName, clients: int, *, seconds: float, rest: int) -> Flood:
    """Have a daemon flooded for so long. `rest` is its memory at rest."""
    with _prepared(subject, kind):
        innocent = subject.connect()
        quiet, _ = _ask(subject, innocent, seconds / 2)
        before = subject.descriptors(), subject.logged(), subject.audited(), time.time()
        with _flooding(subject.socket_at(door), kind, door, clients, seconds):
            answers, peak = _ask(subject, innocent, seconds)
        innocent.close()
        left = _settle(subject, rest, before[0] - 1)
        return Flood(
            kind,
            door,
            clients,
            quiet,
            answers,
            peak,
            left,
            subject.descriptors() - (before[0] - 1),
            subject.logged() - before[1],
            subject.audited() - before[2],
            subject.refreshes(before[3]),
        )


@contextmanager
def _prepared(subject: Subject, kind: str) -> Iterator[None]:
    """Have a browser login wait, where it is what is flooded."""
    with ExitStack() as held:
        if kind == hostile.BROWSER:
            client = subject.connect()
            held.callback(client.close)
            login = client.call(_START_BROWSER)["result"]["loginId"]
            held.callback(
                lambda: client.call(
                    msgspec.json.encode({"id": 2, "method": "account/login/cancel", "params": {"loginId": login}})
                )
            )
        yield


@contextmanager
def _flooding(path: str, kind: str, door: DoorName, clients: int, seconds: float) -> Iterator[None]:
    """Start them, wait until all are ready, and let them go; at the end they are gone."""
    command = [sys.executable, "-S", "-P", str(Path(hostile.__file__)), kind, door, path, str(seconds * 4 + 10)]
    with ExitStack() as held:
        crowd = []
        for _ in range(clients):
            one = held.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE))
            held.callback(one.kill)
            crowd.append(one)
        for one in crowd:
            _wait_until_ready(one.pid)
        for one in crowd:
            if one.stdin is not None:
                one.stdin.write(b"\n")
                one.stdin.flush()
        time.sleep(seconds / 5)  # until they are at it
        yield


def _wait_until_ready(pid: int) -> None:
    """Wait until a process is at the lowest priority, which is the last that it does before it listens."""
    while int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16]) != 19:
        time.sleep(_LOOK)


def _ask(subject: Subject, client: Wire, seconds: float) -> tuple[Answers, int]:
    """Ask now and then, for so long; give how long it took, and the most memory that was seen."""
    took: list[float] = []
    peak = refused = 0
    now = looked = time.perf_counter()
    end = now + seconds
    while now < end or len(took) < 2:  # of one there are no quantiles
        asked = time.perf_counter()
        try:
            refused += "error" in client.call(READ)
        except TimeoutError:
            end = now  # and the next answer would be this one's
        now = time.perf_counter()
        took.append((now - asked) * 1e3)
        if now - looked > _LOOK:
            peak, looked = max(peak, subject.glance()), now
        time.sleep(_PAUSE)
    peak = max(peak, subject.glance())
    return Answers(tuple(took), refused), peak


def _settle(subject: Subject, rest: int, descriptors: int) -> int:
    """Wait until all is as it was, or for as long as it may take; give the memory that is in use then."""
    deadline = time.monotonic() + _SETTLING
    while time.monotonic() < deadline:
        if subject.glance() <= BACK * rest and subject.descriptors() <= descriptors:
            break
        time.sleep(_LOOK)
    return subject.glance()
