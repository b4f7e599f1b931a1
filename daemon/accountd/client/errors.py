"""What can go wrong between a client and the daemon.

ClientError
├─ DaemonUnreachable     no connection: the path, its permissions, or who serves it
│  ├─ NothingListens         nobody is there; the one that starting a daemon can mend
│  └─ DaemonNotStarted       nobody is there, and starting a daemon has failed
├─ ConnectionLost        there was one: the other side closed it, or sent what is not the protocol
├─ CallTimedOut          no answer within the time that the caller gave; the connection can still be used
├─ CallFailed            the daemon answered with an error
├─ AnswerUnknown         the daemon answered with something that this version of the library does not know
└─ LoginFailed           a login has ended, and nobody new is logged in

Interrupted is no failure: the caller's own `interrupt` became readable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


class ClientError(Exception):
    """Any failure that this library foresees. The message is one for a person."""


class DaemonUnreachable(ClientError):
    """No connection could be had."""


class NothingListens(DaemonUnreachable):
    """There is no socket, or one that its daemon left behind."""


class DaemonNotStarted(DaemonUnreachable):
    """There was no daemon, and the one that was started did not come up; the message quotes its last words."""


class ConnectionLost(ClientError):
    """The connection ended before what was waited for came."""


class CallTimedOut(ClientError):
    """The daemon is there, but has not answered. An answer that comes later is dropped."""


class CallFailed(ClientError):
    """The daemon's error: `code` is JSON-RPC's, `message` what the daemon says.

    `reason` is what to decide by: one of those in docs/protocol.md, or a newer one; None of a server that has none.
    `candidates` are the names of which each means one account, where the one that was given means several.
    """

    def __init__(self, code: int, message: str, reason: str | None = None, candidates: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.candidates = candidates


class AnswerUnknown(ClientError):
    """The result is none that the protocol of this version has; the daemon is another version, most likely."""


class LoginFailed(ClientError):
    """The login was denied, cancelled by anybody, replaced by a newer one, or failed.

    The message says which to a person, and `reason` to a program, as in CallFailed.
    """

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class Interrupted(Exception):
    """A wait was ended by its `interrupt`. Nothing is lost: the same thing can be waited for again."""


def read_error(error: Mapping[str, Any]) -> CallFailed:
    """Make the error of an answer that is one."""
    data = error.get("data")
    return CallFailed(error["code"], error["message"], read_reason(data), read_candidates(data))


def read_reason(data: object) -> str | None:
    """Return the reason in the `data` of an error, or in the completion of a login; None if none is given."""
    match data:
        case {"accountd": {"reason": str(reason)}}:
            return reason
    return None


def read_candidates(data: object) -> list[str]:
    """Return the names in the `data` of an error of which each means one account; none if none are given."""
    match data:
        case {"accountd": {"candidates": [*names]}}:
            return [name for name in names if isinstance(name, str)]
    return []
