"""A request that is passed on: what it asks for, and the bytes that it came in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from accountd.protocol.jsonrpc import RequestId

if TYPE_CHECKING:
    from accountd.rpc.peek import Envelope


class Asked(msgspec.Struct, frozen=True):
    """One request. `params` is JSON text, as it came, empty if there are none."""

    method: str
    id: RequestId
    params: bytes
    payload: bytes


def find_request(envelope: Envelope | None, payload: bytes) -> Asked | None:
    """Read a message as a request; None if it is none."""
    match envelope:
        case msgspec.Struct(method=str(method), id=int() | str() as request_id):
            params = envelope.params
            return Asked(method, request_id, bytes(params) if isinstance(params, msgspec.Raw) else b"", payload)
    return None
