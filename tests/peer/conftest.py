"""The stock app-server that this package speaks like: what it says of its protocol is the measure here.

Where it cannot be fetched the tests are skipped and say so; whatever else is wrong with it fails them.
"""

from __future__ import annotations

import pytest

from accountd.codex.version import CODEX_VERSION
from compat import peers
from fakes.npm import OutOfReach


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> peers.Peer:
    """Give the release that is followed."""
    try:
        codex = peers.fetch(CODEX_VERSION)
    except OutOfReach as error:
        pytest.skip(str(error))
    return peers.Peer(codex, tmp_path_factory.mktemp("peer"))
