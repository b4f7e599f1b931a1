"""What the daemon lets its clients use, so that none of them can take it from the others, each with its reason.

They are read from the table `[limits]` of our own files, `accountd.toml`, which are optional.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, get_type_hints

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from accountd.config.own import OwnFiles

_GUESTS_SHARE: Final = 8
"""How many guests it takes to have all the requests that guests may have."""

FIRST_MESSAGE: Final = 64 << 10
"""Bytes of a message of somebody who has not said who they are, or is a guest: their requests have some hundred, a
WebSocket's upgrade a few thousand."""

_GUESTS_PART: Final = 8
"""What part of the bytes that are kept for all clients is kept for all guests besides."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """All of them are whole numbers. Those below are the defaults, between the least and the most."""

    connections: Annotated[int, Meta(ge=8, le=100_000)] = 4096
    """Clients at once. Each costs some 20 KB, so that these are less than 100 MB; a machine has a few dozen."""

    requests: Annotated[int, Meta(ge=16, le=100_000)] = 1024
    """Requests of all clients together that wait for something. Nearly all wait for the same backend, or for a
    turn with the account; more would only wait longer, each with a task of its own."""

    requests_per_connection: Annotated[int, Meta(ge=1, le=100_000)] = 128
    """The same of one client, so that one that asks without end does not have all. Codex's queue has this size."""

    message_bytes: Annotated[int, Meta(ge=FIRST_MESSAGE, le=64 << 20)] = 1 << 20
    """Bytes of one message that comes in. The largest of the account protocol is a set of tokens of a few
    kilobytes. Who has not initialized itself, and who comes by a token socket, has FIRST_MESSAGE of them."""

    kept_bytes: Annotated[int, Meta(ge=8 << 20, le=16 << 30)] = 64 << 20
    """Bytes that are kept for all clients together: of messages whose end has not come, requests that wait, and
    answers that have not left. Small ones are not counted, which is all of them in honest use. A client may have no
    more of them than are left for the others."""

    outbox_bytes: Annotated[int, Meta(ge=1 << 20, le=256 << 20)] = 1 << 20
    """Bytes that wait to be sent to one client. One that lets this much pile up is not reading: an answer has a
    few hundred. It is not less, since the answers to what is read at once have to fit. One message alone may be
    larger, as an answer of the backend's may."""

    outbox_messages: Annotated[int, Meta(ge=8192, le=1_000_000)] = 16_384
    """The same in messages, each of which costs more than its bytes. What is read at once may ask for 512."""

    handshake_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 60
    """Until a client must have initialized itself. Clients do within a second of connecting, but a program may
    open its connection early and load for a while; one that never does is a mistake, and takes a place."""

    ping_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 300
    """Silence of a WebSocket client, after which it is pinged; 0 is never. The kernel tells when a process on
    this machine ends, but not when one has hung, or what is behind a forwarded socket is gone."""

    pong_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 300
    """Until one that was pinged must have said something. Long, since a program that was stopped for a while,
    or looks at its socket only when it wants something, is not gone."""

    guest_connections: Annotated[int, Meta(ge=1, le=100_000)] = 64
    """Clients of the token socket at once, besides the others: a machine has a few containers, whose scripts
    connect, ask and leave."""

    guest_requests: Annotated[int, Meta(ge=1, le=100_000)] = 64
    """Requests of all of them together that wait for something: one each. They ask for what is mostly known."""

    guest_tokens_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] = 2400
    """Tokens that are handed out to all of them together: twice what twenty containers ask for, each of which
    does so once a second. Ten seconds' worth of them may be asked for at once."""

    def of_guests(self) -> Limits:
        """Return those of the token socket, in the terms of the main one."""
        return msgspec.structs.replace(
            self,
            connections=self.guest_connections,
            requests=self.guest_requests,
            requests_per_connection=min(self.requests_per_connection, -(-self.guest_requests // _GUESTS_SHARE)),
            message_bytes=FIRST_MESSAGE,
            kept_bytes=self.kept_bytes // _GUESTS_PART,
        )


def read_limits(files: OwnFiles) -> Limits:
    """Read our files. Raises ConfigError, naming the file, the line and the key, for a value that cannot be."""
    table = {key: value for key, value in files.table("limits").items() if key in Limits.__struct_fields__}
    for key, value in table.items():
        try:
            msgspec.convert({key: value}, Limits)
        except msgspec.ValidationError as error:
            least, most = limit_range(key)
            raise files.error("limits", key, complaint=f"must be a whole number from {least} to {most}") from error
    return msgspec.convert(table, Limits)


def limit_range(name: str) -> tuple[int, int]:
    """Return the least and the most that a limit may be."""
    (bounds,) = get_type_hints(Limits, include_extras=True)[name].__metadata__
    return bounds.ge, bounds.le
