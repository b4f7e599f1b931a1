"""Looks for new examples in the model, for as long as is said, and tells how much that was."""

from __future__ import annotations

import argparse
import logging
import sys
import time

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from model.lifecycle import Lifecycle, done

BATCH = 50
"""Examples between two looks at the clock."""

TOLD = ("started", "save", "success", "failure", "cancelled", "delete", "foreign", "restart")


def main() -> int:
    """Run for the time that was asked for. A failure ends it, with the shortest example of it that can be found."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1500.0, help="how long (default: %(default)g)")
    deadline = time.monotonic() + parser.parse_args().seconds
    logging.disable()  # what is wrong on purpose is logged a thousandfold
    examples = 0
    new = settings(
        max_examples=BATCH,
        stateful_step_count=60,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    while time.monotonic() < deadline:
        run_state_machine_as_test(Lifecycle, settings=new)
        examples += BATCH
        counts = ", ".join(f"{done[name]} {name}" for name in TOLD)
        sys.stdout.write(f"{examples} examples: {counts}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
