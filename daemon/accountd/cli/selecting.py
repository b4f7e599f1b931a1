"""Which account a verb means, and why: the one place that decides it.

`--account` says it, else ACCOUNTD_ACCOUNT, else the nearest folder above this one that is pinned, else it is the
active account. Whoever is named and is not there is an error: the active account never takes their place, since
whoever meant the one must not be given the other. Pins are in the daemon's list and not in the folders, so that a
repository which somebody has cloned chooses nothing.

The daemon knows what a name means. It is asked to have the connection mean that account, and every answer on it is
about that one from then on, whatever becomes active meanwhile.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from accountd import paths
from accountd.cli.exits import NO_ACCOUNT, Failure
from accountd.cli.terminal import complain, one_line, say
from accountd.client.errors import CallFailed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from accountd.client.blocking import Client
    from accountd.client.results import ListedAccount

VARIABLE: Final = "ACCOUNTD_ACCOUNT"

_INVALID_REQUEST: Final = -32600
"""What a daemon answers that has no list: one of an older version, or a socket that hands out tokens alone."""

_NAMELESS: Final = ("noSuchAccount", "ambiguousAccount")
"""The reasons of the daemon for a name that means no account, or several."""


class Wish(NamedTuple):
    """What a person calls the account, None for the active one; and where they have said so."""

    because: Literal["option", "environment", "folder", "active"]
    name: str | None = None
    folder: str | None = None


class Selected(NamedTuple):
    """The account that is meant, None where nobody is; and all there are, which may not be told."""

    wish: Wish
    account: ListedAccount | None = None
    accounts: Sequence[ListedAccount] = ()

    @property
    def is_told(self) -> bool:
        """Return True unless it goes without saying: where there is one account, and nobody has named any."""
        return self.wish.because != "active" or len(self.accounts) > 1

    @property
    def is_active(self) -> bool:
        """Return True if it is the one in auth.json."""
        return self.account is None or self.account["state"] == "active"

    @property
    def login(self) -> str:
        """Return the command that logs it in again."""
        named = f" --account {label(self.account)}" if self.account is not None and self.is_told else ""
        return f"accountd login{named}"

    def describe(self) -> str:
        """Say which it is, and why: `work (folder /home/ada/acme)`."""
        name = label(self.account) if self.account is not None else "nobody"
        return f"{name} ({self.describe_reason()})"

    def describe_reason(self) -> str:
        """Say where it was said."""
        reasons = {"option": "--account", "environment": VARIABLE, "folder": f"folder {self.wish.folder}"}
        return one_line(reasons.get(self.wish.because, self.wish.because))

    def as_json(self) -> dict[str, Any] | None:
        """Return the member that JSON outputs have for it."""
        if self.account is None:
            return None
        return {"id": self.account["id"], "alias": self.account["alias"], "because": self.wish.because}

    def others(self) -> str:
        """Name the others that could be used, for a person who may want one of them."""
        usable = (each for each in self.accounts if each is not self.account and not each["needsLogin"])
        return ", ".join(map(label, usable))


def label(account: ListedAccount) -> str:
    """Return the name of an account that is nobody else's, in a word without blanks."""
    return account["alias"] or account["id"]


def describe_who(account: ListedAccount) -> str:
    """Say whose an account is, and where: `ada@example.com in Acme`."""
    who = one_line(account["email"] or "") or ("an API key" if account["authMode"] == "apikey" else "somebody")
    workspace = one_line(account["workspace"]["name"] or account["workspace"]["id"] or "")
    return f"{who} in {workspace}" if workspace else who


def decide(option: str | None, variable: str, folder: str | None, pins: Mapping[str, str]) -> Wish:
    """Decide what is wished, of all that may have been said; `folder` is where one is, as a real path."""
    if option is not None:
        return Wish("option", option)
    if variable.strip():
        return Wish("environment", variable.strip())
    pinned = find_pin(pins, folder) if folder is not None else None
    return Wish("folder", pins[pinned], pinned) if pinned is not None else Wish("active")


def find_pin(pins: Mapping[str, str], folder: str) -> str | None:
    """Return the longest pinned folder that is this one or above it; both are real paths."""
    above = [each for each in pins if folder == each or folder.startswith(each.rstrip("/") + "/")]
    return max(above, key=len, default=None)


def is_named(args: argparse.Namespace) -> bool:
    """Return True if the command line or the environment has named an account."""
    return decide(getattr(args, "account", None), os.environ.get(VARIABLE, ""), None, {}).name is not None


def here() -> str | None:
    """Return the folder that one is in, as a real path; None if it has been removed."""
    try:
        return paths.tell(os.path.realpath(os.curdir))
    except OSError:
        return None


def read_accounts(client: Client) -> tuple[Sequence[ListedAccount], str | None]:
    """Ask which accounts there are, and which is active; none of a daemon that has no list."""
    try:
        listed = client.list_accounts()
    except CallFailed as error:
        if error.code != _INVALID_REQUEST:
            raise
        return (), None
    return listed["accounts"], listed["activeId"]


def select(client: Client, args: argparse.Namespace, *, by_folder: bool = True, follows: bool = False) -> Selected:
    """Have a connection mean the account of the command line, the environment or the folder, and say which that is.

    With `follows`, one that is to be the active account goes with whichever that is, and so none is told of. Raises
    Failure for the name of nobody, and of several.
    """
    accounts, active_id = read_accounts(client)
    pins = {folder: each["id"] for each in accounts for folder in each["pins"]} if by_folder else {}
    wish = decide(getattr(args, "account", None), os.environ.get(VARIABLE, ""), here(), pins)
    if wish.name is None and follows:
        return Selected(wish)
    # The active one too, if there are others: so what is told of it and what is done are about the same.
    wanted = wish.name if wish.name is not None or len(accounts) < 2 else active_id
    selected_id = active_id
    if wanted is not None:
        try:
            selected_id = client.select_account(wanted)
        except CallFailed as error:
            raise refuse(error, wish) from error
    account = next((each for each in accounts if each["id"] == selected_id), None)
    return Selected(wish, account, accounts)


def tell_person(selected: Selected) -> None:
    """Say whose it is on a terminal's stderr, where stdout is for what the next program takes."""
    if selected.is_told and selected.account is not None and sys.stderr.isatty():
        complain(f"for {describe_who(selected.account)}, {selected.describe()}")


def refuse(error: CallFailed, wish: Wish | None = None) -> Failure:
    """Say which name means none, or several, and where it was said."""
    where = f"{Selected(wish).describe_reason()}: " if wish is not None and wish.because != "option" else ""
    if error.reason not in _NAMELESS:
        if any(f"unknown variant `accountd/{room}/" in error.message for room in ("accounts", "pins")):
            return Failure("the daemon is of an older version, which knows one account alone: `accountd restart`")
        return Failure(f"{where}{error.message}", reason=error.reason)
    hint = "" if error.reason == "ambiguousAccount" else "; `accountd accounts` lists those there are"
    return Failure(f"{where}{error.message}{hint}", NO_ACCOUNT, error.reason, error.candidates)


def render_error(failure: Failure) -> dict[str, Any]:
    """Return what a program is told of it that has asked for JSON."""
    code = "ambiguous" if failure.reason == "ambiguousAccount" else "unknown"
    return {"error": {"code": code, "candidates": list(failure.candidates)}}


def tell_refusal(args: argparse.Namespace, failure: Failure) -> None:
    """Tell a program that has asked for JSON what a person is told on stderr, unless it is told of events."""
    if "has_events" in args:
        return
    if getattr(args, "json", False) or getattr(args, "format", None) == "json":
        say(json.dumps(render_error(failure)))
