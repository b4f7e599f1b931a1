"""Random troubles of a real daemon, one after the other: `python -m faults.chaos SECONDS [SEED]`.

Each round takes faults of the network, the disk and the process, does something with them, and without them again;
and holds the daemon to four promises: a clear error, no login lost, an end in time, and no restart. A run is
repeated by its seed, but for what the machine's own speed decides.
"""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from accountd.client.errors import CallFailed
from faults.daemon import open_case
from faults.network import FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.daemon import Case

SLOW = frozenset(("black hole", "handshake hangs", "silence", "half-closed", "stalled in the body", "slow bytes"))
"""Faults that take until a deadline, which is why they come seldom."""

DEADLINE = 75.0
"""Seconds for anything: a whole request, and what a busy machine adds."""

FOR_PROGRAMMERS = re.compile(r"internal error|[a-z]Error\b|[a-z]Timeout\b|_ssl|bytearray")


class Chaos:
    """One run. `counts` has how often each thing was done, and how often it failed, as it should."""

    def __init__(self, case: Case, seed: int) -> None:
        self._case = case
        self._chance = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self._operations: dict[str, Callable[[], str | None]] = {
            "refresh": case.refresh,
            "log in": case.log_in,
            "log in with a key": self._log_in_with_key,
            "log out": lambda: case.call("account/logout"),
            "forget": lambda: case.call("account/forget"),
            "read the account": lambda: case.call("account/read", {"refreshToken": self._chance.random() < 0.5}),
            "read rate limits": lambda: case.call("account/rateLimits/read"),
            "read usage": lambda: case.call("account/usage/read"),
            "start and cancel": self._start_and_cancel,
        }

    def _log_in_with_key(self) -> str | None:
        return self._case.call("account/login/start", {"type": "apiKey", "apiKey": "sk-a-key-of-chaos"})

    def _start_and_cancel(self) -> str | None:
        try:
            started = self._case.client.call("account/login/start", {"type": "chatgptDeviceCode"}, DEADLINE)
        except CallFailed as error:
            return str(error)
        self._case.call("account/login/cancel", {"loginId": started["loginId"]})
        return None

    def make_ready(self) -> None:
        """Have somebody logged in, by a login that nothing is wrong with."""
        if not self._has_login() or not self._case.is_stored_well():
            failure = self._case.log_in()
            assert failure is None, failure
            assert self._case.is_stored_well()

    def _has_login(self) -> bool:
        try:
            return b'"chatgpt"' in (self._case.home / "auth.json").read_bytes()
        except FileNotFoundError:
            return False

    def run_round(self) -> None:
        """Bring trouble, do something, and look at what has become of everything."""
        case, chance = self._case, self._chance
        self.make_ready()
        name = chance.choice([*self._operations])
        network = chance.choice([None, *FAULTS]) if chance.random() < 0.8 else None
        if network in SLOW and chance.random() < 0.8:
            network = None
        acting = chance.random() < 0.3
        disk = chance.random() < 0.25
        room = chance.randrange(6) if chance.random() < 0.2 else None
        what = f"{name}; network: {network}{' (acting)' if acting else ''}; disk full: {disk}; room: {room}"
        before = (case.home / "auth.json").read_bytes()
        case.network.acting, case.network.fault = acting, network
        if disk:
            case.limit(resource.RLIMIT_FSIZE, 0)
        if room is not None:
            case.limit(resource.RLIMIT_NOFILE, case.descriptors() + room)
        begun = time.monotonic()
        try:
            error = self._operations[name]()
        finally:
            took = time.monotonic() - begun
            case.network.fault = None
            case.limit(resource.RLIMIT_NOFILE, None)
            case.limit(resource.RLIMIT_FSIZE, None)
        self.counts[name] += 1
        self.counts[f"{name}: an error"] += error is not None
        assert took < DEADLINE, f"{what}: {took:.0f} s"
        assert error is None or not FOR_PROGRAMMERS.search(error), f"{what}: {error}"
        self._look(what, name, before, error, acting=acting)

    def _look(self, what: str, name: str, before: bytes, error: str | None, *, acting: bool) -> None:
        """Hold the daemon to it that the account is the one before, or that of an operation that went well."""
        case = self._case
        assert case.daemon.process.poll() is None, f"{what}: the daemon has ended"
        changed = (case.home / "auth.json").read_bytes() != before if (case.home / "auth.json").exists() else True
        if error is not None and name not in ("refresh", "log out", "start and cancel"):
            assert not changed, f"{what}: {error}, and yet something else is stored"
        if name in ("log out", "forget") and error is None:
            assert not (case.home / "auth.json").exists(), what
            return
        if self._has_login() and not (acting or name == "log out"):
            failure = case.refresh()  # which also stores what a full disk would not take
            assert failure is None, f"{what}: afterwards: {failure}"
            assert case.is_stored_well(), f"{what}: the login is lost"


def run(seconds: float, seed: int, home: Path) -> Counter[str]:
    """Make trouble for so long, and give what was done. Raises AssertionError."""
    log: list[str] = []
    with open_case(home) as case:
        assert case.daemon.process.stderr is not None
        reading = threading.Thread(target=log.extend, args=(case.daemon.process.stderr,), daemon=True)
        reading.start()  # or the daemon would wait for somebody to read
        chaos = Chaos(case, seed)
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                chaos.run_round()
                chaos.counts["rounds"] += 1
            case.client.close()
            case.daemon.process.terminate()
            assert case.daemon.process.wait(30) == 0
        except BaseException:  # which the log explains; and it goes on
            sys.stderr.write("".join(log[-40:]))
            raise
        reading.join(5)
    text = "".join(log)
    assert "Traceback" not in text, text[text.index("Traceback") - 500 :][:3000]
    assert "rt_" not in text
    assert "sk-a-key" not in text
    return chaos.counts


def main() -> None:
    """Run, and tell."""
    seconds, seed = float(sys.argv[1]), int(sys.argv[2] if len(sys.argv) > 2 else os.getpid())
    print(f"chaos for {seconds:g} s with seed {seed}", flush=True)  # noqa: T201  # a command of the developers'
    home = Path(tempfile.mkdtemp(prefix="accountd-"))
    try:
        counts = run(seconds, seed, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    for name, count in sorted(counts.items()):
        print(f"{count:8} {name}")  # noqa: T201  # as above


if __name__ == "__main__":
    main()
