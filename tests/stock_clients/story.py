"""What every stock client does with the account, and how it reports what it saw. The test knows what is right.

This runs in the clients' own environment: nothing of accountd, and nothing of the tests, is there.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Literal, NamedTuple, Protocol
from urllib.request import ProxyHandler, build_opener


class Login(NamedTuple):
    """A login that was begun: its id, and the page on which to approve it, with the code to type there."""

    id: str
    url: str
    code: str | None = None


class Client(Protocol):
    """A client as the story uses it; each driver does this with the calls of its own."""

    def user_agent(self) -> str:
        """Say what the server called itself."""

    def account(self, *, refresh: bool = False) -> dict[str, Any] | None:
        """Read the account, as JSON."""

    def begin(self, kind: Literal["chatgpt", "chatgptDeviceCode"]) -> Login:
        """Begin a login."""

    def wait(self, login: Login) -> tuple[bool, str | None]:
        """Wait for the completion: whether it is a success, else why not."""

    def cancel(self, login: Login) -> str:
        """Cancel, and give the status."""

    def log_in_with_key(self, key: str) -> None:
        """Log in with an API key."""

    def log_out(self) -> None:
        """Log out."""

    def have_turn(self) -> str | None:
        """Have the model say hello, in a thread; or just begin one. Raises what the client raises."""


def tell(client: Client) -> None:
    """Go through it all, and print the report as one JSON object."""
    report: dict[str, Any] = {"userAgent": client.user_agent(), "nobody": client.account()}

    device = client.begin("chatgptDeviceCode")
    report["device"] = [device.url, device.code, client.wait(device), client.account()]
    report["refreshed"] = client.account(refresh=True)
    client.log_out()
    report["loggedOut"] = client.account()

    browser = client.begin("chatgpt")
    with build_opener(ProxyHandler({})).open(browser.url, timeout=20) as page:
        landed = page.url
    report["browser"] = [browser.url, landed, client.wait(browser), client.account()]
    client.log_out()

    cancelled = client.begin("chatgpt")
    report["cancelled"] = [client.cancel(cancelled), client.wait(cancelled), client.cancel(cancelled)]

    client.log_in_with_key("sk-stock")
    report["key"] = client.account()
    try:
        report["agent"] = client.have_turn()
    except Exception as error:  # noqa: BLE001  # whatever this client raises for an error that it was answered
        report["agent"] = str(error)
    client.log_out()
    report["end"] = client.account()
    json.dump(report, sys.stdout)
