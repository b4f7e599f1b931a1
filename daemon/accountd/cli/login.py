"""`accountd login`: with a code that is typed into a browser anywhere, or with an API key from stdin."""

from __future__ import annotations

import contextlib
import sys
import time
from argparse import SUPPRESS
from typing import TYPE_CHECKING, Any

from accountd.cli.account import Account, read_account
from accountd.cli.exits import ERROR, OK, SIGNALLED, USAGE, Failure
from accountd.cli.interrupts import Interrupts
from accountd.cli.login_report import JsonReport, Report, TextReport
from accountd.cli.options import add_client_options, connect
from accountd.client.errors import ClientError, Interrupted
from accountd.secret import Secret

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers
    from accountd.client.blocking import Client

_STARTING = 60.0
"""Seconds that the daemon may take to get a code from the issuer."""
_LIFETIME = 15 * 60.0
"""Seconds a login with a code is open. The daemon ends it; this is what the countdown shows."""
_GRACE = 60.0
"""Seconds more that the daemon may take, for a last poll, and to store what it got."""
_CANCELLING = 10.0
"""Seconds a cancelled login may take to end; a cancel that meets a login being stored waits for that."""
_LONGEST_KEY = 64 * 1024

_EPILOG = """\
The login belongs to the daemon: it serves every client on this machine.
Ctrl-C and SIGTERM cancel it (exit code 130 or 143). If they come too late,
because it has just been completed, this says so and exits with 0.
With --json, each event is one object on a line: "started" with loginId,
verificationUrl, userCode and expiresIn (seconds); then "completed" with success
and the account or the error, or "cancelled".

examples:
  accountd login
  accountd login --with-api-key < key.txt
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "login",
        help="log in with ChatGPT, or with an API key",
        description="Log in with ChatGPT, by typing a code into a browser on any machine.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--with-api-key", action="store_true", help="log in with an OpenAI API key, read from stdin"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object for each event")
    parser.add_argument("strays", nargs="*", help=SUPPRESS)  # taken, to be refused without repeating them
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Log in, and give the exit code."""
    if args.strays:
        raise Failure("`login` takes nothing; an API key is read from stdin, never from the command line", USAGE)
    report: Report = JsonReport() if args.json else TextReport()
    if args.with_api_key:
        key = _read_api_key()
        with connect(args) as client:
            client.call("account/login/start", {"type": "apiKey", "apiKey": key.reveal()})
            report.logged_in(_who(client, Account("apikey")))
        return OK
    with connect(args) as client, Interrupts() as interrupts:
        try:
            return _log_in_with_code(client, report, interrupts)
        except Interrupted:  # for the second time
            text = "left without waiting for the daemon; see `accountd status` for what became of the login"
            raise Failure(text, SIGNALLED + interrupts.take()) from None


def _log_in_with_code(client: Client, report: Report, interrupts: Interrupts) -> int:
    asked = client.send("account/login/start", {"type": "chatgptDeviceCode"})
    try:
        login = client.wait_response(asked, _STARTING, interrupts.readable)
    except Interrupted:
        exit_code = SIGNALLED + interrupts.take()
        # Nobody has seen a code yet, so nothing can be stored. A code that is just coming is cancelled in
        # good order; a start that is not even answered ends with this connection.
        with contextlib.suppress(ClientError):
            login = client.wait_response(asked, timeout=1.0, interrupt=interrupts.readable)
            client.call("account/login/cancel", {"loginId": login["loginId"]}, interrupt=interrupts.readable)
        report.cancelled()
        return exit_code
    login_id = login["loginId"]
    try:
        report.started(login, _LIFETIME)
        end = _wait_for_end(client, login_id, _LIFETIME, report, interrupts)
    except Interrupted:
        return _cancel(client, login_id, report, interrupts)
    except OSError:  # of stdout: nobody can read the code
        client.call("account/login/cancel", {"loginId": login_id})
        raise
    if end is None:
        client.call("account/login/cancel", {"loginId": login_id})
        raise Failure("the daemon did not end the login in time; it is cancelled, please try again")
    if not end.get("success"):
        report.failed(str(end.get("error")))
        return ERROR
    report.logged_in(_who(client, Account("chatgpt"), interrupts))
    return OK


def _wait_for_end(
    client: Client, login_id: str, lifetime: float, report: Report, interrupts: Interrupts
) -> dict[str, Any] | None:
    """Wait for the completion of this login, counting down; None if it does not come in its lifetime and grace."""
    ends_at = time.monotonic() + lifetime
    try:
        while (left := ends_at - time.monotonic()) > -_GRACE:
            report.waiting(left)
            # A countdown has to be told each second; else there is nothing to wake up for.
            pause = left % 1 or 1.0 if report.ticks else left + _GRACE
            end = _completion(client, login_id, pause, interrupts)
            if end is not None:
                return end
    finally:
        report.waited()
    return None


def _completion(client: Client, login_id: str, timeout: float, interrupts: Interrupts) -> dict[str, Any] | None:
    """Wait for the completion of this login; those of others are none of this command's business."""
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        notification = client.next_notification(left, interrupts.readable)
        if notification is None or notification.method != "account/login/completed":
            continue
        if notification.params.get("loginId") == login_id:
            return notification.params
    return None


def _cancel(client: Client, login_id: str, report: Report, interrupts: Interrupts) -> int:
    """Cancel the login, and tell what became of it: a login may be completed just before its cancel."""
    exit_code = SIGNALLED + interrupts.take()
    reply = client.call("account/login/cancel", {"loginId": login_id}, interrupt=interrupts.readable)
    end = _completion(client, login_id, _CANCELLING, interrupts)
    if end is not None and end.get("success"):
        report.logged_in(_who(client, Account("chatgpt"), interrupts), too_late=True)
        return OK
    if reply.get("status") == "canceled":
        report.cancelled()
    elif end is not None:
        report.failed(str(end.get("error")))
    else:
        raise Failure("the daemon knows this login no more; see `accountd status` for what became of it")
    return exit_code


def _who(client: Client, known: Account, interrupts: Interrupts | None = None) -> Account:
    """Ask who is logged in now. The login is complete, so that this fails does not make it fail."""
    try:
        return read_account(client, interrupts.readable if interrupts else None)
    except ClientError as error:
        return known._replace(trouble=str(error))
    except Interrupted:
        return known._replace(trouble="not waited for")


def _read_api_key() -> Secret:
    """Read the key from a pipe or a file, or ask for it on a terminal without showing it. Never from argv."""
    if sys.stdin is None:
        raise Failure("there is no stdin to read the API key from", USAGE)
    if sys.stdin.isatty():
        text = _ask_for_key()
    else:
        text = sys.stdin.buffer.read(_LONGEST_KEY).decode("ascii", errors="replace").strip()
    if not text:
        raise Failure("no API key on stdin; pipe it in, as in `accountd login --with-api-key < key.txt`", USAGE)
    if len(text.split()) > 1 or not (text.isascii() and text.isprintable()):
        raise Failure("stdin does not hold an API key: it must be one line, without blanks", USAGE)
    return Secret(text)


def _ask_for_key() -> str:
    import getpass  # for this path alone
    import warnings  # as above

    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass("OpenAI API key (is not shown): ").strip()
        except EOFError:
            return ""
        except getpass.GetPassWarning:
            raise Failure("this terminal would show the API key; pipe it in instead", USAGE) from None
