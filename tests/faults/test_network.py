"""Each operation, with each fault of the network: through the real connection, services, httpx, h11 and TLS.

Nothing here takes time: connections are pairs of sockets, and the clock jumps. `test_process` has real ones.
"""

from __future__ import annotations

import logging
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.protocol.usage import GetAccountRateLimitsParams
from accountd.sandbox import server
from accountd.web.ca_bundle import Trust
from accountd.web.http import Way, _open_httpx
from fakes.client import open_client
from fakes.world import open_world
from faults.certificates import write_authority
from faults.network import FAULTS, UNHEARD, Network
from faults.operations import OPERATIONS, SCRIPT, Bench, is_good, undo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

# A request that is broken off leaves what httpx has not closed to the garbage collector, which says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

URL = "https://127.0.0.1"
FOR_PROGRAMMERS = re.compile(r"[a-z]Error\b|[a-z]Timeout\b|_ssl|Traceback|bytearray|httpx|httpcore|<\w+ object")
"""What no message for a person has in it."""

ANSWERS = {"another HTTP", "redirect", "redirect to nowhere", "server in trouble"} | {
    "portal",
    "empty answer",
    "not UTF-8",
    "deep JSON",
}
"""Faults after which there is an answer of HTTP, of whichever sense."""

LOST = ("closed after the request", "half-closed", "silence", "stalled in the body", "cut in the head")
"""Faults with which a request that took effect loses its answer."""


@pytest.fixture(autouse=True)
def patient_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the sandbox never give up on an answer; that it sends slowly is the fault."""
    monkeypatch.setattr(server, "WRITE_DEADLINE", float("inf"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@asynccontextmanager
async def open_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """Give the services with a client, whose issuer and backend are behind a network that may fail."""
    async with open_world(SCRIPT, issuer=URL) as world, trio.open_nursery() as nursery:
        network = Network(world.sandbox, nursery)
        monkeypatch.setattr(trio, "open_tcp_stream", network.connect)
        http = world.services.issuer._http
        trust = Trust({"CODEX_CA_CERTIFICATE": str(write_authority(tmp_path))})
        http._clients[Way()] = _open_httpx(trust, Way())
        async with open_client(world.services, experimentalApi=True, extensions={"accountd": {}}) as client:
            yield Bench(world, network, client)
        await http.aclose()
        nursery.cancel_scope.cancel()


async def hold(
    name: str, fault: str, bench: Bench, caplog: pytest.LogCaptureFixture, *, acting: bool = False
) -> None:
    """Run an operation with a fault, and hold it to the four promises."""
    operation = OPERATIONS[name]
    await operation.prepare(bench)
    before = getattr(bench.world.store, "record", None)
    bench.network.fault, bench.network.acting = fault, acting
    begun = trio.current_time()
    with caplog.at_level(logging.DEBUG, "accountd"):
        error = await operation.run(bench)
    # an end, in time
    assert trio.current_time() - begun <= operation.within + 0.01
    # a clear error
    if operation.forgives and fault not in ANSWERS:
        assert error is None
    elif error is not None:
        assert error.startswith(operation.error)
        assert not FOR_PROGRAMMERS.search(error)
        assert "internal error" not in error
    else:
        assert operation.forgives or name == "read messages"  # a 404 there is an answer like another
    for record in (record for record in caplog.records if record.name.startswith("accountd")):
        assert record.exc_info is None, record.getMessage()
        assert not FOR_PROGRAMMERS.search(record.getMessage())
    # no credential lost
    undo(bench)
    if name == "log out":
        assert bench.world.credential.current is None
    elif error is not None and before is not None:
        assert getattr(bench.world.store, "record", None) == before
        assert acting or is_good(bench)
        assert bench.world.credential.current == before
    # and all is well afterwards
    if name != "log out":
        assert await bench.try_to("account/read", {}) is None
    if not acting:
        await operation.prepare(bench)
        assert await operation.run(bench) is None


NAMES = tuple(OPERATIONS)
FEW = [(NAMES[number % len(NAMES)], fault) for number, fault in enumerate(FAULTS)]
"""Each fault once, with one operation after the other."""

ALL = [(name, fault) for name in OPERATIONS for fault in FAULTS if (name, fault) not in FEW]


CASES = [*FEW, *(pytest.param(case, marks=pytest.mark.whole) for case in ALL)]


@pytest.mark.parametrize("case", CASES, ids="-".join)
async def test_a_fault_is_told_and_survived(
    case: tuple[str, str],
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is an error for a person, in time; nothing is lost; and the next try is good, without a restart.

    In `make faults` so it is for each operation that asks, with each fault.
    """
    async with open_bench(tmp_path, monkeypatch) as bench:
        await hold(*case, bench, caplog)


@pytest.mark.parametrize("fault", LOST)
async def test_a_refresh_whose_answer_is_lost_costs_no_more_than_it_must(
    fault: str,
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The access token is used on; the refresh token is spent, which the next refresh finds; a login mends it."""
    async with open_bench(tmp_path, monkeypatch) as bench:
        await hold("refresh", fault, bench, caplog, acting=True)
        assert not is_good(bench)
        status = await bench.ask("getAuthStatus", {"includeToken": True})
        assert status["result"]["authToken"] is not None
        assert "already used" in str(await bench.try_to("account/token/read", {"minValidSeconds": 3500}))
        assert await OPERATIONS["exchange a device code"].run(bench) is None
        assert is_good(bench)
        assert await bench.try_to("account/token/read", {"minValidSeconds": 3500}) is None


@pytest.mark.parametrize("fault", LOST)
async def test_an_exchange_whose_answer_is_lost_leaves_the_account(
    fault: str,
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The code is spent and not sent twice: that login fails, the older one stays, and the next login is good."""
    async with open_bench(tmp_path, monkeypatch) as bench:
        await hold("exchange a device code", fault, bench, caplog, acting=True)
        asked = [request.path for request in bench.world.sandbox.requests].count("/oauth/token")
        assert asked == 1
        assert is_good(bench)
        assert await OPERATIONS["exchange a device code"].run(bench) is None


async def test_what_is_quoted_of_a_broken_answer_is_no_token(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An answer that slips, so that the tokens are where a length should be, is not repeated in the error."""
    async with open_bench(tmp_path, monkeypatch) as bench:
        await hold("exchange a device code", "body for a length", bench, caplog, acting=True)


@pytest.mark.whole
async def test_many_connections_that_hang_use_nothing_up(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More requests than the pool has places, all given up on: the next one finds a place."""
    async with open_bench(tmp_path, monkeypatch) as bench:
        await bench.log_in()
        for fault in ("silence", "black hole"):
            bench.network.fault = fault
            async with trio.open_nursery() as nursery:
                for _ in range(60):  # each of which asks two things
                    nursery.start_soon(_give_up, bench)
        undo(bench)
        assert await bench.try_to("account/rateLimits/read", {}) is None


async def _give_up(bench: Bench) -> None:
    with trio.move_on_after(3):
        await bench.world.account.usage.read_rate_limits(GetAccountRateLimitsParams())


def test_the_faults_that_no_server_sees_are_known() -> None:
    """The names in the tests' own sets are those of faults."""
    assert set(FAULTS) >= UNHEARD | ANSWERS | set(LOST)
