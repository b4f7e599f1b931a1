"""The folder of our schema, held to that of the real app-server: what reads the one finds its way in the other."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from accountd.codex.version import CODEX_VERSION
from accountd.protocol.methods import EXTENSION_NOTIFICATIONS, METHODS, NOTIFICATIONS, SERVER_REQUESTS
from accountd.protocol.schema import render_files
from accountd.protocol.schema.typescript import render_type_files
from compat import peers

if TYPE_CHECKING:
    from pathlib import Path

    from compat.peers import Peer

pytestmark = pytest.mark.timeout(600)  # the first of these tests fetches the app-server

FILES = render_files()
KEPT_TO_ITSELF = {"v1/GetAuthStatusParams.json", "v1/GetAuthStatusResponse.json"}
"""It answers `getAuthStatus`, and its schema does not speak of it."""


def test_a_file_that_both_have_is_in_the_same_place(peer: Peer) -> None:
    """Every file of ours is one of its, but for what is our own and what it keeps to itself."""
    assert {path for path in FILES.keys() - peer.files() if not path.startswith("accountd/")} == KEPT_TO_ITSELF


@pytest.mark.parametrize(
    ("envelope", "shared"),
    [
        ("ClientRequest", {name for name, method in METHODS.items() if not method.extension} - {"getAuthStatus"}),
        ("ServerNotification", {NOTIFICATIONS[body] for body in NOTIFICATIONS.keys() - EXTENSION_NOTIFICATIONS}),
        ("ServerRequest", {asked.method for asked in SERVER_REQUESTS}),
    ],
)
def test_a_message_that_both_have_is_in_the_same_envelope(peer: Peer, envelope: str, shared: set[str]) -> None:
    """With params of the same name, which may be left out where they may be there; and under the same title.

    That of a notification is the name of its params too, and so has no such ending here.
    """
    ours = {
        each["properties"]["method"]["enum"][0]: each for each in json.loads(FILES[f"{envelope}.json"])["oneOf"]
    }
    theirs = peer.envelope(envelope)
    for method in shared:
        title = theirs[method]["title"]
        assert ours[method]["title"] == (
            title.removesuffix("Notification") if envelope == "ServerNotification" else title
        )
        assert ours[method]["properties"]["params"] == theirs[method]["properties"]["params"]
        assert {*ours[method]["required"]} - {"emittedAtMs"} == {*theirs[method]["required"]}


def test_a_type_that_both_have_is_in_the_same_file(peer: Peer, tmp_path: Path) -> None:
    """Of those that `generate-ts` writes; and what is nowhere else is ours, a part, or of JSON-RPC."""
    out = str(tmp_path / "ts")
    command = [str(peers.fetch(CODEX_VERSION)), "app-server", "generate-ts", "--experimental", "--out", out]
    environ = {**os.environ, "CODEX_HOME": str(tmp_path)}
    subprocess.run(command, env=environ, check=True, capture_output=True, timeout=50)
    theirs = {path.relative_to(tmp_path / "ts").as_posix() for path in (tmp_path / "ts").rglob("*.ts")}
    names = {path.rpartition("/")[2]: path for path in theirs if not path.endswith("index.ts")}
    ours = {path for path in render_type_files() if not path.startswith("accountd/")}
    both = {path: names[name] for path in ours if (name := path.rpartition("/")[2]) in names}
    assert len(both) > 50
    assert {path: other for path, other in both.items() if path != other} == {}
