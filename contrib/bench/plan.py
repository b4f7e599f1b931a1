"""Everything that is measured, in its order, and how much of it."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from bench import connecting, crowd, idling, latency, login, slow_readers, starting, throughput, verbs
from bench.issuer import issuing
from bench.process import environment, running
from bench.rounds import Contender, Results, measure, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.figures import Row, Sample
    from bench.process import Server


class Sizes(msgspec.Struct, frozen=True):
    """How much of everything. The crowds, which take long and differ little, come in every other round."""

    rounds: int = 5
    seconds: float = 1.5
    starts: int = 3
    idle: int = 1000
    churn: int = 5000
    slow: int = 200
    slow_requests: int = 500
    quiet: float = 10.0

    @property
    def crowd_rounds(self) -> int:
        """Rounds in which there are crowds."""
        return (self.rounds + 1) // 2


QUICK: Final = Sizes(1, seconds=0.02, starts=1, idle=20, churn=20, slow=2, slow_requests=10, quiet=0.1)
"""To see that all of it works, and nothing else."""


def contenders(peer: str | None) -> list[Contender]:
    """Give the servers: accountd and the floor in either framing, and the peer, which speaks WebSocket alone."""
    ours = f"{shlex.quote(verbs.ACCOUNTD)} serve --listen unix://{{socket}}"
    floor = f"{shlex.quote(sys.executable)} -P {shlex.quote(str(Path(__file__).with_name('floor.py')))}"
    found = [Contender("ours", "ws", ours), Contender("floor", "ws", f"{floor} ws {{socket}}")]
    if peer is not None:
        found.insert(1, Contender("peer", "ws", peer))
    return [*found, Contender("ours", "ndjson", ours), Contender("floor", "ndjson", f"{floor} ndjson {{socket}}")]


def run(sizes: Sizes, peer: str | None, tell: Callable[[str], None] = lambda _: None) -> list[Row]:
    """Measure all of it. `tell` hears what is going on."""
    everybody = contenders(peer)
    real = [contender for contender in everybody if contender.role != "floor"]
    by_websocket = [contender for contender in real if contender.kind == "ws"]
    results = Results()
    tell("requests")
    _measure_requests(results, everybody, sizes)
    tell("starts")
    measure(results, everybody, sizes.rounds, partial(starting.measure, starts=sizes.starts))
    tell("logins")
    with issuing() as environ, issuing("--wait") as waiting:
        measure(results, by_websocket, sizes.rounds, partial(_anew, login.measure, environ=environ))
        measure(results, by_websocket, sizes.rounds, partial(_anew, login.measure_cancelling, environ=waiting))
        tell("commands")
        _measure_verbs(results, peer, by_websocket, sizes, environ)
    tell("crowds")
    for crowded, who in (
        (partial(crowd.measure_idle, clients=sizes.idle), everybody),
        (partial(crowd.measure_churn, clients=sizes.churn), real),
        (partial(slow_readers.measure, readers=sizes.slow, requests=sizes.slow_requests), real),
    ):
        measure(results, who, sizes.crowd_rounds, partial(_anew, crowded))
    return results.rows()


def _anew(
    take: Callable[[Server], Sample], contender: Contender, environ: Mapping[str, str] | None = None
) -> Sample:
    """Measure a server that has just been started."""
    with running(contender.command, contender.kind, environ) as server:
        return take(server)


def _measure_requests(results: Results, everybody: Sequence[Contender], sizes: Sizes) -> None:
    """Measure what servers do that run all the time, side by side; and what they do when they are left alone."""
    with ExitStack() as held:
        servers = {who: held.enter_context(running(who.command, who.kind)) for who in everybody}
        for take in (
            partial(latency.measure, seconds=sizes.seconds),
            partial(throughput.measure, seconds=sizes.seconds),
            partial(connecting.measure, seconds=sizes.seconds),
        ):
            measure(results, everybody, sizes.rounds, lambda who, take=take: take(servers[who]))  # type: ignore[misc]  # the default binds it now
        found = idling.measure(list(servers.values()), sizes.quiet)
        for who, sample in zip(servers, found, strict=True):
            results.add(who.role, who.kind, sample)


def _measure_verbs(
    results: Results, peer: str | None, servers: Sequence[Contender], sizes: Sizes, environ: Mapping[str, str]
) -> None:
    """Measure the commands of somebody who is logged in."""
    program = shlex.split(peer)[0] if peer is not None else None
    with ExitStack() as held:
        lines = {}
        for who in servers:
            server = held.enter_context(running(who.command, who.kind, environ))
            login.measure(server)
            lines[who.role] = verbs.commands(who.role, program, server.socket), environment(server.home)
        lines["floor"] = verbs.commands("floor", None, ""), lines["ours"][1]
        for role in take_turns(list(lines), sizes.rounds):
            results.add(role, None, verbs.measure(*lines[role], times=sizes.starts))
