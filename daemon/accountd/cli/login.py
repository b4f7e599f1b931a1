"""`accountd login`: with a code that is typed into a browser anywhere, with a browser, or with an API key."""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS
from functools import partial
from typing import TYPE_CHECKING, Any

from accountd.cli.account import Account
from accountd.cli.exits import OK, SIGNALLED, USAGE, Failure
from accountd.cli.interrupts import Interrupts
from accountd.cli.login_course import Course, Way, who
from accountd.cli.login_report import JsonReport, Report, TextReport
from accountd.cli.options import add_client_options, connect
from accountd.client.errors import Interrupted
from accountd.secret import Secret

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers
    from accountd.client.blocking import Client

_CODE = Way(
    "chatgptDeviceCode", 15 * 60.0, closed="device code login is not enabled", instead="accountd login --browser"
)
_BROWSER = Way("chatgpt", 10 * 60.0, closed="failed to start login server", instead="accountd login")
_LONGEST_KEY = 64 * 1024

_EPILOG = """\
The login belongs to the daemon: it serves every client on this machine.
Ctrl-C and SIGTERM cancel it (exit code 130 or 143). If they come too late,
because it has just been completed, this says so and exits with 0.

With --browser, the browser must reach this machine at the end. Where it does
not, as over SSH, paste the address that it ends on: on a terminal it is asked
for. A browser is opened if there is one here: the one that $BROWSER names, or
the usual one; none in a remote session, without a display, or if $BROWSER is
empty or `none`.

With --qr, the page is also a picture for a phone to scan, if stdout is a
terminal of 33 columns at least. Without colours (NO_COLOR) it is right on a
dark background, and a negative on a light one. With --copy, the code goes to
pbcopy, wl-copy, xclip, xsel or clip.exe, whichever is here; over SSH, or if
none is, to the terminal (OSC 52), and in tmux to tmux, which passes it on.

With --json, each event is one object on a line: "started" with loginId,
expiresIn (seconds) and verificationUrl and userCode, or authUrl and
browserOpened; then "completed" with success and the account or the error, or
"cancelled". It asks for no address; a program that has one hands it in with
account/login/submitCallback.

examples:
  accountd login
  accountd login --qr --copy
  accountd login --browser
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
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--browser", action="store_true", help="log in with a browser on this machine, without a code"
    )
    ways.add_argument("--with-api-key", action="store_true", help="log in with an OpenAI API key, read from stdin")
    parser.add_argument(
        "--no-browser", action="store_true", help="with --browser: open none, only print the address"
    )
    parser.add_argument("--qr", action="store_true", help="show the page's address as a QR code too")
    parser.add_argument("--copy", action="store_true", help="copy the code to the clipboard")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each event")
    parser.add_argument("strays", nargs="*", help=SUPPRESS)  # taken, to be refused without repeating them
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Log in, and give the exit code."""
    if args.strays:
        raise Failure("`login` takes nothing; an API key is read from stdin, never from the command line", USAGE)
    if args.no_browser and not args.browser:
        raise Failure("--no-browser goes with --browser; a login with a code opens none", USAGE)
    _check_comforts(args)
    report: Report = JsonReport() if args.json else _make_report(args)
    if args.with_api_key:
        key = _read_api_key()
        with connect(args) as client:
            client.call("account/login/start", {"type": "apiKey", "apiKey": key.reveal()})
            report.logged_in(who(client, Account("apikey")))
        return OK
    with connect(args) as client, Interrupts() as interrupts:
        try:
            if args.browser:
                return _log_in_with_browser(client, report, interrupts, may_open=not args.no_browser)
            return Course(client, report, interrupts).run(_CODE, partial(report.show_code, lifetime=_CODE.lifetime))
        except Interrupted:  # for the second time
            text = "left without waiting for the daemon; see `accountd status` for what became of the login"
            raise Failure(text, SIGNALLED + interrupts.take()) from None


def _check_comforts(args: argparse.Namespace) -> None:
    """Refuse what helps with a code where there is none, or where it is not a person who is told."""
    for name in (name for name in ("qr", "copy") if getattr(args, name)):
        if args.browser and name == "qr":
            text = "the address of --browser is too long for a QR code, and leads back to this machine"
            raise Failure(f"{text}; --qr goes with a login with a code", USAGE)
        if args.browser or args.with_api_key:
            raise Failure(f"--{name} goes with a login with a code", USAGE)
        if args.json:
            raise Failure(f"--{name} is for people; a program finds the page and the code in the JSON", USAGE)


def _make_report(args: argparse.Namespace) -> TextReport:
    return TextReport(asks=args.browser and _can_paste(), qr=args.qr, copy=_copy if args.copy else None)


def _copy(code: str) -> str:
    """Copy the code, and say what became of it."""
    from accountd.adapters.clipboard import NoClipboard, Program, choose_clipboard, copy  # for --copy alone

    clipboard = choose_clipboard(os.environ)
    failed = clipboard if isinstance(clipboard, NoClipboard) else copy(clipboard, code, os.environ)
    if failed is not None:
        return f"The code is not in the clipboard: {failed.reason}."
    if isinstance(clipboard, Program) and clipboard.certain:
        return "The code is in the clipboard."
    return "The code was sent to the terminal's clipboard; not every terminal takes it."


def _log_in_with_browser(client: Client, report: Report, interrupts: Interrupts, *, may_open: bool) -> int:
    from accountd.cli.paste import PasteReader  # threads and terminals are for this way alone

    def show(login: dict[str, Any]) -> None:
        reason = _open_browser(str(login["authUrl"])) if may_open else ""
        report.show_page(login, _BROWSER.lifetime, no_browser=reason)

    paste = PasteReader(interrupts.wake) if report.asks else None
    return Course(client, report, interrupts, paste).run(_BROWSER, show)


def _can_paste() -> bool:
    from accountd.cli.paste import can_paste  # as above

    return can_paste()


def _open_browser(url: str) -> str | None:
    """Open the browser, if there is one; give the reason if not."""
    from accountd.adapters.browser import NoBrowser, choose_browser, open_browser  # for this way alone

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
            return ""
        except getpass.GetPassWarning:
            raise Failure("this terminal would show the API key; pipe it in instead", USAGE) from None
