"""Flood a daemon in every way, by one client and by eight, at both sockets; say what another client notices of it.

    PYTHONPATH=contrib python -m bench.flood [--only WORD] [--into FILE]

Linux only. It takes some four minutes, and port 1455.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import machine, report
from bench.flood import table
from bench.flood.hostile import FLOOR, KINDS
from bench.flood.measure import measure
from bench.flood.subject import flooded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CROWDS: Final = (1, 8)
_WARM: Final = 0.2
"""Seconds of each flood before anything counts: what is there once, such as modules, is loaded then."""


def main() -> None:
    """Measure all of it, and print or write the table."""
    parser = argparse.ArgumentParser(
        prog="bench.flood", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", metavar="WORD", help="one kind alone, beside the floor", choices=KINDS)
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="of each flood")
    parser.add_argument("--into", type=Path, metavar="FILE", help="the document whose table is replaced")
    args = parser.parse_args()
    kinds = [FLOOR, args.only] if args.only else [*KINDS]
    text = run(list(dict.fromkeys(kinds)), args.seconds, lambda what: print(what, file=sys.stderr, flush=True))
    print(text)
    if args.into is not None:
        report.replace(args.into, text, table.BEGIN)


def run(kinds: Sequence[str], seconds: float, tell: Callable[[str], None] = lambda _: None) -> str:
    """Give the table of all floods of these kinds. `tell` hears what is going on."""
    rows = [(kind, door) for door in ("main", "token") for kind in kinds if door in KINDS[kind].doors]
    found = []
    with flooded() as subject:
        for kind in kinds:
            measure(subject, kind, "main", 1, seconds=min(_WARM, seconds), rest=2 * subject.glance())
        time.sleep(min(4.0, 4 * seconds))
        rest = subject.glance()
        for kind, door in rows:
            for clients in CROWDS:
                tell(f"{kind}, {door}, {clients} …")
                found.append(measure(subject, kind, door, clients, seconds=seconds, rest=rest))
        return table.render(machine.describe(None), rest, subject.audited(), found)


if __name__ == "__main__":
    main()
