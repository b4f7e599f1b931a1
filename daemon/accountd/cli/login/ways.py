"""The ways of `accountd login`: a code to type into a browser anywhere, a browser of this machine, an API key."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from accountd.cli.account import Account, read_account
from accountd.cli.exits import OK, SIGNALLED, USAGE, Failure
from accountd.cli.foreign_servers import warn_of_foreign_servers
from accountd.cli.interrupts import Interrupts
from accountd.cli.login.added import Added, read_wishes
from accountd.cli.login.course import Course, Way
from accountd.cli.login.report import JsonReport, Report, TextReport
from accountd.cli.replacing import connect_for_network
from accountd.cli.waiting import waiting
from accountd.client.blocking import Client
from accountd.client.errors import CallFailed, CallTimedOut, ClientError, Interrupted
from accountd.errors import AccountdError
from accountd.secret import Secret

if TYPE_CHECKING:
    import argparse

    from accountd.cli.ending import Status
    from accountd.client.blocking import BrowserLogin
    from accountd.client.results import LoginWishes

_CODE = Way(Client.login_device_code, closed="deviceCodesDisabled", instead="accountd login --browser")
_BROWSER = Way(Client.login_browser, closed="portUnavailable", instead="accountd login")
_LONGEST_KEY = 64 * 1024


def log_in(args: argparse.Namespace) -> int:
    """Log in as the command line says, and give the exit code."""
    report: Report = JsonReport() if args.json else _make_report(args)
    try:
        key = _read_api_key() if args.with_api_key else None
        client, status = connect_for_network(args)
        with client:
            added, wishes = Added(client, args), read_wishes(args)
            if report.tells_replaced and not args.keep_active and args.account is None:
                _tell_replaced(client, status, report)
            if key is None:
                code = _log_in(args, client, report, added, wishes)
            else:
                code = _log_in_with_key(client, report, added, key, wishes)
            server = client.server
    except (Failure, ClientError, AccountdError) as failure:
        report.left(failure)
        raise
    except KeyboardInterrupt:
        report.left(None)
        raise
    if code == OK and not args.keep_active:
        warn_of_foreign_servers(server)
    return code


def _tell_replaced(client: Client, status: Status, report: Report) -> None:
    """Say who is logged in now, before another one is; that this cannot be told is no reason to stop."""
    if (status.get("credential") or {}).get("mode") is None:
        return
    with suppress(CallFailed, CallTimedOut), waiting("the daemon, which looks up who is logged in"):
        report.replaces(read_account(client))


def _log_in_with_key(client: Client, report: Report, added: Added, key: Secret, wishes: LoginWishes) -> int:
    with waiting("the daemon, which stores the key", goes_on="the key may be stored; `accountd status` tells"):
        client.login_api_key(key.reveal(), wishes)
    report.logged_in(added.find(Account("apikey")), added)
    return OK


def _log_in(args: argparse.Namespace, client: Client, report: Report, added: Added, wishes: LoginWishes) -> int:
    with Interrupts() as interrupts:
        client.interrupt = interrupts.readable
        try:
            if args.browser:
                way = _BROWSER._replace(start=partial(Client.login_browser, wishes=wishes))
                return _log_in_with_browser(client, report, interrupts, added, way, may_open=not args.no_browser)
            code = _CODE._replace(start=partial(Client.login_device_code, wishes=wishes))
            return Course(client, report, interrupts, added).run(code, report.show_code)
        except Interrupted:  # for the second time
            text = "left without waiting for the daemon; see `accountd status` for what became of the login"
            raise Failure(text, SIGNALLED + interrupts.take()) from None


def _make_report(args: argparse.Namespace) -> TextReport:
    return TextReport(asks=args.browser and _can_paste(), qr=args.qr, copy=_copy if args.copy else None)


def _copy(code: str) -> str:
    """Copy the code, and say what became of it."""
    from accountd.system.clipboard import NoClipboard, Program, choose_clipboard, copy  # for --copy alone

    clipboard = choose_clipboard(os.environ)
    failed = clipboard if isinstance(clipboard, NoClipboard) else copy(clipboard, code, os.environ)
    if failed is not None:
        return f"The code is not in the clipboard: {failed.reason}."
    if isinstance(clipboard, Program) and clipboard.certain:
        return "The code is in the clipboard."
    return "The code was sent to the terminal's clipboard; not every terminal takes it."


def _log_in_with_browser(
    client: Client,
    report: Report,
    interrupts: Interrupts,
    added: Added,
    way: Way[BrowserLogin],
    *,
    may_open: bool,
) -> int:
    from accountd.cli.login.paste import PasteReader  # threads and terminals are for this way alone

    def show(login: BrowserLogin) -> None:
        report.show_page(login, no_browser=_open_browser(login.url) if may_open else "")

    paste = PasteReader(interrupts.wake) if report.asks else None
    return Course(client, report, interrupts, added, paste).run(way, show)


def _can_paste() -> bool:
    from accountd.cli.login.paste import can_paste  # as above

    return can_paste()


def _open_browser(url: str) -> str | None:
    """Open the browser, if there is one; give the reason if not."""
    from accountd.system.browser import NoBrowser, choose_browser, open_browser  # for this way alone

    browser = choose_browser(os.environ)
    if not isinstance(browser, NoBrowser):
        failed = open_browser(browser, url, os.environ)
        return failed.reason if failed else None
    return browser.reason


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
            sys.stderr.write("\n")  # a Ctrl-D leaves the cursor behind the prompt
            return ""
        except getpass.GetPassWarning:
            raise Failure("this terminal would show the API key; pipe it in instead", USAGE) from None
