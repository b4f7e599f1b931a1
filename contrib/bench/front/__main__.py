"""Measure the front beside the own socket of the Codex behind it, and beside another Codex; write its table.

    PYTHONPATH=contrib python -m bench.front --codex codex [--into FILE]

Linux only. It takes some two minutes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from bench import machine, report
from bench.figures import Role
from bench.front import measure, subject, table
from bench.rounds import Results, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Measure all of it, and print or write the table."""
    parser = argparse.ArgumentParser(
        prog="bench.front", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--codex", metavar="PROGRAM", required=True, help="the Codex behind the front, and beside it"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each")
    parser.add_argument("--into", type=Path, metavar="FILE", help="the document whose table is replaced")
    args = parser.parse_args()
    text = run(args.codex, args.rounds, 1.5, 50, lambda what: print(what, file=sys.stderr, flush=True))
    print(text)
    if args.into is not None:
        report.replace(args.into, text, table.BEGIN)


def run(codex: str, rounds: int, seconds: float, clients: int, tell: Callable[[str], None] = lambda _: None) -> str:
    """Give the table. `tell` hears what is going on."""
    program = shutil.which(codex) or codex
    results = Results()
    with subject.running(program) as servers:
        for role in take_turns(get_args(Role), rounds):
            tell(f"measuring the app-server: {role} …")
            results.add(role, None, measure.measure(servers[role], seconds, clients))
    about = f"{machine.describe(program)} {rounds} rounds; medians (and quartiles)."
    return table.render(about, results.rows())


if __name__ == "__main__":
    main()
