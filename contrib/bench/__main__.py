"""Measure accountd, the floor below it, and beside them another server; and write the table of docs/performance.md.

    PYTHONPATH=contrib python -m bench [--peer "codex app-server --listen unix://{socket}"] [--into FILE]

Linux only: what a server uses is read from /proc.
"""

from __future__ import annotations

import argparse
import resource
import shlex
import sys
from pathlib import Path

import msgspec

from bench import machine, report
from bench.plan import QUICK, Sizes, run


def main() -> None:
    """Measure all of it; takes some ten minutes with a peer."""
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--peer", metavar="COMMAND", help="another server, which speaks WebSocket on {socket}")
    parser.add_argument("--rounds", type=int, default=Sizes().rounds, metavar="N", help="turns of each server")
    parser.add_argument("--quick", action="store_true", help="see only that it works; the figures mean nothing")
    parser.add_argument("--into", type=Path, metavar="FILE", help="the document whose table is replaced")
    args = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sizes = QUICK if args.quick else msgspec.structs.replace(Sizes(), rounds=args.rounds)
    rows = run(sizes, args.peer, lambda what: print(f"measuring {what} …", file=sys.stderr, flush=True))
    about = machine.describe(shlex.split(args.peer)[0] if args.peer is not None else None)
    counted = f"{sizes.rounds} rounds, {sizes.crowd_rounds} of them with crowds; medians (and quartiles)."
    text = report.render(f"{about} {counted}", rows)
    print(text)
    if args.into is not None:
        report.replace(args.into, text)


if __name__ == "__main__":
    main()
