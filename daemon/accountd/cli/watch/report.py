"""What `accountd watch` says of each event: a line for a person, or an object for a program."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from accountd.cli.account import render_headline
from accountd.cli.terminal import Screen, Style, fold, one_line, say
from accountd.client.errors import read_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accountd.cli.account import Account
    from accountd.cli.selecting import Selected
    from accountd.client.faults import Fault
    from accountd.client.results import AccountLoginProgress

_WAYS = {"chatgpt": "with a browser", "chatgptDeviceCode": "with a code"}


_INDENT = len("23:59:59  ")


class TextReport:
    """Lines that begin with the time of day; on a terminal, what does not fit goes on below."""

    def selected(self, selected: Selected) -> None:
        """Say which account is watched, and why, unless it is whichever is active."""
        if selected.wish.name is not None:
            self._say(f"Account {selected.describe()}.")

    def account(self, account: Account, fault: Fault | None, selected: Selected) -> None:
        """Say who is logged in, or why the login that there is cannot be used."""
        self._say(render_headline(account, fault, selected))

    def trouble(self, error: str) -> None:
        """Say why it is not known who is logged in."""
        self._say(f"Who is logged in cannot be told: {one_line(error)}")

    def progress(self, login: AccountLoginProgress) -> None:
        """Say where a login is."""
        self._say(f"Login {_name(login)}: {_describe(login)}.")

    def completed(self, login: dict[str, Any]) -> None:
        """Say how a login ended."""
        name = f"Login {_name(login)}"
        if login["success"]:
            self._say(f"{name}: done.", Style.green)
        else:
            self._say(f"{name}: failed: {one_line(str(login['error'])).rstrip('.')}.", Style.red)

    def disconnected(self) -> None:
        """Say that the daemon has gone."""
        self._say("The daemon has gone; waiting for it.")

    def connected(self) -> None:
        """Say that it is there again."""
        self._say("The daemon is there again.")

    def _say(self, text: str, emphasize: Callable[[Style, str], str] = Style.plain) -> None:
        screen = Screen.of(sys.stdout)  # anew each time: the window may have been resized
        first, *rest = fold(text, max(1, screen.width - _INDENT))
        say(f"{screen.style.dim(_time_of_day(time.time()))}  {emphasize(screen.style, first)}")
        for line in rest:
            say(" " * _INDENT + emphasize(screen.style, line))


class JsonReport:
    """One JSON object a line."""

    def selected(self, selected: Selected) -> None:
        """Say nothing: it is told with the account."""

    def account(self, account: Account, fault: Fault | None, selected: Selected) -> None:
        """Give the account, and why it cannot be used, as `status --json` does."""
        problem = {} if fault is None else {"reason": fault.reason, "problem": fault.describe(selected.login)}
        whose = {"account": selected.as_json()} if selected.wish.name is not None else {}
        self._event("account", account.as_json() | problem | whose)

    def trouble(self, error: str) -> None:
        """Give an account that is not known."""
        self._event("account", {"detailsError": error})

    def progress(self, login: AccountLoginProgress) -> None:
        """Give where a login is, as the protocol does."""
        self._event("login", {**login})

    def completed(self, login: dict[str, Any]) -> None:
        """Give how it ended."""
        members = {name: login[name] for name in ("loginId", "success", "error")}
        self._event("completed", {**members, "reason": read_reason(login)})

    def disconnected(self) -> None:
        """Give that the daemon has gone."""
        self._event("disconnected", {})

    def connected(self) -> None:
        """Give that it is there again."""
        self._event("connected", {})

    def _event(self, event: str, members: dict[str, Any]) -> None:
        say(json.dumps({"at": round(time.time(), 3), "event": event, **members}))


Report = TextReport | JsonReport


def _name(login: Mapping[str, object]) -> str:
    """Return the part of an id that tells one login from the next; one that was done at once has none."""
    return str(login["loginId"])[:8] if login["loginId"] else "with an API key or tokens"


def _describe(login: AccountLoginProgress) -> str:
    if login["retries"]:
        times = "once" if login["retries"] == 1 else f"{login['retries']} times"
        return f"asked in vain, {times} in a row: {one_line(str(login['retryCause'])).rstrip('.')}"
    match login["state"]:
        case "waiting":
            return f"{_WAYS[login['type']]}, waiting for approval until {_time_of_day(login['expiresAt'])}"
        case "exchanging":
            return "approved; getting the tokens"
        case _:
            return "storing them"


def _time_of_day(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))
