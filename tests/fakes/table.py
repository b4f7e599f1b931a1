"""What the table of methods declares, held to what a test has heard: nothing but that type, and all of it."""

from __future__ import annotations

from typing import Any

import msgspec

from accountd.protocol.methods import METHODS, NOTIFICATIONS, SERVER_REQUESTS

_TOLD = {method: body for body, method in NOTIFICATIONS.items()}
_ASKED = {request.method: request.params for request in SERVER_REQUESTS}


def check_reply(method: str, result: Any) -> None:
    """Fail if a result is not of the type that the table has for the method, with exactly its members."""
    _check(result, METHODS[method].result, f"the reply to {method}")


def check_message(message: dict[str, Any]) -> None:
    """Fail if a notification, or what a client is asked, is none of the tables', or not of its type there."""
    method = message["method"]
    _check(message["params"], (_ASKED if "id" in message else _TOLD)[method], method)


def _check(body: Any, declared: Any, name: str) -> None:
    # What a type lets through without a look, such as a member that it does not know, does not come back from it.
    again = msgspec.json.decode(msgspec.json.encode(msgspec.convert(body, declared)))
    assert again == body, f"{name} is not what the table declares"
