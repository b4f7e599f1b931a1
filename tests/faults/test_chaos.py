"""A few seconds of chaos, with a seed; hours of it are `make chaos`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from faults import chaos, network

pytestmark = pytest.mark.process


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit and /proc are Linux's")
def test_a_moment_of_chaos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes together, there are clear errors, no login is lost, and the daemon goes on."""
    quick = tuple(fault for fault in network.FAULTS if fault not in chaos.SLOW)
    monkeypatch.setattr(chaos, "FAULTS", quick)
    home = Path(tempfile.mkdtemp(prefix="accountd-"))
    try:
        assert chaos.run(1.5, 20_260_301, home)["rounds"]
    finally:
        shutil.rmtree(home, ignore_errors=True)
