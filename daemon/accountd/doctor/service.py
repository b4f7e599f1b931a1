"""Whether the daemon is installed as a service of this user, and whether that runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from accountd import paths
from accountd.doctor.findings import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Surroundings

_PATIENCE: Final = 3.0
"""Seconds for systemctl, which waits for a user manager that may not be there."""

_UNIT: Final = "accountd.service"
_STATES: Final = ("active", "reloading", "inactive", "failed", "activating", "deactivating", "unknown")


async def check_service(surroundings: Surroundings) -> Finding:
    """Look for the unit's file, and ask the user manager how the unit is."""
    unit = next((path for path in _places(surroundings.environ) if path.exists()), None)
    if unit is None:
        return ok("none is installed; clients start the daemon when they need it")
    if sys.platform == "darwin":
        return ok(f"installed: {unit}", unit=str(unit))
    state = await _ask_manager("accountd.service")
    if state == "inactive" and await _ask_manager("accountd.socket") == "active":
        return ok(f"{_UNIT} waits for the first client", unit=str(unit))
    match state:
        case "active" | "reloading" | "activating":
            return ok(f"{_UNIT} is {state}", unit=str(unit))
        case "failed":
            remedy = f"see why with `journalctl --user -u {_UNIT}`, then `systemctl --user restart {_UNIT}`"
            return fail(f"{_UNIT} has failed", remedy, unit=str(unit))
        case None:
            text = f"{unit} is installed, but no user manager answers"
            return warn(text, "log in to a session of your own, or `loginctl enable-linger`", unit=str(unit))
        case _:
            return warn(f"{_UNIT} is {state}", f"`systemctl --user start {_UNIT}`", unit=str(unit))


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    """List where a unit or a LaunchAgent may be, in the order in which they count."""
    home = Path(environ.get("HOME") or paths.user_home() or "/")
    if sys.platform == "darwin":
        yield from sorted((home / "Library/LaunchAgents").glob("*accountd*.plist"))
        return
    config = environ.get("XDG_CONFIG_HOME") or home / ".config"
    data = environ.get("XDG_DATA_HOME") or home / ".local/share"
    for folder in (config, "/etc", "/run", data, "/usr/local/lib", "/usr/lib"):
        yield Path(folder) / "systemd/user" / _UNIT


async def _ask_manager(unit: str) -> str | None:
    """Give the state of a unit, or None where no manager tells it."""
    command = ["systemctl", "--user", "is-active", unit]
    with trio.move_on_after(_PATIENCE):
        try:
            done = await trio.run_process(command, capture_stdout=True, stderr=subprocess.DEVNULL, check=False)
        except OSError:  # there is no systemctl
            return None
        state = done.stdout.decode(errors="replace").strip()
        return state if state in _STATES else None
    return None
