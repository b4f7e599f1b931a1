"""What is flooded: a daemon with a token socket, whose account is of a sandbox; and all that it keeps or writes."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from bench.process import Server, environment
from bench.verbs import ACCOUNTD
from bench.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.flood.hostile import DoorName

_PATIENCE: Final = 20.0  # seconds, for anything
_GLANCE: Final = 0.05
_LOG_IN: Final = b'{"id":1,"method":"account/login/start","params":{"type":"chatgptDeviceCode"}}'


class _Asked(msgspec.Struct):
    """One line of the sandbox's log of requests."""

    at: float
    path: str


class Subject(Server):
    """A daemon in a folder of its own, and its sandbox at `issuer`."""

    def __init__(self, pid: int, folder: Path, issuer: str) -> None:
        super().__init__(pid, str(folder / "s"), "ndjson", folder / "home")
        self._folder = folder
        self._issuer = issuer
        self._status = Path(f"/proc/{pid}/status")

    def socket_at(self, door: DoorName) -> str:
        """Give the path at which a door is."""
        return self.socket if door == "main" else str(self._folder / "box" / "s")

    def glance(self) -> int:
        """Give the bytes of memory that are in use, in some microseconds."""
        return int(self._status.read_text().partition("VmRSS:")[2].split()[0]) << 10

    def logged(self) -> int:
        """Give the bytes of its log."""
        return (self._folder / "log").stat().st_size

    def audited(self) -> int:
        """Give the bytes of all its audit logs, those that were moved aside included."""
        return sum(file.stat().st_size for file in (self.home / "log").glob("accountd-audit*"))

    def refreshes(self, since: float) -> int:
        """Count the refreshes that the issuer has been asked for from a time on, of its last thousand requests."""
        with urllib.request.urlopen(f"{self._issuer}/sandbox/requests") as answer:
            asked = msgspec.json.decode(answer.read(), type=list[_Asked])
        return sum(one.path == "/oauth/token" and one.at >= since for one in asked)

    def let_logins_wait(self) -> None:
        """Have the issuer approve no login any more."""
        change = urllib.request.Request(
            f"{self._issuer}/sandbox/script", b'{"approve_after_polls":null}', method="POST"
        )
        urllib.request.urlopen(change).close()


@contextmanager
def flooded() -> Iterator[Subject]:
    """Run a daemon, in which somebody is logged in, for the block."""
    with tempfile.TemporaryDirectory(prefix="flood-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        home = folder / "home"
        for private in (home, folder / "box"):
            private.mkdir(mode=0o700)
        with _sandbox(home) as variables, (folder / "log").open("wb") as log:
            listen = ("--listen", f"unix://{folder / 's'}", "--token-socket", f"unix://{folder / 'box' / 's'}")
            environ = environment(home) | variables
            with subprocess.Popen([ACCOUNTD, "serve", *listen], env=environ, stderr=log) as process:
                try:
                    subject = Subject(process.pid, folder, variables["CODEX_APP_SERVER_LOGIN_ISSUER"])
                    _log_in(subject)
                    subject.let_logins_wait()
                    yield subject
                finally:
                    process.kill()


@contextmanager
def _sandbox(home: Path) -> Iterator[dict[str, str]]:
    command = [ACCOUNTD, "sandbox", "--home", str(home), "--approve-after", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            lines = [] if process.stdout is None else [shlex.split(line)[1] for line in process.stdout]
            pairs = (line.partition("=") for line in lines)
            yield {name: value for name, _, value in pairs if name.startswith("CODEX_")}
        finally:
            process.kill()


def _log_in(subject: Subject) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            client = Wire(subject.socket, "ndjson")
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise SystemExit("the daemon does not start") from None
            time.sleep(_GLANCE)
        else:
            client.call(_LOG_IN)
            client.await_notification("account/login/completed")
            client.close()
            return
