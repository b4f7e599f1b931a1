"""Hold our WebSocket framing to the Autobahn test suite, whose client knows more ways to be wrong than any other.

    python -m autobahn.check WSTEST [CASE...]

WSTEST is the suite's command. What is not OK has to be in `differences.toml`, which says how it ends and why; and
what is there has to end like that. The suite's report is left in `.autobahn`.
"""

from __future__ import annotations

import json
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import trio

from autobahn.echo import open_echo

HERE = Path(__file__).parent
REPORT = HERE.parents[1] / ".autobahn"
LONGEST = 1200.0
"""Seconds for all of it, which takes some five minutes: most cases wait for a second to see that nothing comes."""


async def main() -> int:
    """Run the suite and give the exit status."""
    wstest, *cases = sys.argv[1:]
    REPORT.mkdir(exist_ok=True)
    async with open_echo() as port:
        spec = {
            "outdir": str(REPORT),
            "servers": [{"agent": "accountd", "url": f"ws://127.0.0.1:{port}"}],
            "cases": cases or ["*"],
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        (REPORT / "spec.json").write_text(json.dumps(spec))
        command = [wstest, "--mode", "fuzzingclient", "--spec", str(REPORT / "spec.json")]
        with trio.fail_after(LONGEST):
            await trio.run_process(command)
    results = json.loads((REPORT / "index.json").read_text())["accountd"]
    faults = find_faults(results, tomllib.loads((HERE / "differences.toml").read_text()), whole=not cases)
    for fault in faults:
        print(fault)
    passed = sum(_ending(result) == ("OK", "OK") for result in results.values())
    print(f"{len(results)} cases, {passed} passed, {len(results) - passed} differ, {len(faults)} faults")
    return 1 if faults else 0


def find_faults(results: dict[str, Any], differences: dict[str, Any], *, whole: bool) -> list[str]:
    """Compare how the cases ended with how they should; of a `whole` run each difference must have been met."""
    faults = []
    met = set()
    for case, result in sorted(results.items()):
        known = next((pattern for pattern in differences if fnmatchcase(case, pattern)), None)
        expected = ("OK", "OK")
        if known is not None:
            met.add(known)
            expected = (differences[known]["ends"], differences[known].get("close", "OK"))
        if _ending(result) != expected:
            faults.append(f"{case} ended {' and '.join(_ending(result))}, not {' and '.join(expected)}")
    if whole:
        faults += [f"{pattern} is in differences.toml, and no case" for pattern in differences.keys() - met]
    return faults


def _ending(result: dict[str, Any]) -> tuple[str, str]:
    """How a case ended, and how its connection did."""
    return result["behavior"], result["behaviorClose"]


if __name__ == "__main__":
    sys.exit(trio.run(main))
