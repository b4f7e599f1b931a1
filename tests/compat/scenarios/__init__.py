"""What is done in front of a server, one function a scenario; what is seen is compared with the records.

A scenario is written for the stock app-server and for ours alike, so it shows nothing that only one of them has.
Its name is the name of its record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from compat.issuer import Issuer
from compat.world import World

DEVICE = {"type": "chatgptDeviceCode"}
BROWSER = {"type": "chatgpt"}


Stored = str | Mapping[str, Any]
"""An auth.json, as it is or as JSON."""


class Scenario(NamedTuple):
    """One scenario, and what its server starts with.

    `stored` gives an auth.json, or None; it may set the issuer, which the server may ask before any client does.
    One that `listens` needs the ports of browser logins, of which there are two on a machine.
    """

    run: Callable[[World], None]
    config: str
    stored: Callable[[Issuer], Stored | None]
    listens: bool = False


def nothing(_: Issuer) -> None:
    """Give no auth.json, and leave the issuer as it is."""


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    config: str = "",
    stored: Callable[[Issuer], Stored | None] = nothing,
    *,
    listens: bool = False,
    name: str | None = None,
) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    """Enter a function as a scenario, by its own name where no other is given."""

    def enter(run: Callable[[World], None]) -> Callable[[World], None]:
        SCENARIOS[name or run.__name__] = Scenario(run, config, stored, listens)
        return run

    return enter


def stored_login(issuer: Issuer, *, account: str | None = None, **claims: str) -> dict[str, Any]:
    """Give the auth.json of a ChatGPT login; `account` is its workspace, where the claims name another."""
    tokens = issuer.give_tokens(**claims)
    kept = {name: tokens[name] for name in ("id_token", "access_token", "refresh_token")}
    own = account or claims.get("account") or issuer.claims["account"]
    return {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": kept | {"account_id": own},
        "last_refresh": "2026-01-01T00:00:00Z",
    }
