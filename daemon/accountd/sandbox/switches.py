"""What a person can have go wrong with one press: the script's knobs and faults, by name. Pure.

A fault is for the next request of its kind. Once it has happened its switch is off again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from accountd.sandbox.script import Fault, Script

if TYPE_CHECKING:
    from collections.abc import Callable

_OFF: Final = Script()


class Switch(msgspec.Struct, frozen=True):
    """Either members of the script and their values when it is on, or a fault."""

    name: str
    says: str
    members: dict[str, Any] = {}
    fault: Fault | None = None

    def is_on(self, script: Script, happened: Callable[[Fault], bool]) -> bool:
        """Return True if the script does this; `happened` tells which of its faults are over."""
        if self.fault is not None:
            return self.fault in script.faults and not happened(self.fault)
        return all(getattr(script, name) == value for name, value in self.members.items())

    def flip(self, script: Script, happened: Callable[[Fault], bool]) -> Script:
        """Return a script that does this, or does it no more; in which no fault is that has happened."""
        is_on = self.is_on(script, happened)
        faults = [fault for fault in script.faults if not happened(fault) and not self._clashes(fault)]
        if self.fault is not None and not is_on:
            faults.append(self.fault)
        members = {name: getattr(_OFF, name) for name in self.members} if is_on else self.members
        return msgspec.structs.replace(script, faults=tuple(faults), **members)

    def _clashes(self, fault: Fault) -> bool:
        return self.fault is not None and (fault.path, fault.nth) == (self.fault.path, self.fault.nth)


_TOKENS: Final = "/oauth/token"
_CODES: Final = "/api/accounts/deviceauth"
_BACKEND: Final = "/backend-api"

SWITCHES: Final[dict[str, tuple[Switch, ...]]] = {
    "Logins": (
        Switch("approve", "Approve logins with a code by itself", {"approve_after_polls": 1}),
        Switch("deny", "Deny logins with a code", {"deny": True}),
        Switch("expire", "Let their codes expire", {"expire": True}),
        Switch("disabled", "Offer no codes, as where a workspace forbids them", {"disabled": True}),
        Switch("browser-approve", "Approve browser logins, without a page", {"authorize": "approve"}),
        Switch("browser-deny", "Deny browser logins, without a page", {"authorize": "deny"}),
    ),
    "Everything": (
        Switch("slow", "Take two seconds for each answer", {"delay": 2.0}),
        Switch("short", "Give tokens that expire after a second", {"token_lifetime": 1.0}),
    ),
    "Once": (
        Switch("no-code", "Fail the next request for a code", fault=Fault(f"{_CODES}/usercode", 1, 500)),
        Switch("lost-poll", "Drop the next poll of a login", fault=Fault(f"{_CODES}/token", 1, 0)),
        Switch("no-tokens", "Fail the next request for tokens, or refresh", fault=Fault(_TOKENS, 1, 500)),
        Switch("refused", "Refuse the next request for tokens; a refresh, for good", fault=Fault(_TOKENS, 1, 401)),
        Switch(
            "lost-tokens", "Lose the answer to the next request for tokens", fault=Fault(_TOKENS, 1, 0, after=True)
        ),
        Switch(
            "no-workspace",
            "Fail the next look-up of the workspace",
            fault=Fault(f"{_BACKEND}/wham/accounts/check", 1, 500),
        ),
        Switch("no-usage", "Fail the next look at the limits", fault=Fault(f"{_BACKEND}/wham/usage", 1, 500)),
        Switch("no-turn", "Refuse the token of the next turn", fault=Fault(f"{_BACKEND}/codex/responses", 1, 401)),
    ),
}
"""Those that there are, by what they concern, in the order in which they are shown."""

BY_NAME: Final = {switch.name: switch for switches in SWITCHES.values() for switch in switches}
