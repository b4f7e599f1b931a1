"""The folder of our schema, held to that of the real app-server: what reads the one finds its way in the other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from accountd.protocol.methods import EXTENSION_NOTIFICATIONS, METHODS, NOTIFICATIONS, SERVER_REQUESTS
from accountd.protocol.schema import render_files

if TYPE_CHECKING:
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
