"""The accept loop: every connection on the socket gets a nursery of its own; other users get nothing."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING

import trio

from accountd.adapters.unix_socket import has_hung_up, peer_credentials
from accountd.framing.detect import DetectedFraming
from accountd.server.connection import Connection
from accountd.server.idleness import Idleness

if TYPE_CHECKING:
    from accountd.config import Config
    from accountd.framing.base import Framing
    from accountd.server.call import Services

_log = logging.getLogger(__name__)


class Server:
    """All connections of the daemon."""

    def __init__(self, services: Services, config: Config) -> None:
        self._services = services
        self._config = config
        self._connections: set[Connection] = set()
        self.idleness = Idleness()

    async def serve_socket(
        self, listener: trio.SocketListener, connections: trio.Nursery, allowed: frozenset[str] | None = None
    ) -> None:
        """Accept clients until cancelled; they live on in `connections`. `allowed` names the methods they have."""
        serve = partial(self._serve_accepted, allowed=allowed)
        await trio.serve_listeners(serve, [listener], handler_nursery=connections)

    async def serve_stream(self, stream: trio.abc.Stream, framing: Framing) -> None:
        """Serve one client, which is trusted with everything, to its end."""
        await self._run(Connection(stream, framing, self._services, self._config))

    def drain(self) -> None:
        """Read no more requests from anybody; each connection ends when its requests are answered."""
        for connection in tuple(self._connections):
            connection.drain()

    async def _serve_accepted(self, stream: trio.SocketStream, allowed: frozenset[str] | None) -> None:
        peer = peer_credentials(stream.socket)
        if peer.uid not in (os.getuid(), 0):
            _log.warning("refused a connection of uid %d, pid %d", peer.uid, peer.pid)
            await stream.aclose()
            return
        _log.debug("connection of pid %d", peer.pid)
        has_left = partial(has_hung_up, stream.socket)
        await self._run(
            Connection(stream, DetectedFraming(), self._services, self._config, has_left=has_left, allowed=allowed)
        )

    async def _run(self, connection: Connection) -> None:
        self._connections.add(connection)
        try:
            with self.idleness.busy():
                await connection.run()
        except Exception:  # noqa: BLE001 - a bug ends its connection, not the daemon
            _log.exception("a connection failed in a way that was not foreseen")
        finally:
            self._connections.discard(connection)
