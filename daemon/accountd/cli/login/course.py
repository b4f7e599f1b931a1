"""The course of a login that a person approves: its start, the wait for its end, and what may come between.

Whether the person approves by code or in a browser makes no difference here but for the paste.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from accountd.cli.account import Account, read_account
from accountd.cli.exits import ERROR, OK, SIGNALLED, Failure
from accountd.cli.terminal import complain
from accountd.client.errors import CallFailed, ClientError, Interrupted, read_reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.cli.interrupts import Interrupts
    from accountd.cli.login.paste import PasteReader
    from accountd.cli.login.report import Report
    from accountd.client.blocking import Client

_STARTING = 60.0
"""Seconds that the daemon may take to begin a login: to get a code from the issuer, or a port."""
_GRACE = 60.0
"""Seconds more that the daemon may take, for a last poll, and to store what it got."""
_CANCELLING = 10.0
"""Seconds a cancelled login may take to end; a cancel that meets a login being stored waits for that."""


class Way(NamedTuple):
    """A way to log in: its `type` in the protocol, and for how many seconds such a login is open.

    The daemon ends it; the lifetime is what is told here. A start that fails for the reason `closed` means that
    this way cannot be gone here, and that the verb `instead` may help.
    """

    type: str
    lifetime: float
    closed: str
    instead: str


class Course:
    """One login of one connection. `paste` takes the addresses that a person pastes while it waits."""

    def __init__(
        self, client: Client, report: Report, interrupts: Interrupts, paste: PasteReader | None = None
    ) -> None:
        self._client = client
        self._report = report
        self._interrupts = interrupts
        self._paste = paste

    def run(self, way: Way, show: Callable[[dict[str, Any]], None]) -> int:
        """Log in, and give the exit code. `show` is given the result of the start, for the person to see.

        Raises Interrupted at a second signal.
        """
        asked = self._client.send("account/login/start", {"type": way.type})
        try:
            login = self._client.wait_response(asked, _STARTING, self._interrupts.readable)
        except Interrupted:
            return self._abandon(asked)
        except CallFailed as error:
            if error.reason != way.closed:
                raise
            complain(error.message)
            raise Failure(f"try `{way.instead}`") from error
        login_id = login["loginId"]
        try:
            show(login)
            end = self._wait_for_end(login_id, way.lifetime)
        except Interrupted:
            return self._cancel(login_id)
        except OSError:  # of stdout: nobody can read what there is to do
            self._client.call("account/login/cancel", {"loginId": login_id})
            raise
        if end is None:
            self._client.call("account/login/cancel", {"loginId": login_id})
            raise Failure("the daemon did not end the login in time; it is cancelled, please try again")
        if not end.get("success"):
            self._report.failed(str(end.get("error")), read_reason(end))
            return ERROR
        self._report.logged_in(who(self._client, Account("chatgpt"), self._interrupts))
        return OK

    def _abandon(self, asked: int) -> int:
        """Cancel a login that has not been seen to begin.

        Nobody can have approved it, so nothing can be stored. One that is just beginning is cancelled in good
        order; a start that is not even answered ends with this connection.
        """
        exit_code = SIGNALLED + self._interrupts.take()
        with contextlib.suppress(ClientError):
            login = self._client.wait_response(asked, timeout=1.0, interrupt=self._interrupts.readable)
            self._call("account/login/cancel", {"loginId": login["loginId"]})
        self._report.cancelled()
        return exit_code

    def _wait_for_end(self, login_id: str, lifetime: float) -> dict[str, Any] | None:
        """Wait for the completion of this login; None if it does not come in its lifetime and grace."""
        ends_at = time.monotonic() + lifetime
        try:
            with self._paste or contextlib.nullcontext():
                self._ask_for_paste()
                while (left := ends_at - time.monotonic()) > -_GRACE:
                    self._report.waiting(left)
                    # A countdown has to be told each second; else there is nothing to wake up for.
                    pause = left % 1 or 1.0 if self._report.ticks else left + _GRACE
                    end = self._completion_or_paste(login_id, pause)
                    if end is not None:
                        return end
        finally:
            self._interrupts.take_wake()  # of a line that came together with the end
            self._report.waited()
        return None

    def _completion_or_paste(self, login_id: str, timeout: float) -> dict[str, Any] | None:
        """Wait for the completion, or hand in what was pasted. Raises Interrupted for a signal alone."""
        try:
            return self._completion(login_id, timeout)
        except Interrupted:
            if self._paste is None or not self._interrupts.take_wake():
                raise
        pasted = self._paste.take()
        self._report.took_paste()
        try:
            if pasted:
                self._call("account/login/submitCallback", {"loginId": login_id, "callbackUrl": pasted.reveal()})
                self._report.accepted_paste()
                return None
        except CallFailed as error:
            complain(error.message)
        self._ask_for_paste()
        return None

    def _ask_for_paste(self) -> None:
        if self._paste is not None:
            self._report.ask_for_paste()
            self._paste.ask()

    def _completion(self, login_id: str, timeout: float) -> dict[str, Any] | None:
        """Wait for the completion of this login, and tell of its steps; those of others are no business of ours."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            notification = self._client.next_notification(left, self._interrupts.readable)
            if notification is None or notification.params.get("loginId") != login_id:
                continue
            if notification.method == "account/login/completed":
                return notification.params
            if notification.method == "account/login/progress":
                self._report.progressed(notification.params)
        return None

    def _cancel(self, login_id: str) -> int:
        """Cancel the login, and tell what became of it: a login may be completed just before its cancel."""
        exit_code = SIGNALLED + self._interrupts.take()
        reply = self._call("account/login/cancel", {"loginId": login_id})
        end = self._completion(login_id, _CANCELLING)
        if end is not None and end.get("success"):
            self._report.logged_in(who(self._client, Account("chatgpt"), self._interrupts), too_late=True)
            return OK
        if reply.get("status") == "canceled":
            self._report.cancelled()
        elif end is not None:
            self._report.failed(str(end.get("error")), read_reason(end))
        else:
            raise Failure("the daemon knows this login no more; see `accountd status` for what became of it")
        return exit_code

    def _call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        return self._client.call(method, params, interrupt=self._interrupts.readable)


def who(client: Client, known: Account, interrupts: Interrupts | None = None) -> Account:
    """Ask who is logged in now. The login is complete, so that this fails does not make it fail."""
    try:
        return read_account(client, interrupts.readable if interrupts else None)
    except ClientError as error:
        return known._replace(trouble=str(error))
    except Interrupted:
        return known._replace(trouble="not waited for")
