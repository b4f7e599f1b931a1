"""What a person, or a program, is told while a login goes on that somebody has to approve."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING

from accountd.cli.exits import Failure
from accountd.cli.terminal import Screen, StatusLine, complain, fold, one_line, say
from accountd.client.errors import CallFailed, CallTimedOut, ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.cli.account import Account
    from accountd.cli.login.added import Added
    from accountd.client.blocking import BrowserLogin, DeviceCodeLogin
    from accountd.client.errors import ClientError
    from accountd.client.results import AccountLoginProgress
    from accountd.errors import AccountdError

_HINTS = {
    "loginCancelled": "cancelled by another client, or replaced by another login",
    "daemonEnding": "the daemon was told to end; log in again, which starts another one",
    "portYielded": "another program on this machine asked for the port",
}
"""What a person does not see from the protocol's words, by the reason."""

_WAITING = ("Waiting for approval", "Waiting")
_RETRYING = ("The issuer tells nothing yet", "No answer")
_FINISHING = ("Approved; finishing", "Approved")
"""What a login is at, in words and in short."""


class TextReport:
    """Text for a person. On a terminal the time that is left is rewritten in place; elsewhere nothing is.

    With `asks` there is a prompt instead, for the address that the browser ends on: a countdown would write over
    what is being typed. With `qr` a page to go to is also a picture. `copy` takes a code to the clipboard,
    and says what became of it.
    """

    tells_replaced = True

    def __init__(self, *, asks: bool = False, qr: bool = False, copy: Callable[[str], str] | None = None) -> None:
        self.asks = asks
        self._qr = qr
        self._copy = copy
        self._screen = Screen.of(sys.stdout)
        self._status_line = StatusLine(sys.stdout) if self._screen.is_terminal and not asks else None
        self._behind_prompt = False
        self._doing = _WAITING
        self._cause: str | None = None

    @property
    def ticks(self) -> bool:
        """Return True if `waiting` wants to be called each second."""
        return self._status_line is not None

    def replaces(self, account: Account) -> None:
        """Say who is logged in now, if anybody is."""
        if account.mode is not None:
            kept = "if that is of another account, this one is kept (`accountd accounts`)"
            self._tell(f"{account.headline()} The new login will be in use instead; {kept}.")

    def show_code(self, login: DeviceCodeLogin) -> None:
        """Say what there is to do with a code, and within which time."""
        style, page, code = self._screen.style, login.url, login.code
        self._tell("Open this page in a browser, on this machine or any other:")
        say(f"\n    {style.bold(one_line(page))}\n")
        if self._qr:
            self._draw(page)
        self._tell("and enter this code:")
        say(f"\n    {style.bold(style.green(one_line(code)))}\n")
        if self._copy is not None:
            self._tell(self._copy(code))
        self._tell("Only type the code if you started this login yourself: it opens your account.")
        self._say_limit(login.lifetime)

    def show_page(self, login: BrowserLogin, no_browser: str | None) -> None:
        """Say what there is to do in a browser: None if one was opened, else why not, or an empty string."""
        if no_browser is None:
            self._tell("A browser is being opened. If it does not show this page, open it yourself:")
        else:
            if no_browser:
                self._tell(f"No browser is opened: {no_browser}.")
            self._tell("Open this page in a browser, on this machine or any other:")
        # Without an indent: it is longer than a line, and copied.
        say(f"\n{self._screen.style.bold(one_line(login.url))}\n")
        self._say_limit(login.lifetime)
        if no_browser:
            self._tell("`accountd login`, without --browser, gives a code to type instead.")
        if self.asks:
            self._tell("If the browser cannot reach this machine, paste the address it ends on here:")

    def progressed(self, login: AccountLoginProgress) -> None:
        """Know what is waited for, to be shown with the time that is left. What is in the way is told once."""
        if login["retries"]:
            self._doing = _RETRYING
            cause = one_line(str(login["retryCause"])).rstrip(".")
            if cause != self._cause:
                self._cause = cause
                self._tell(f"{cause[:1].upper()}{cause[1:]}. This is tried again until the code expires.")
        else:
            self._doing = _WAITING if login["state"] == "waiting" else _FINISHING

    def waiting(self, left: float) -> None:
        """Show how many seconds are left."""
        if self._status_line is not None:
            minutes, seconds = divmod(max(0, math.ceil(left)), 60)
            time = f"{minutes}:{seconds:02} left"
            in_words, in_short = self._doing
            self._status_line.show(
                f"{in_words} · {time} · Ctrl-C cancels",
                f"{in_short} · {time} · Ctrl-C cancels",
                f"{time} · Ctrl-C cancels",
                time,
            )

    def waited(self) -> None:
        """Take away what `waiting` showed, and leave the line of a prompt."""
        if self._status_line is not None:
            self._status_line.clear()
        if self._behind_prompt:
            self._behind_prompt = False
            say()

    def ask_for_paste(self) -> None:
        """Show where to paste."""
        sys.stdout.write("> ")
        sys.stdout.flush()
        self._behind_prompt = True

    def took_paste(self) -> None:
        """Know that a line was ended: the terminal has gone on to the next one by itself."""
        self._behind_prompt = False

    def accepted_paste(self) -> None:
        """Say that there is nothing more to do."""
        self._tell("Thank you. The login is being finished.")

    def logged_in(self, account: Account, added: Added, *, too_late: bool = False) -> None:
        """Say who is logged in now; `too_late` if the person would rather have cancelled it."""
        if too_late:
            self._tell("Too late to cancel: the login was already complete. `accountd logout` undoes it.")
        style = self._screen.style
        words = f"Logged in. {account.headline()}" if account.unneeded else account.headline()
        for line in fold(words, self._screen.width):
            say(style.bold(style.green(line)))
        if (note := added.describe()) is not None:
            self._tell(note)

    def failed(self, error: str, reason: str | None) -> None:
        """Say why nobody new is logged in."""
        hint = f" ({_HINTS[reason]})" if reason in _HINTS else ""
        complain(f"the login failed: {error}{hint}")

    def cancelled(self) -> None:
        """Say that the person's wish was done."""
        say("Login cancelled.")

    def left(self, failure: Failure | ClientError | AccountdError | None) -> None:
        """Say nothing: the command says it, on stderr."""

    def _draw(self, page: str) -> None:
        from accountd.cli.login.qr_code import draw_address  # for --qr alone

        picture = draw_address(page, self._screen)
        if isinstance(picture, str):
            complain(f"the QR code is left out: {picture}")
        else:
            say("\n".join(picture))  # its border is light, and as good as a blank line

    def _say_limit(self, lifetime: float) -> None:
        """Say how long there is, unless a countdown will; to that it leaves a blank line."""
        if self.ticks:
            say()
        else:
            ctrl_c = "; Ctrl-C cancels" if self.asks else ""
            self._tell(f"Waiting for approval, for at most {lifetime / 60:.0f} minutes{ctrl_c}.")

    def _tell(self, text: str) -> None:
        for line in fold(text, self._screen.width):
            say(line)


class JsonReport:
    """One JSON object a line, for a program."""

    asks = ticks = tells_replaced = False

    def __init__(self) -> None:
        self._retried = False
        self._begun = self._over = False

    def show_code(self, login: DeviceCodeLogin) -> None:
        """Give what the program has to show, and for how many seconds."""
        members = {"loginId": login.id, "verificationUrl": login.url, "userCode": login.code}
        self._event("started", **members, expiresIn=round(login.lifetime, 3))

    def show_page(self, login: BrowserLogin, no_browser: str | None) -> None:
        """Give what the program has to show if no browser was opened, and for how many seconds."""
        members = {"loginId": login.id, "authUrl": login.url, "browserOpened": no_browser is None}
        self._event("started", **members, expiresIn=round(login.lifetime, 3))

    def progressed(self, login: AccountLoginProgress) -> None:
        """Give each step, and each request that has to be repeated; that it waits is known from its start."""
        if login["state"] != "waiting" or login["retries"] or self._retried:
            told = {"state": login["state"], "retries": login["retries"], "retryCause": login["retryCause"]}
            self._event("progress", **told)
        self._retried = bool(login["retries"])

    def replaces(self, account: Account) -> None:
        """Say nothing: `tells_replaced` is false, and nobody is asked for it."""

    def waiting(self, left: float) -> None:
        """Say nothing: a program has a clock."""

    def waited(self) -> None:
        """Say nothing."""

    def ask_for_paste(self) -> None:
        """Say nothing: `asks` is false."""

    took_paste = accepted_paste = ask_for_paste

    def logged_in(self, account: Account, added: Added, *, too_late: bool = False) -> None:
        """Give the account; `tooLate` if the program had sent a signal to cancel."""
        self._event("completed", success=True, tooLate=too_late, **account.as_json(), **added.as_json())

    def failed(self, error: str, reason: str | None) -> None:
        """Give the daemon's words and its reason."""
        self._event("completed", success=False, error=error, reason=reason)

    def cancelled(self) -> None:
        """Say that nothing was stored."""
        self._event("cancelled")

    def left(self, failure: Failure | ClientError | AccountdError | None) -> None:
        """Give the failure of a login that was not begun; of any other, that its end is not known.

        None is a signal in a moment in which it is not known, either.
        """
        if self._over:
            return
        called = failure.__cause__ if isinstance(failure, Failure) else failure
        if self._begun or failure is None or isinstance(failure, (CallTimedOut, ConnectionLost)):
            self._event("lost", error="interrupted" if failure is None else str(failure))
        elif isinstance(called, CallFailed):
            self.failed(called.message, called.reason)
        else:
            self.failed(str(failure), None)

    def _event(self, event: str, **members: object) -> None:
        self._begun = True
        self._over = event in ("completed", "cancelled", "lost")
        say(json.dumps({"event": event, **members}))


Report = TextReport | JsonReport
