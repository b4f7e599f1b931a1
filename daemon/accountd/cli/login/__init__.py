"""`accountd login`: its command line. What each way to log in does is in `ways`."""

from __future__ import annotations

from argparse import SUPPRESS
from typing import TYPE_CHECKING

from accountd.cli.exits import USAGE, Failure
from accountd.cli.options import add_client_options

if TYPE_CHECKING:
    import argparse

    from accountd.cli.parsing import Subparsers

_EPILOG = """\
The login belongs to the daemon: it serves every client on this machine.
Ctrl-C and SIGTERM cancel it (exit code 130 or 143). If they come too late,
because it has just been completed, this says so and exits with 0.

It adds an account: a person in a workspace. The same one again takes the place
of its older login; another one is the active account from then on, and the one
before is kept, as `accountd accounts` lists it. With --account, the issuer is
told whom to expect. A pinned folder and $ACCOUNTD_ACCOUNT make no difference.

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
browserOpened; "progress" with state (exchanging, committing, or waiting with
retries and retryCause, if the issuer is in trouble); then "completed" with
success and the account, whose id in `accountd accounts` is accountId, or the
error and its reason, or "cancelled"; or
"lost" with an error, if the daemon could not tell how it ended. The last
three end it; a login that cannot begin is "completed" without a start. It
asks for no address; a program that has one hands it in with
account/login/submitCallback.

examples:
  accountd login
  accountd login --qr --copy
  accountd login --browser
  accountd login --keep-active --as work
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
    parser.add_argument(
        "--keep-active", action="store_true", help="add the account, and leave the one that is active as it is"
    )
    parser.add_argument("--as", dest="alias", metavar="ALIAS", help="what the account is called from now on")
    parser.add_argument(
        "--account", metavar="NAME", help="log this account in again; anybody else, or elsewhere, is refused"
    )
    parser.add_argument("--qr", action="store_true", help="show the page's address as a QR code too")
    parser.add_argument("--copy", action="store_true", help="copy the code to the clipboard")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each event")
    parser.add_argument("strays", nargs="*", help=SUPPRESS)  # taken, to be refused without repeating them
    add_client_options(parser)
    parser.set_defaults(run=run, has_events=True)


def run(args: argparse.Namespace) -> int:
    """Log in, and give the exit code."""
    if args.strays:
        raise Failure("`login` takes nothing; an API key is read from stdin, never from the command line", USAGE)
    if args.no_browser and not args.browser:
        raise Failure("--no-browser goes with --browser; a login with a code opens none", USAGE)
    _check_comforts(args)
    from accountd.cli.login.ways import log_in  # --help needs none of it

    return log_in(args)


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
