"""Whether the daemon was started in the environment that this command is run in, as far as tokens go by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.doctor.findings import ok, warn
from accountd.web.environment import describe_environment, find_differences

if TYPE_CHECKING:
    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Surroundings


async def check_environment(surroundings: Surroundings) -> Finding:
    """Report what the daemon's environment has that is not usual, and what this one has otherwise."""
    env_file = await surroundings.env_file()
    if env_file.fault is not None:
        return warn(env_file.fault, env_file.remedy)
    here, daemon = describe_environment(await surroundings.network_environ()), await surroundings.daemon()
    there = (daemon.status or {}).get("environment")
    if not isinstance(there, dict):
        return ok(_tell("the daemon cannot be asked; this shell", here), **here)
    differing = find_differences(here, there)
    if not differing:
        return ok(_tell("the daemon", there), **there)
    text = "; ".join(
        f"{name} is {_tell_value(there.get(name))} in the daemon, and {_tell_value(here.get(name))} here"
        for name in differing
    )
    return warn(text, "`accountd restart`: the next daemon has what is set here, or in its service", **there)


def _tell(who: str, environment: dict[str, str]) -> str:
    told = ", ".join(f"{name}={value}" for name, value in environment.items())
    return f"{who} has {told or 'nothing unusual'}"


def _tell_value(value: str | None) -> str:
    return "not set" if value is None else value
