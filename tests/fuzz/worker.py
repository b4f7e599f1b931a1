"""One fuzz target under atheris, in a process of its own: `python -m fuzz.worker NAME` and libFuzzer's arguments.

atheris watches which branches an input takes, and keeps those inputs that take new ones. It sees Python alone: what
msgspec does inside is dark to it, so the seeds and the dictionaries speak JSON.
"""

from __future__ import annotations

import sys

import atheris

WATCHED = ["accountd", "h11", "wsproto"]
"""The packages whose branches count."""

if __name__ == "__main__":
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=WATCHED):
        from fuzz.targets import TARGETS
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
