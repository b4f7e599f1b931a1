"""What we send, held to the real app-server's schemas: whatever our types allow, and what is really said.

It is valid for its clients, and each object has exactly the members that theirs has: no more, and no fewer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from jsonschema import Draft7Validator

from accountd.protocol.account import AccountLoginCompleted
from accountd.protocol.methods import EXTENSION_NOTIFICATIONS, METHODS, NOTIFICATIONS, SERVER_REQUESTS
from accountd.protocol.requirements import ConfigRequirementsReadResponse
from accountd.protocol.sessions import AccountSessionsSwitchResponse
from accountd.requirements.rendering import render_response
from accountd.requirements.toml import RequirementsToml
from fakes.conversation import hold_conversation
from fakes.instances import as_json, instances_of
from peer.members import find_odd_members

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio.testing

    from compat.peers import Peer

pytestmark = pytest.mark.timeout(600)  # the first of these tests fetches the app-server

REPLIES = {
    name: method.result for name, method in METHODS.items() if not method.extension and name != "getAuthStatus"
}
"""What is answered to the methods that its schema knows too; of `getAuthStatus` it does not speak."""

TOLD = {name: body for body, name in NOTIFICATIONS.items() if body not in EXTENSION_NOTIFICATIONS}
FILES = {
    "initialize": "v1/InitializeResponse.json",
    "account/login/start": "v2/LoginAccountResponse.json",
    **{name: f"v2/{body.__name__}Notification.json" for name, body in TOLD.items()},
    **{asked.method: f"{asked.params.__name__}.json" for asked in SERVER_REQUESTS},
}
"""Where its schema has a message, if not in the file of our type's name."""


APART = (ConfigRequirementsReadResponse, AccountSessionsSwitchResponse)
"""What has a test of its own: of the second its schema says `login_id` and `auth_url`, and its wire otherwise."""


def check(peer: Peer, method: str) -> Callable[[Any], None]:
    """Give a check of what the server says of a method against its schema."""
    schema = peer.schema(FILES.get(method) or f"v2/{REPLIES[method].__name__}.json")
    validator = Draft7Validator(schema)

    def check(body: Any) -> None:
        validator.validate(body)
        assert not [*find_odd_members(schema, body)]

    return check


@pytest.mark.parametrize(
    ("method", "declared"),
    [
        *((name, result) for name, result in REPLIES.items() if result not in APART),
        *TOLD.items(),
        *((asked.method, asked.params) for asked in SERVER_REQUESTS),
    ],
)
def test_whatever_our_types_allow_is_valid_for_the_peer(peer: Peer, method: str, declared: Any) -> None:
    """There is no result, notification or question that we could make and its clients could not read."""
    check_body = check(peer, method)

    @given(instances_of(declared))
    def send(body: Any) -> None:
        check_body(as_json(body.as_stock() if isinstance(body, AccountLoginCompleted) else body))

    send()


@pytest.mark.parametrize("field", msgspec.structs.fields(RequirementsToml), ids=lambda field: field.name)
def test_whatever_is_required_is_valid_for_the_peer(peer: Peer, field: Any) -> None:
    """What a file of an organisation may say of anything is told as its clients know it."""
    check_body = check(peer, "configRequirements/read")

    @given(instances_of(field.type))
    def send(value: Any) -> None:
        values = RequirementsToml(**{field.name: value})
        check_body(as_json(render_response(values, ("api", "chatgpt"))))

    send()


async def test_what_is_really_said_is_valid_for_the_peer(
    peer: Peer, loopback: None, autojump_clock: trio.testing.MockClock
) -> None:
    """A client that uses everything hears nothing that a client of the app-server could not read.

    But for the reasons of failed logins, which such a client is not sent, and for what its schema writes wrongly.
    """
    talker = await hold_conversation()
    for each in talker.notifications:
        each.body.pop("accountd", None)
    (started,) = (
        each.body for each in talker.results if each.method == "accountSession/switch" and "loginId" in each.body
    )
    started |= {"login_id": started.pop("loginId"), "auth_url": started.pop("authUrl")}
    shared = REPLIES.keys() | TOLD.keys() | {asked.method for asked in SERVER_REQUESTS}
    heard = [each for each in (*talker.results, *talker.notifications, *talker.questions) if each.method in shared]
    assert {each.method for each in heard} == shared
    for each in heard:
        check(peer, each.method)(each.body)
        if "result" not in each.message:
            envelope = "ServerRequest" if "id" in each.message else "ServerNotification"
            Draft7Validator(peer.schema(f"{envelope}.json")).validate(each.message)
