"""A real daemon whose issuer and backend are behind a network that may fail: real processes, real TCP, real TLS."""

from __future__ import annotations

import resource
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from accountd.client.blocking_connection import ANSWER_TIMEOUT
from accountd.client.errors import CallFailed
from accountd.sandbox import Sandbox
from accountd.storage.document import parse_record
from fakes.processes import PATIENCE, Daemon, completion, running
from faults.certificates import write_authority
from faults.network import CONNECTING, Network, reset
from faults.operations import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from accountd.client.blocking import Client


class RealNetwork(Network):
    """A Network on a real port. What goes wrong in connecting is a reset, or nothing at all."""

    async def serve(self, stream: trio.SocketStream) -> None:
        """See Network."""
        if self.fault in CONNECTING:
            if self.fault == "black hole":
                await trio.sleep_forever()
            reset(stream.socket)
            return
        await super().serve(stream)


@contextmanager
def network_on_loopback(sandbox: Sandbox) -> Iterator[tuple[RealNetwork, str]]:
    """Serve a sandbox through a faulty network, from a thread of this process; give it, and its URL."""
    found: list[Any] = []
    ready = threading.Event()

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            network = RealNetwork(sandbox, nursery)
            network.keeps_alive = False  # so that every request meets what may go wrong in connecting
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, network.serve, listeners)
            port = listeners[0].socket.getsockname()[1]
            found.extend((network, port, trio.lowlevel.current_trio_token(), nursery.cancel_scope.cancel))
            ready.set()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert ready.wait(PATIENCE)
    network, port, token, cancel = found
    try:
        yield network, f"https://127.0.0.1:{port}"
    finally:
        trio.from_thread.run_sync(cancel, trio_token=token)
        thread.join(PATIENCE)


class Case:
    """A daemon, the network around it, and a client of it."""

    def __init__(self, daemon: Daemon, network: RealNetwork, home: Path, client: Client) -> None:
        self.daemon = daemon
        self.network = network
        self.home = home
        self.client = client
        self._limits: dict[int, tuple[int, int]] = {}

    def call(self, method: str, params: dict[str, Any] | None = None) -> str | None:
        """Call, and give the text of the error."""
        try:
            self.client.call(method, {} if params is None else params, ANSWER_TIMEOUT)
        except CallFailed as error:
            return str(error)
        return None

    def log_in(self) -> str | None:
        """Log in with a device code, and give the error, at the start or at the end."""
        try:
            started = self.client.call("account/login/start", {"type": "chatgptDeviceCode"}, ANSWER_TIMEOUT)
        except CallFailed as error:
            return str(error)
        end: str | None = completion(self.client, started["loginId"])["error"]
        return end

    def refresh(self) -> str | None:
        """Have the token refreshed, and give the error."""
        self.call("account/read", {"refreshToken": True})
        last = self.client.call("accountd/status", {}, ANSWER_TIMEOUT)["lastRefresh"]
        return None if last is None else last["error"]

    def is_stored_well(self) -> bool:
        """Say whether the file has a login that can be refreshed."""
        record = parse_record((self.home / "auth.json").read_bytes())
        assert record.chatgpt is not None
        found = self.network.sandbox._state.find_refresh_token(record.chatgpt.tokens.refresh_token)
        return found is not None and not found.spent and not found.grant.revoked

    def limit(self, kind: int, most: int | None) -> None:
        """Set a limit of the daemon's process; None is what there was at first."""
        before = self._limits.setdefault(kind, resource.prlimit(self.daemon.process.pid, kind))
        resource.prlimit(self.daemon.process.pid, kind, before if most is None else (most, before[1]))

    def descriptors(self) -> int:
        """Count the open files of the daemon."""
        return len(list(Path(f"/proc/{self.daemon.process.pid}/fd").iterdir()))


@contextmanager
def open_case(home: Path, **variables: str) -> Iterator[Case]:
    """Run a daemon behind a faulty network."""
    sandbox = Sandbox(msgspec.structs.replace(SCRIPT, interval="0"))
    with network_on_loopback(sandbox) as (network, url):
        (home / "config.toml").write_text(f'chatgpt_base_url = "{url}/backend-api"\n')
        ca_file = write_authority(home)
        given = {
            "CODEX_APP_SERVER_LOGIN_ISSUER": url,
            "CODEX_CA_CERTIFICATE": str(ca_file),
            "PYTHONWARNINGS": "error,ignore::ResourceWarning",  # of httpx's generators, when a request is cut off
        }
        with running(home, **given | variables) as daemon:
            with daemon.connect() as client:
                yield Case(daemon, network, home, client)


def wait_until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait for something that no message tells of."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
