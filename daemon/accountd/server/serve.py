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

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.config import Config
    from accountd.framing.base import Framing
    from accountd.server.handlers import Services

_log = logging.getLogger(__name__)


class Server:
    """All connections of the daemon."""

    def __init__(self, services: Services, config: Config) -> None:
        self._services = services
        self._config = config
        self._connections: set[Connection] = set()

    async def serve_socket(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        """Accept clients until cancelled; they live on in `connections`."""
        await trio.serve_listeners(self._serve_accepted, [listener], handler_nursery=connections)

    async def serve_stream(
        self, stream: trio.abc.Stream, framing: Framing, has_left: Callable[[], bool] = lambda: False
    ) -> None:
        """Serve one client to its end."""
        connection = Connection(stream, framing, self._services, self._config, has_left)
        self._connections.add(connection)
        try:
            await connection.run()
        except Exception:  # noqa: BLE001 - a bug ends its connection, not the daemon
            _log.exception("a connection failed in a way that was not foreseen")
        finally:
            self._connections.discard(connection)

    def drain(self) -> None:
        """Read no more requests from anybody; each connection ends when its requests are answered."""
        for connection in tuple(self._connections):
            connection.drain()

    async def _serve_accepted(self, stream: trio.SocketStream) -> None:
        peer = peer_credentials(stream.socket)
        if peer.uid not in (os.getuid(), 0):
            _log.warning("refused a connection of uid %d, pid %d", peer.uid, peer.pid)
            await stream.aclose()
            return
        _log.debug("connection of pid %d", peer.pid)
        await self.serve_stream(stream, DetectedFraming(), partial(has_hung_up, stream.socket))
