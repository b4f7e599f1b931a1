"""Make wrong edits in the package, one by one, and see that the tests notice: `make mutants`.

It ends with 1 if one survives that `survivors.toml` does not list, or one is noticed that it lists.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from mutants.groups import Wanted, load_groups, try_group


def main() -> int:
    """Try the groups side by side, and tell of each when it is through."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--only", default="", metavar="WORD", help="edits whose file or name has it")
    parser.add_argument("--sample", type=float, default=100, metavar="PERCENT", help="so many of them")
    parser.add_argument("--seed", type=int, default=0, help="another sample")
    parser.add_argument("--jobs", type=int, default=2, help="groups side by side")
    arguments = parser.parse_args()
    wanted = Wanted(arguments.only, arguments.sample, arguments.seed)
    begun, tried, bad = time.monotonic(), 0, 0
    groups = load_groups()
    with ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        for group, verdict in zip(groups, pool.map(try_group, groups, [wanted] * len(groups)), strict=True):
            if verdict.tried or verdict.complaints:
                print(f"{group.name}: {verdict.tried}", *verdict.complaints, sep="\n    ", flush=True)
            tried += verdict.tried
            bad += len(verdict.complaints)
    print(f"{tried} wrong edits, {bad} complaints, in {time.monotonic() - begun:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
