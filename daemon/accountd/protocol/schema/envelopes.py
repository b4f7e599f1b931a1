"""What goes around the messages: the envelopes that are sent, and maps from a method to its types.

The envelopes are those of Codex, but that one of a notification is not called as its params are: what makes types
from both would number them. The maps are never sent; from them a client has the result of a method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from accountd.protocol.methods import EXTENSION_NOTIFICATIONS, METHODS, NOTIFICATIONS, SERVER_REQUESTS
from accountd.protocol.reasons import EXTENSION
from accountd.protocol.schema.definitions import EXPERIMENTAL, Schema, mark, name_of, nullable, ref_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accountd.protocol.methods import Method

ENVELOPES: Final = ("ClientRequest", "ServerNotification", "ServerRequest")
MAPS: Final = ("Methods", "Notifications", "ServerRequests")


def define_envelopes() -> dict[str, Schema]:
    """Make the definition of each envelope."""
    made = (
        _one_of("What a client may ask.", _requests()),
        _one_of("What the server tells.", _notifications()),
        _one_of("What the server asks of a client.", _server_requests()),
    )
    return dict(zip(ENVELOPES, made, strict=True))


def _requests() -> Iterator[Schema]:
    for name, row in METHODS.items():
        request = _call(name, _params(row), optional=row.optional or row.params is None)
        if row.extension or row.params in row.experimental:
            mark(request, EXTENSION if row.extension else EXPERIMENTAL)
        yield request


def _params(row: Method) -> Schema:
    if row.params is None:
        return {"type": "null"}
    return nullable(name_of(row.params)) if row.optional else ref_to(name_of(row.params))


def _server_requests() -> Iterator[Schema]:
    for asked in SERVER_REQUESTS:
        yield _call(asked.method, ref_to(name_of(asked.params)))


def _notifications() -> Iterator[Schema]:
    for body, method in NOTIFICATIONS.items():
        stamp = {"type": "integer", "description": "When it was sent: Unix time in milliseconds."}
        members = {"method": {"enum": [method]}, "params": ref_to(name_of(body)), "emittedAtMs": stamp}
        notification = {"title": _title(method, ""), "type": "object", "properties": members}
        notification["required"] = [*members]
        if body in EXTENSION_NOTIFICATIONS:
            mark(notification, EXTENSION)
        yield notification


def _call(method: str, params: Schema, *, optional: bool = False) -> Schema:
    """Make a request's envelope."""
    return {
        "title": _title(method, "Request"),
        "type": "object",
        "properties": {"id": ref_to("RequestId"), "method": {"enum": [method]}, "params": params},
        "required": ["id", "method"] if optional else ["id", "method", "params"],
    }


def _one_of(description: str, schemas: Iterator[Schema]) -> Schema:
    return {"description": description, "oneOf": [*schemas]}


def _title(method: str, kind: str) -> str:
    return f"{method[:1].upper()}{method[1:]}{kind}"


def define_maps() -> dict[str, Schema]:
    """Make the definition of each map."""
    methods = {
        name: _map_call(_params(row), name_of(row.result), optional=row.optional or row.params is None)
        for name, row in METHODS.items()
    }
    asked = {each.method: _map_call(ref_to(name_of(each.params)), name_of(each.result)) for each in SERVER_REQUESTS}
    told = {method: ref_to(name_of(body)) for body, method in NOTIFICATIONS.items()}
    return {
        "Methods": _map("What a client may ask: of each method the params and the result.", methods),
        "Notifications": _map("What the server tells: of each notification the params.", told),
        "ServerRequests": _map("What the server asks of a client: of each the params and the result.", asked),
    }


def _map(description: str, members: Schema) -> Schema:
    return {"description": description, "type": "object", "properties": members, "required": [*members]}


def _map_call(params: Schema, result: str, *, optional: bool = False) -> Schema:
    members = {"params": params, "result": ref_to(result)}
    required = ["result"] if optional else ["params", "result"]
    return {"type": "object", "properties": members, "required": required}
