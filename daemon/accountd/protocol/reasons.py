"""The reason of an error in one word, which is what a program decides by: `data.accountd.reason`, ours.

The words of an error are for a person, and may change. Its code says little: a login that is no longer accepted and
a disk that is full have the same. So a client that declares the extension is told the class of the error as well. A
class that says no more than that something failed is passed over for the one that it came from: the reason of
`failed to save api key: …` is why it was not saved.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from accountd import errors

_KINDS: Final = (
    errors.ParseError,
    errors.InvalidRequest,
    errors.NotLoggedIn,
    errors.LoginMethodForbidden,
    errors.DeviceCodesDisabled,
    errors.ExternalTokensActive,
    errors.NoSuchAccount,
    errors.AmbiguousAccount,
    errors.ShuttingDown,
    errors.MethodNotFound,
    errors.Overloaded,
    errors.RequestFailed,
    errors.PortUnavailable,
    errors.AgentUnavailable,
    errors.AgentSilent,
    errors.ClientFailed,
    errors.LoginFailed,
    errors.LoginDenied,
    errors.LoginCancelled,
    errors.PortYielded,
    errors.DaemonEnding,
    errors.LoginTimedOut,
    errors.WorkspaceForbidden,
    errors.RequirementsUnavailable,
    errors.RefreshRefused,
    errors.RefreshFailed,
    errors.IssuerUnreachable,
    errors.RemoteUnreachable,
    errors.RemoteTooSlow,
    errors.UnusableProxy,
    errors.UnusableBundle,
    errors.RemoteRefused,
    errors.StorageError,
    errors.MalformedRecord,
    errors.UnreadableRecord,
    errors.CredentialsLocked,
    errors.KeyringError,
    errors.KeyringAbsent,
    errors.KeyringLocked,
)

REASONS: Final = {kind: f"{kind.__name__[0].lower()}{kind.__name__[1:]}" for kind in _KINDS}
"""What each class is called on the wire. docs/protocol.md says what it means for a client."""

EXTENSION: Final = "extensions.accountd"
"""The capability that a client declares to be told of what is ours."""

CAPABILITY: Final = "capability: "
"""How the comment of a schema begins that says what a client has to declare."""

OF_THE_EXTENSION: Final = msgspec.Meta(extra_json_schema={"$comment": f"{CAPABILITY}{EXTENSION}"})
"""Marks a member that others are not sent."""

_SAY_LITTLE: Final = (errors.InvalidRequest, errors.RequestFailed, errors.LoginFailed)


class ErrorReason(msgspec.Struct, frozen=True):
    """Why, in one word for a program to decide by. A later version may have others.

    `candidates` are the accounts that may be meant by an ambiguous name, by names that mean one each.
    """

    reason: Annotated[str, msgspec.Meta(extra_json_schema={"examples": [*REASONS.values()]})]
    candidates: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


def explain_reason(error: BaseException) -> ErrorReason:
    """Make what is told of an error besides its words."""
    match error:
        case errors.AmbiguousAccount(candidates=candidates):
            return ErrorReason(find_reason(error), tuple(candidates))
    return ErrorReason(find_reason(error))


def find_reason(error: BaseException) -> str:
    """Name an error by its class, or by that of its cause where its own says little."""
    cause = error.__cause__
    if type(error) in _SAY_LITTLE and isinstance(cause, _KINDS) and cause is not error:
        return find_reason(cause)
    return next(REASONS[kind] for kind in type(error).__mro__ if kind in REASONS)
