"""Whether the daemon is installed as a service of this user, and whether that runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from accountd import paths
from accountd.doctor.findings import fail, ok, warn
from accountd.paths import SERVICE_UNIT, SOCKET_UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Surroundings

_PATIENCE: Final = 3.0
"""Seconds for systemctl, which waits for a user manager that may not be there."""

_STATES: Final = ("active", "reloading", "inactive", "failed", "activating", "deactivating", "unknown")


async def check_service(surroundings: Surroundings) -> Finding:
    """Look for the unit's file, and ask the user manager how the unit is."""
    unit = next((path for path in _places(surroundings.environ) if path.exists()), None)
    if unit is None:
        return ok("none is installed; clients start the daemon when they need it")
    if sys.platform == "darwin":
        return ok(f"installed: {unit}", unit=str(unit))
    state = await _ask_manager(SERVICE_UNIT)
    if state == "inactive" and await _ask_manager(SOCKET_UNIT) == "active":
        return ok(f"{SERVICE_UNIT} waits for the first client", unit=str(unit))
    match state:
        case "active" | "reloading" | "activating":
            return ok(f"{SERVICE_UNIT} is {state}", unit=str(unit))
        case "failed":
            advice = f"see why with `journalctl --user -u {SERVICE_UNIT}`"
            remedy = f"{advice}, then `systemctl --user restart {SERVICE_UNIT}`"
            return fail(f"{SERVICE_UNIT} has failed", remedy, unit=str(unit))
        case None:
            text = f"{unit} is installed, but no user manager answers"
            return warn(text, "log in to a session of your own, or `loginctl enable-linger`", unit=str(unit))
        case _:
            return warn(f"{SERVICE_UNIT} is {state}", f"`systemctl --user start {SERVICE_UNIT}`", unit=str(unit))


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    """List where a unit or a LaunchAgent may be, in the order in which they count."""
    if sys.platform == "darwin":
        yield from sorted(Path(paths.launch_agents_folder()).glob("*accountd*.plist"))
        return
    data = environ.get("XDG_DATA_HOME") or paths.expand("~/.local/share", where="HOME")
    others = (Path(folder) / "systemd/user" for folder in ("/etc", "/run", data, "/usr/local/lib", "/usr/lib"))
    for folder in (Path(paths.units_folder(environ)), *others):
        yield folder / SERVICE_UNIT


async def _ask_manager(unit: str) -> str | None:
    """Return the state of a unit, or None where no manager tells it."""
    command = ["systemctl", "--user", "is-active", unit]
    with trio.move_on_after(_PATIENCE):
        try:
            done = await trio.run_process(command, capture_stdout=True, stderr=subprocess.DEVNULL, check=False)
        except OSError:  # there is no systemctl
            return None
        state = done.stdout.decode(errors="replace").strip()
        return state if state in _STATES else None
    return None
