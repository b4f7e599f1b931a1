"""The configuration: the person's, and that of whoever runs the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from accountd import paths
from accountd.config.layers import MACHINE_FILES, MACHINE_FOLDER
from accountd.config.own import OWN_MACHINE_FOLDER
from accountd.doctor.findings import fail, ok, warn
from accountd.errors import ConfigError
from accountd.reload import make_policy
from accountd.requirements import service as requirements

if TYPE_CHECKING:
    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Surroundings

_ANEW = "correct it there; then `accountd restart`, for a daemon that has it from before"


async def check_config(surroundings: Surroundings) -> Finding:
    """Read the variables and the files, as the daemon does when it starts."""
    path = surroundings.home / paths.CONFIG
    try:
        config = await surroundings.config()
    except ConfigError as error:
        return fail(error.problem, error.remedy or _ANEW)
    details = {"issuer": config.issuer, "backend": config.backend, "store": config.credentials_store}
    if config.warnings:
        return warn(_join(config.warnings), "remove it, or correct its name", **details)
    own = surroundings.home / paths.SETTINGS, OWN_MACHINE_FOLDER / paths.SETTINGS
    places = (path, *own, *(MACHINE_FOLDER / name for name in MACHINE_FILES))
    read = ", ".join([str(place) for place in places if await trio.Path(place).exists()])
    return ok(f"read from {read}" if read else f"there is no {path}; all is as usual", **details)


def _join(warnings: tuple[str, ...]) -> str:
    return warnings[0] + (f"; and {len(warnings) - 1} more" if len(warnings) > 1 else "")


async def check_requirements(surroundings: Surroundings) -> Finding:
    """Read the machine's requirements, and whether they leave any way to log in."""
    path = requirements.SYSTEM_FILE
    try:
        layer = await trio.to_thread.run_sync(requirements.read_system_layer, path, abandon_on_cancel=True)
    except ConfigError as error:
        return fail(error.problem, error.remedy or f"have whoever runs this machine correct {path}")
    config = await surroundings.config()
    try:
        make_policy(config, layer)
    except ConfigError as error:
        return fail(str(error), f"make {surroundings.home / paths.CONFIG} agree with {path}")
    if layer.warnings:
        return warn(_join(layer.warnings), f"have whoever runs this machine correct {path}")
    exists = await trio.Path(path).exists()
    return ok(f"{path} is read" if exists else f"there is no {path}; nothing is required")
