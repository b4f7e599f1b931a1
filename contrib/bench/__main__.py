"""Print the figures of the three crowds for accountd, and in the same run for another server.

    PYTHONPATH=contrib python -m bench [--peer "codex app-server --listen unix://{socket}"]

Linux only: what a server uses is read from /proc.
"""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.crowd import beside_slow_readers, churn, idle
from bench.process import running

if TYPE_CHECKING:
    from bench.wire import Kind

_OURS = f"{sys.executable} -m accountd serve --listen unix://{{socket}}"


def main() -> None:
    """Measure all of it; takes a minute or two for each server."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--peer", metavar="COMMAND", help="another server, which speaks WebSocket on {socket}")
    parser.add_argument("--idle", type=int, default=1000, metavar="N", help="clients that say nothing")
    parser.add_argument("--churn", type=int, default=5000, metavar="N", help="clients that come and go")
    parser.add_argument("--slow", type=int, default=200, metavar="N", help="clients that read slowly")
    parser.add_argument("--requests", type=int, default=2000, metavar="N", help="requests beside these")
    args = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    servers: list[tuple[str, str, Kind]] = [
        ("accountd, lines", _OURS, "ndjson"),
        ("accountd, WebSocket", _OURS, "ws"),
    ]
    if args.peer is not None:
        servers.append((Path(args.peer.split()[0]).name + ", WebSocket", args.peer, "ws"))
    for name, command, kind in servers:
        print(name)
        with running(command, kind) as server:
            print(f"  {args.idle} idle clients: {idle(server, args.idle) / 1024:.1f} KB each", flush=True)
        with running(command, kind) as server:
            left = churn(server, args.churn)
            print(
                f"  {args.churn} connected and gone: {left.memory / 1024:+.0f} KB,"
                f" {left.descriptors:+d} descriptors, {left.threads:+d} threads",
                flush=True,
            )
        with running(command, kind) as server:
            alone, beside = beside_slow_readers(server, args.slow, args.requests)
            found = "no answer in 20 s"
            if beside is not None:
                found = f"p50 {beside.p50:.0f} µs (x{beside.p50 / alone.p50:.2f}), p99 {beside.p99:.0f} µs"
            print(
                f"  alone: p50 {alone.p50:.0f} µs, p99 {alone.p99:.0f} µs; beside {args.slow} slow readers: {found}"
            )


if __name__ == "__main__":
    main()
