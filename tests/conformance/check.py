"""Hold the daemon against the records of the real app-server, over both framings.

    check.py FOLDER

FOLDER has the suite: `run.py`, its scenarios, and what the real one answered. The scenarios that `waiting.txt`
names must still differ; all others must not.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SERVER = f"{sys.executable} -m accountd serve --listen unix://{{socket}}"


def main() -> int:
    """Run everything and give the exit status."""
    suite = Path(sys.argv[1])
    scenarios = sorted(path.stem for path in (suite / "golden").glob("*.json"))
    waiting = [
        line for line in (HERE / "waiting.txt").read_text().splitlines() if line and not line.startswith("#")
    ]
    unknown = sorted(set(waiting) - set(scenarios))
    due = [name for name in scenarios if name not in waiting]
    failed = [f"{name} is waited for, and does not exist" for name in unknown]
    for kind in ("ws", "ndjson"):
        matching = _run(suite, kind, due)
        failed += [f"{name} differs over {kind}" for name in due if name not in matching]
    if waiting:
        matching = _run(suite, "ndjson", waiting, quiet=True)
        failed += [f"{name} differs no more: take it off waiting.txt" for name in waiting if name in matching]
    for line in failed:
        print(line)
    print(f"{len(due)} scenarios due, {len(waiting)} waiting, {len(failed)} faults")
    return 1 if failed else 0


def _run(suite: Path, kind: str, names: list[str], *, quiet: bool = False) -> set[str]:
    """Run scenarios and give those that match their records."""
    command = [sys.executable, str(suite / "run.py"), SERVER, "--kind", kind, "--only", *names]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if not quiet:
        print(f"--- {kind}", result.stdout, sep="\n", flush=True)
    return set(re.findall(r"^ok +(\w+)$", result.stdout, re.MULTILINE))


if __name__ == "__main__":
    sys.exit(main())
