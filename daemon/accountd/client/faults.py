"""Why the login cannot be used, in the words that every verb and the doctor have for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_LOGGED_IN: Final = "notLoggedIn"
REFUSED: Final = "refreshRefused"
EXPIRED: Final = "refreshFailed"
UNREACHABLE: Final = "issuerUnreachable"
FORBIDDEN: Final = ("loginMethodForbidden", "workspaceForbidden")
UNREADABLE: Final = (
    "storageError",
    "malformedRecord",
    "unreadableRecord",
    "credentialsLocked",
    "keyringError",
    "keyringAbsent",
    "keyringLocked",
)
"""The reasons of these stories, as `accountd/status` tells them; the last are those of a store."""


ON_THE_WAY: Final = (
    UNREACHABLE,
    EXPIRED,
    "remoteUnreachable",
    "remoteTooSlow",
    "unusableProxy",
    "unusableBundle",
    "remoteRefused",
    "requirementsUnavailable",
)
"""The reasons of what may go well on another way to the network, or to another issuer."""


class Fault(NamedTuple):
    """A reason, and the daemon's words for what is behind it, which may be none."""

    reason: str
    words: str | None = None

    def describe(self, login: str = "accountd login") -> str:
        """Say in one sentence what is so, and what to do; it begins with a small letter.

        `login` is the command by which one logs in.
        """
        if self.reason == NOT_LOGGED_IN:
            return f"not logged in. Log in with `{login}`."
        if self.reason == REFUSED:
            why = f" ({self.words.rstrip('.')})" if self.words else ""
            refused = f"the login that is stored here is no longer accepted{why}"
            return f"not logged in: {refused}. Log in again with `{login}`."
        if self.reason in FORBIDDEN:
            return f"not logged in: what is stored is not permitted here. {self.words}"
        if self.reason in UNREADABLE:
            return f"what is stored cannot be read, so it is not known who is logged in: {self.words}"
        if self.reason == UNREACHABLE:
            return f"the access token has expired, and the issuer cannot be reached: {self.words}"
        return f"the access token has expired, and could not be refreshed: {self.words}"


def find_fault(status: Mapping[str, Any] | None) -> Fault | None:
    """Find in an `accountd/status` why the login cannot be used; None if it can, or if that is not told."""
    credential = (status or {}).get("credential")
    if not isinstance(credential, dict) or not isinstance(reason := credential.get("reason"), str):
        return None
    words = credential.get("unusedBecause")
    return Fault(reason, words if isinstance(words, str) else None)
