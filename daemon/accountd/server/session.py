"""What a connection knows of its client once it has been initialized."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from accountd.codex.user_agent import render_user_agent
from accountd.errors import InvalidRequest
from accountd.protocol.methods import NOTIFICATIONS

if TYPE_CHECKING:
    from accountd.hub import Notification
    from accountd.protocol.account import InitializeParams

_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")

_MAX_NAME: Final = 256
"""Characters of a client's name, and of its version. Both are kept, and sent to the issuer."""

_NOTIFICATIONS: Final = frozenset(NOTIFICATIONS.values())


class Session(msgspec.Struct, frozen=True):
    """The rights and wishes of one client. Made by `initialize`, and the same until the connection ends.

    `client` is the name that it gave itself; `originator` the one that the issuer is told. `account` is what it
    calls the account that it means from the start, None for the active one.
    """

    client: str
    originator: str
    user_agent: str
    experimental: bool
    extension: bool
    account: str | None
    opted_out: frozenset[str]

    def wants(self, notification: Notification) -> bool:
        """Say whether a notification is to be sent to this client."""
        return notification.method not in self.opted_out and (self.extension or not notification.extension)


def open_session(params: InitializeParams, originator: str | None) -> Session:
    """Make the session that a client asks for. Raises InvalidRequest for a name that no header could carry.

    `originator` replaces the client's name where the person has configured one.
    """
    info, capabilities = params.client_info, params.capabilities
    extensions = capabilities.extensions if capabilities is not None else None
    ours = extensions.accountd if extensions is not None else None
    for field, value in (("name", info.name), ("version", info.version)):
        if len(value) > _MAX_NAME:
            raise InvalidRequest(f"Invalid clientInfo.{field}: longer than {_MAX_NAME} characters.")
    if not _HEADER_VALUE.fullmatch(info.name):
        raise InvalidRequest(f"Invalid clientInfo.name: '{info.name}'. Must be a valid HTTP header value.")
    return Session(
        client=info.name,
        originator=originator or info.name,
        user_agent=render_user_agent(originator or info.name, client=f"{info.name}; {info.version}"),
        experimental=capabilities is not None and capabilities.experimental_api,
        extension=ours is not None,
        account=ours.account if ours is not None else None,
        opted_out=_NOTIFICATIONS.intersection((capabilities and capabilities.opt_out_notification_methods) or ()),
    )
