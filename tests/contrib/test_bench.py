"""The benchmark against a real daemon, a real floor and its own issuer, in figures too small to mean anything."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench import connecting, crowd, idling, latency, login, throughput
from bench.issuer import issuing
from bench.plan import QUICK, contenders
from bench.process import running

if TYPE_CHECKING:
    from bench.figures import Kind
    from bench.process import Server

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="it reads Linux's /proc")

EVERYBODY = {(who.role, who.kind): who.command for who in contenders(None)}


def is_served(server: Server) -> None:
    """See that a server answers all that is asked of it."""
    assert 0.01 < server.ready < 10
    for take in (
        partial(latency.measure, seconds=QUICK.seconds),
        partial(throughput.measure, seconds=QUICK.seconds),
        partial(connecting.measure, seconds=QUICK.seconds),
    ):
        assert min(take(server).values()) > 0
    assert crowd.measure_idle(server, 20)[crowd.FAN_OUT] > 0


@pytest.mark.parametrize("kind", ["ws", "ndjson"])
def test_the_floor_serves(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least that a server could do is enough for the benchmark's clients."""
    monkeypatch.setattr("bench.process.time.sleep", lambda _: None)
    with running(EVERYBODY["floor", kind], kind) as server:
        is_served(server)


def test_accountd_serves_and_an_idle_client_of_it_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured is clients that are served over lines; and an idle one takes memory, but less than 25 KB."""
    monkeypatch.setattr("bench.process.time.sleep", lambda _: None)
    with running(EVERYBODY["ours", "ndjson"], "ndjson") as server:
        is_served(server)
        assert 5 < crowd.measure_idle(server, 200)[crowd.PER_CLIENT] < 25


def test_logins_and_sleep_are_real() -> None:
    """A login goes through the proxy to the issuer and to the disk; who is not asked anything does not wake up."""
    with issuing() as environ, running(EVERYBODY["ours", "ws"], "ws", environ) as server:
        while idling.measure([server], 0.05)[0][idling.WAKE_UPS]:
            pass  # it may still be at the end of its start; one that never rests is ended by the tests' timeout
        before = server.activity()
        latency.measure(server, 0.01)
        while server.activity().sleeps == before.sleeps:
            pass  # between quick questions it need not sleep at all; after the last it does, at its own time
        found = login.measure(server)
        assert 0 < found[login.CODE] < found[login.COMPLETED]
        assert server.home.joinpath("auth.json").exists()
        found = login.measure_cancelling(server)  # before the first poll, by which it would be approved
        assert min(found[login.CANCELLED], found[login.CANCEL_COMPLETED]) > 0
