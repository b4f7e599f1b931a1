"""One fuzz target under atheris, in a process of its own: `fuzz.worker NAME FINDS`, then flags of libFuzzer.

atheris watches which branches an input takes, and keeps those inputs that take new ones. It sees Python alone: what
msgspec does inside is dark to it, so the seeds speak JSON, and their words are the fuzzer's dictionary.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import atheris

WATCHED = ["accountd", "h11", "wsproto"]
"""The packages whose branches count."""


def main(name: str, folder: Path) -> None:
    """Fuzz one target; what breaks its promise is left in a folder."""
    with atheris.instrument_imports(include=WATCHED):
        from fuzz.targets import TARGETS
    target = TARGETS[name]

    def run(data: bytes) -> None:
        try:
            target(data)
        except BaseException:  # libFuzzer would write it as well, by the same name, but not at every death
            (folder / f"crash-{hashlib.sha1(data, usedforsecurity=False).hexdigest()}").write_bytes(data)
            raise

    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv.pop(1), Path(sys.argv.pop(1)))
