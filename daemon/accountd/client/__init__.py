"""The library for programs that use the daemon: `connect` for trio, `aio` for asyncio, `blocking` for all others.

`blocking` needs the standard library alone and starts in its time, so what is named here is imported when it is
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accountd.client.client import Client
    from accountd.client.logins import BrowserLogin, DeviceCodeLogin
    from accountd.client.notifications import Gap
    from accountd.client.opening import connect

_HOMES = {
    "BrowserLogin": "logins",
    "Client": "client",
    "DeviceCodeLogin": "logins",
    "Gap": "notifications",
    "connect": "opening",
}

__all__ = ("BrowserLogin", "Client", "DeviceCodeLogin", "Gap", "connect")


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
