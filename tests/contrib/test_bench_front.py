"""The benchmark of the front: that it measures a real one, and what it says of figures that are given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accountd.codex.version import CODEX_VERSION
from bench.figures import Row
from bench.front import table
from bench.front.__main__ import run
from bench.front.measure import CLIENT, FLOOD, REQUEST_P50
from compat import peers
from fakes.npm import OutOfReach

if TYPE_CHECKING:
    from bench.figures import Quantity


@pytest.mark.process
@pytest.mark.timeout(600)  # it may fetch the app-server
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="it reads Linux's /proc")
def test_a_front_is_measured_beside_its_codex_and_another() -> None:
    """In one run. The figures of a moment mean nothing."""
    try:
        codex = peers.fetch(CODEX_VERSION)
    except OutOfReach as error:
        pytest.skip(str(error))
    text = run(str(codex), 1, 0.02, 2)
    assert f"beside codex-cli {CODEX_VERSION}" in text
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 1 + 7


@pytest.mark.parametrize(
    ("quantity", "ours", "verdict"),
    [
        (REQUEST_P50, 250.0, "at most 100 µs more: **met**, 50.0 µs."),
        (REQUEST_P50, 301.0, "at most 100 µs more: **not met**, 101 µs."),
        (FLOOD, 209.0, "at most 1.05 times: **met**, 1.04 times."),
        (FLOOD, 212.0, "at most 1.05 times: **not met**, 1.06 times."),
        (CLIENT, 1050.0, "at most 1049 KB: **not met**, 1 050 KB."),
    ],
)
def test_each_aim_is_judged_by_what_it_limits(quantity: Quantity, ours: float, verdict: str) -> None:
    """A difference, a ratio, or the figure itself."""
    assert table.judge([Row(quantity, None, {"ours": [ours], "peer": [200.0]})]) == [f"{quantity.name}: {verdict}"]
