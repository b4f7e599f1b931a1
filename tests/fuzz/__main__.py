"""Fuzz: `python -m fuzz [--seconds N] [--jobs N] [--keep] [TARGET...]`, which `make fuzz` runs.

Each target gets N seconds, starts from the kept corpus and from what earlier runs found, and stops by itself. What
breaks a promise is written to a file, whose name is printed, and fails the run. `--keep` adds the inputs that
reach something new to the kept corpus, few and small; give them a name that says what they show.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from fuzz.targets import TARGETS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORK = ROOT / ".fuzz"
"""What runs find, and go on from. Not kept in the repository."""

_LONGEST = 2048  # bytes of an input: what is longer shows nothing new
_SLOWEST = 5  # seconds for one input; nearly all take less than a thousandth
_MEMORY = 1024  # MB of a target


class Outcome(NamedTuple):
    """How a target fared."""

    name: str
    summary: str
    finds: list[Path]
    failed: bool


def main() -> int:
    """Run the targets and give the exit status."""
    options = _parse_arguments()
    names = options.targets or list(TARGETS)
    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(partial(_run_and_tell, seconds=options.seconds), names))
    if options.keep:
        for name in names:
            _keep(name)
    found = [path for outcome in outcomes for path in outcome.finds]
    for path in found:
        print(f"broken promise: {path.relative_to(ROOT)}")
    print(f"{len(names)} targets, {len(found)} finds")
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="for each target (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="targets at once (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="add what reaches something new to the corpus")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    return options


def _run_and_tell(name: str, seconds: int) -> Outcome:
    outcome = _run(name, seconds)
    print(f"{name:16} {outcome.summary}", flush=True)
    return outcome


def _run(name: str, seconds: int) -> Outcome:
    grown, finds = WORK / "corpus" / name, WORK / "finds" / name
    for folder in (grown, finds):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(finds.iterdir())
    arguments = [
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST}",
        f"-timeout={_SLOWEST}",
        f"-rss_limit_mb={_MEMORY}",
        f"-artifact_prefix={finds}/",
        "-print_final_stats=1",
        f"-dict={_write_dictionary(name)}",
        str(grown),
        str(HERE / "corpus" / name),
    ]
    log = _fuzz(name, arguments)
    (WORK / f"{name}.log").write_text(log.stdout)
    new = sorted(set(finds.iterdir()) - before)
    return Outcome(name, _summarise(log.stdout), new, log.returncode != 0)


def _write_dictionary(name: str) -> Path:
    """Give the words of the kept inputs to libFuzzer, which puts them where they were not."""
    inputs = (path.read_bytes() for path in (HERE / "corpus" / name).iterdir())
    words = {word for data in inputs for word in re.findall(rb"[\w.:/+-]{2,40}|[^\w\s]{2,8}", data)}
    lines = ("".join(f"\\x{byte:02x}" for byte in word) for word in sorted(words))
    path = WORK / f"{name}.dict"
    path.write_text("".join(f'"{line}"\n' for line in lines))
    return path


def _fuzz(name: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fuzz.worker", name, str(WORK / "finds" / name), *arguments],
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def _summarise(log: str) -> str:
    """Read what libFuzzer says at its end, and the last it said of coverage."""
    coverage = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", log)
    executions = re.findall(r"stat::number_of_executed_units: (\d+)|^Done (\d+) runs", log, re.MULTILINE)
    runs = next((int(first or second) for first, second in executions), 0)
    branches, features, inputs = coverage[-1] if coverage else ("?", "?", "?")
    complaint = re.findall(
        r"^(?:=== Uncaught Python exception: ===\n)?(\w+Error\b.*|ALARM: .*)$", log, re.MULTILINE
    )
    text = f"{runs:>9} executions, coverage {branches} ({features} features), {inputs} inputs"
    return f"{text}  ** {complaint[0][:80]}" if complaint else text


def _keep(name: str) -> None:
    """Add to the kept corpus what covers something that it does not."""
    kept, grown = HERE / "corpus" / name, WORK / "corpus" / name
    before = set(kept.iterdir())
    _fuzz(name, ["-merge=1", f"-max_len={_LONGEST}", str(kept), str(grown)])
    print(f"{name:16} {len(set(kept.iterdir()) - before)} inputs kept")


if __name__ == "__main__":
    sys.exit(main())
