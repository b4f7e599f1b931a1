"""Records what a server shows: `python -m compat --server COMMAND --into FOLDER [NAME …]`, for one's own eyes."""

from __future__ import annotations

import argparse
import shlex
import tempfile
from pathlib import Path

from compat import records
from compat.issuer import serve_issuer
from compat.running import OURS, run_scenario
from compat.scenarios.all import SCENARIOS


def main() -> None:
    """Run scenarios over WebSocket, and write the records."""
    parser = argparse.ArgumentParser(prog="python -m compat")
    parser.add_argument("--server", help="its command, with {socket} for the path (default: ours)")
    parser.add_argument("--framing", choices=("ws", "lines"), default="ws")
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    command = tuple(shlex.split(args.server)) if args.server else OURS
    with tempfile.TemporaryDirectory() as folder, serve_issuer(Path(folder)) as served:
        for name in args.names or SCENARIOS:
            records.save(args.into, name, run_scenario(SCENARIOS[name], command, args.framing, served))
            print(name, flush=True)


if __name__ == "__main__":
    main()
