"""What is stored, read by the command itself: for what the daemon, or whom that asks, does not say in time.

It is read as the daemon reads it when it starts, with its libraries, which no other verb has a use for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from accountd.cli.account import Account

if TYPE_CHECKING:
    from accountd.client.faults import Fault


class Stored(NamedTuple):
    """Whose login is stored, what keeps it from being used, until when its token is good, and where it is."""

    account: Account
    fault: Fault | None
    expires_at: float | None
    store: dict[str, Any]


def read_stored(home: str) -> Stored:
    """Read what is stored in a CODEX_HOME. Blocks while a keyring is asked. Raises ConfigError."""
    import trio

    from accountd.config import settings
    from accountd.doctor.credential import read_stored
    from accountd.storage.choose import open_store

    config = settings.load({**os.environ, "CODEX_HOME": home})
    state, place = trio.run(read_stored, config), open_store(config).describe()
    store = {"kind": place.kind, "location": place.location, "note": place.note}
    return Stored(Account(state.mode, state.email, state.plan), state.fault, state.expires_at, store)
