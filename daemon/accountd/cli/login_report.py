"""What a person, or a program, is told while a login with a device code goes on."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

from accountd.cli.terminal import StatusLine, complain, one_line, say

if TYPE_CHECKING:
    from accountd.cli.account import Account

_WAS_REPLACED = "Login was not completed"
"""The protocol's word for a login that was cancelled, by whomever."""


class TextReport:
    """Text for a person. On a terminal the time that is left is rewritten in place; elsewhere nothing is."""

    def __init__(self) -> None:
        self._status_line = StatusLine() if sys.stdout.isatty() else None

    @property
    def ticks(self) -> bool:
        """Say whether `waiting` wants to be called each second."""
        return self._status_line is not None

    def started(self, login: dict[str, Any], lifetime: float) -> None:
        """Say what there is to do, and within how many seconds."""
        say("Open this page in a browser, on this machine or any other:")
        say(f"\n    {one_line(str(login['verificationUrl']))}\n")
        say("and enter this code:")
        say(f"\n    {one_line(str(login['userCode']))}\n")
        say("Only type the code if you started this login yourself: it opens your account.")
        if not self.ticks:
            say(f"Waiting for approval, for at most {lifetime / 60:.0f} minutes.")

    def waiting(self, left: float) -> None:
        """Show how many seconds are left."""
        if self._status_line is not None:
            minutes, seconds = divmod(max(0, math.ceil(left)), 60)
            self._status_line.show(f"Waiting for approval · {minutes}:{seconds:02} left · Ctrl-C cancels")

    def waited(self) -> None:
        """Take away what `waiting` showed."""
        if self._status_line is not None:
            self._status_line.clear()

    def logged_in(self, account: Account, *, too_late: bool = False) -> None:
        """Say who is logged in now; `too_late` if the person would rather have cancelled it."""
        if too_late:
            say("Too late to cancel: the login was already complete. `accountd logout` undoes it.")
        say(account.headline())

    def failed(self, error: str) -> None:
        """Say why nobody new is logged in."""
        hint = " (cancelled by another client, or replaced by another login)" if error == _WAS_REPLACED else ""
        complain(f"the login failed: {error}{hint}")

    def cancelled(self) -> None:
        """Say that the person's wish was done."""
        say("Login cancelled.")


class JsonReport:
    """One JSON object a line, for a program."""

    ticks = False

    def started(self, login: dict[str, Any], lifetime: float) -> None:
        """Give what the program has to show, and for how many seconds."""
        members = {name: login[name] for name in ("loginId", "verificationUrl", "userCode")}
        self._event("started", **members, expiresIn=lifetime)

    def waiting(self, left: float) -> None:
        """Say nothing: a program has a clock."""

    def waited(self) -> None:
        """Say nothing."""

    def logged_in(self, account: Account, *, too_late: bool = False) -> None:
        """Give the account; `tooLate` if the program had sent a signal to cancel."""
        self._event("completed", success=True, tooLate=too_late, **account.as_json())

    def failed(self, error: str) -> None:
        """Give the daemon's reason."""
        self._event("completed", success=False, error=error)

    def cancelled(self) -> None:
        """Say that nothing was stored."""
        self._event("cancelled")

    def _event(self, event: str, **members: object) -> None:
        say(json.dumps({"event": event, **members}))


Report = TextReport | JsonReport
