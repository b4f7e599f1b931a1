"""What we accept, held to the real app-server's schemas: whatever it may be sent, we can be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given

from accountd.protocol.methods import METHODS, SERVER_REQUESTS, parse_params
from fakes.from_schema import values_of

if TYPE_CHECKING:
    from compat.peers import Peer

pytestmark = pytest.mark.timeout(600)  # the first of these tests fetches the app-server

OTHER_CLOUDS = {"amazonBedrock", "amazonBedrockAccessKeys"}
"""Logins that are not ours: of accounts that are neither ChatGPT's nor OpenAI's."""

SHARED = [name for name, method in METHODS.items() if not method.extension and name != "getAuthStatus"]
"""The methods that its schema knows too; of `getAuthStatus` it does not speak."""


def is_refused_on_purpose(method: str, params: Any) -> bool:
    """Say whether params are a login that is not ours; or declare our own extension, but not with an object."""
    if method == "account/login/start":
        return params["type"] in OTHER_CLOUDS
    if method == "initialize":
        declared = (params.get("capabilities") or {}).get("extensions") or {}
        return not isinstance(declared.get("accountd", {}), dict | None)
    return False


@pytest.mark.parametrize("method", SHARED)
def test_what_the_peer_accepts_is_accepted(peer: Peer, method: str) -> None:
    """Params that its schema allows are read, with any members that nobody knows among them."""
    envelope = peer.envelope("ClientRequest")[method]
    schema = {**envelope["properties"]["params"], "definitions": peer.schema("ClientRequest.json")["definitions"]}
    left_out = "params" not in envelope["required"]

    @given(values_of(schema))
    def accept(params: Any) -> None:
        if not is_refused_on_purpose(method, params):
            parse_params(method, msgspec.Raw(msgspec.json.encode(params)))

    accept()
    if left_out:
        parse_params(method, msgspec.UNSET)


def test_the_logins_of_other_clouds_are_all_that_is_refused(peer: Peer) -> None:
    """Each kind of login that its schema has is one of ours, or one of those."""
    logins = peer.schema("v2/LoginAccountParams.json")["oneOf"]
    ours = {struct.__struct_config__.tag for struct in METHODS["account/login/start"].params.__args__}
    assert {login["properties"]["type"]["enum"][0] for login in logins} == ours | OTHER_CLOUDS


@pytest.mark.parametrize("asked", SERVER_REQUESTS, ids=lambda asked: asked.method)
def test_what_the_peer_may_be_answered_is_accepted(peer: Peer, asked: Any) -> None:
    """A client that answers its questions well answers ours."""

    @given(values_of(peer.schema(f"{asked.result.__name__}.json")))
    def accept(answer: Any) -> None:
        msgspec.convert(answer, asked.result)

    accept()
