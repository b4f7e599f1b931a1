"""Runs the checks, all at once: they wait for the network, for a keyring and for other programs.

A check that breaks down is a failure of its own, and takes no other with it. What is found is told in the order of
the checks while that costs nobody a wait; once the first second is over, each is told as it ends.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import trio

from accountd.doctor.findings import Examined, Finding, fail, warn
from accountd.errors import AccountdError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from accountd.doctor.findings import Check
    from accountd.doctor.surroundings import Surroundings


PATIENCE: Final = 1.0
"""Seconds for which what was found waits for its turn."""


class Listener(Protocol):
    """Who is told while the checks are made."""

    def found(self, examined: Examined) -> None:
        """Hear what a check has found, each once."""
        ...

    def waits_for(self, names: Sequence[str]) -> None:
        """Hear which checks take longer than the others, once and if there are any."""
        ...


async def examine(
    checks: Iterable[Check], surroundings: Surroundings, listener: Listener | None = None
) -> list[Examined]:
    """Make every check, and give what each found, in their order."""
    found: dict[str, Examined] = {}
    untold = list(checks)
    names = [check.name for check in untold]
    orderly, all_told = True, trio.Event()

    def tell() -> None:
        for check in (*untold,):
            if check.name in found:
                untold.remove(check)
                if listener is not None:
                    listener.found(found[check.name])
            elif orderly:
                return
        if not untold:
            all_told.set()

    async def make(check: Check) -> None:
        begun = trio.current_time()
        finding = await _find(check, surroundings)
        found[check.name] = Examined(check.name, finding, trio.current_time() - begun)
        tell()

    async with trio.open_nursery() as nursery:
        for check in (*untold,):
            nursery.start_soon(make, check)
        with trio.move_on_after(PATIENCE):
            await all_told.wait()
        orderly = False
        tell()
        if untold and listener is not None:
            listener.waits_for([check.name for check in untold])
    return [found[name] for name in names]


def in_thread(look: Callable[[Surroundings], Finding]) -> Callable[[Surroundings], Awaitable[Finding]]:
    """Make a check of what waits for a disk, which may be a network's: it is left behind at its deadline."""

    async def examine(surroundings: Surroundings) -> Finding:
        return await trio.to_thread.run_sync(look, surroundings, abandon_on_cancel=True)

    return examine


async def _find(check: Check, surroundings: Surroundings) -> Finding:
    try:
        with trio.fail_after(check.deadline):
            return await check.examine(surroundings)
    except trio.TooSlowError:
        return fail(
            f"no answer within {check.deadline:g} s", "see whether this machine is overloaded, and try again"
        )
    except ConfigError:
        return warn(
            "not looked at, since the configuration cannot be read", "see config.load and socket.path first"
        )
    except AccountdError as error:
        return fail(str(error), "see what the log of the daemon says: `accountd serve` writes it to stderr")
    except Exception as error:  # noqa: BLE001 - a bug fails its check, not the others
        return fail(f"the check itself failed: {_place(error)}", "report it as a bug, with this line")


def _place(error: Exception) -> str:
    """Describe which error it was and where, but not in its own words: they may quote what nobody should see."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
