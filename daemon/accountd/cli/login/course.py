"""The course of a login that a person approves: its start, the wait for its end, and what may come between.

Whether the person approves by code or in a browser makes no difference here but for the paste.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from accountd.cli.account import Account
from accountd.cli.exits import ERROR, OK, SIGNALLED, Failure
from accountd.cli.terminal import complain
from accountd.cli.waiting import waiting
from accountd.client.blocking import BrowserLogin, DeviceCodeLogin
from accountd.client.errors import CallFailed, CallTimedOut, Interrupted, LoginFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.cli.interrupts import Interrupts
    from accountd.cli.login.added import Added
    from accountd.cli.login.paste import PasteReader
    from accountd.cli.login.report import Report
    from accountd.client.blocking import Client, Login

LoginT = TypeVar("LoginT", DeviceCodeLogin, BrowserLogin)

_GRACE = 60.0
"""Seconds more than a login has that the daemon may take, for a last poll, and to store what it got."""
_CANCELLING = 10.0
"""Seconds a cancelled login may take to end; a cancel that meets a login being stored waits for that."""


class Way(NamedTuple, Generic[LoginT]):
    """A way to log in. A start that fails for the reason `closed` means that it cannot be gone here.

    Then the verb `instead` may help.
    """

    start: Callable[[Client], LoginT]
    closed: str
    instead: str


class Course:
    """One login of one connection. `paste` takes the addresses that a person pastes while it waits."""

    def __init__(
        self,
        client: Client,
        report: Report,
        interrupts: Interrupts,
        added: Added,
        paste: PasteReader | None = None,
    ) -> None:
        self._client = client
        self._added = added
        self._report = report
        self._interrupts = interrupts
        self._paste = paste

    def run(self, way: Way[LoginT], show: Callable[[LoginT], None]) -> int:
        """Log in, and give the exit code. `show` is given the login, for the person to see.

        Raises Interrupted at a second signal.
        """
        try:
            with waiting("the daemon, which asks the issuer for a login"):
                login = way.start(self._client)
        except Interrupted:
            self._report.cancelled()
            return SIGNALLED + self._interrupts.take()
        except CallFailed as error:
            if error.reason != way.closed:
                raise
            complain(error.message)
            raise Failure(f"try `{way.instead}`") from error
        with login:
            try:
                show(login)
                self._wait_for_end(login)
            except Interrupted:
                return self._cancel(login)
            except LoginFailed as error:
                self._report.failed(str(error), error.reason)
                return ERROR
        self._report.logged_in(self._added.find(Account("chatgpt")), self._added)
        return OK

    def _wait_for_end(self, login: Login) -> None:
        """Wait until the person is logged in. Raises LoginFailed, and Interrupted for a signal alone."""
        ends_at = time.monotonic() + login.lifetime
        try:
            with self._paste or contextlib.nullcontext():
                self._ask_for_paste()
                while (left := ends_at - time.monotonic()) > -_GRACE:
                    self._report.waiting(left)
                    # A countdown has to be told each second; else there is nothing to wake up for.
                    pause = left % 1 or 1.0 if self._report.ticks else left + _GRACE
                    try:
                        return login.wait(pause, self._report.progressed)
                    except CallTimedOut:
                        continue
                    except Interrupted:
                        if self._paste is None or not self._interrupts.take_wake():
                            raise
                        self._take_paste(login, self._paste)
        finally:
            self._interrupts.take_wake()  # of a line that came together with the end
            self._report.waited()
        raise Failure("the daemon did not end the login in time; it is cancelled, please try again")

    def _take_paste(self, login: Login, paste: PasteReader) -> None:
        """Hand in what was pasted, or ask again."""
        pasted = paste.take()
        self._report.took_paste()
        try:
            if pasted and isinstance(login, BrowserLogin):
                login.submit_callback(pasted.reveal())
                self._report.accepted_paste()
                return
        except CallFailed as error:
            complain(error.message)
        self._ask_for_paste()

    def _ask_for_paste(self) -> None:
        if self._paste is not None:
            self._report.ask_for_paste()
            self._paste.ask()

    def _cancel(self, login: Login) -> int:
        """Cancel the login, and tell what became of it: a login may be completed just before its cancel."""
        exit_code = SIGNALLED + self._interrupts.take()
        cancelled = login.cancel()
        try:
            login.wait(_CANCELLING)
        except (LoginFailed, CallTimedOut) as end:
            if cancelled:
                self._report.cancelled()
            elif isinstance(end, LoginFailed):
                self._report.failed(str(end), end.reason)
            else:
                text = "the daemon knows this login no more; see `accountd status` for what became of it"
                raise Failure(text) from end
            return exit_code
        self._report.logged_in(self._added.find(Account("chatgpt")), self._added, too_late=True)
        return OK
