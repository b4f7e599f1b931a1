"""How long the commands take that a person or a script waits for. The floor is Python, doing nothing at all."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.figures import Quantity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.figures import Role, Sample

Commands = dict[Quantity, list[str]]

STATUS: Final = Quantity("`accountd status`, `codex login status`", "ms")
TOKEN: Final = Quantity("`accountd token`", "ms")
HELP: Final = Quantity("`accountd login --help`, `codex login --help`", "ms")

ACCOUNTD: Final = str(Path(sys.executable).with_name("accountd"))


def commands(role: Role, peer: str | None, socket: str) -> Commands:
    """Give what each of them runs; ours asks the daemon on the socket, the peer its own files."""
    match role:
        case "ours":
            return {
                STATUS: [ACCOUNTD, "status", "--socket", socket],
                TOKEN: [ACCOUNTD, "token", "--socket", socket],
                HELP: [ACCOUNTD, "login", "--help"],
            }
        case "peer" if peer is not None:
            return {STATUS: [peer, "login", "status"], HELP: [peer, "login", "--help"]}
        case _:
            return {quantity: [sys.executable, "-c", "pass"] for quantity in (STATUS, TOKEN, HELP)}


def measure(commands: Commands, environ: Mapping[str, str], times: int) -> Sample:
    """Run each so often, and give the medians."""
    return {
        quantity: statistics.median(_time(line, environ) for _ in range(times))
        for quantity, line in commands.items()
    }


def _time(line: Sequence[str], environ: Mapping[str, str]) -> float:
    start = time.perf_counter()
    found = subprocess.run(line, env=dict(environ), capture_output=True, check=False)
    taken = time.perf_counter() - start
    if found.returncode:
        raise SystemExit(f"{' '.join(line)} fails: {found.stderr.decode(errors='replace')}")
    return taken * 1e3
