"""All connections: each on the socket gets a nursery of its own while there is room; other users get nothing."""

from __future__ import annotations

import itertools
import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from accountd.adapters.accepting import accept_clients
from accountd.adapters.unix_socket import has_hung_up, peer_credentials
from accountd.framing.detect import DetectedFraming
from accountd.logs import about
from accountd.server.connection import Connection
from accountd.server.idleness import Idleness
from accountd.server.load import Load
from accountd.server.turning_away import turn_away
from accountd.unforeseen import report

if TYPE_CHECKING:
    from accountd.config import Config
    from accountd.framing.base import Framing
    from accountd.server.call import Services

_TURNED_AWAY: Final = 16
"""Clients for whom there is no place, and who are told so, at once. Each has a descriptor; more are hung up on."""

_log = logging.getLogger(__name__)


class Server:
    """All connections of the daemon. `room` is for how many clients there are descriptors."""

    def __init__(self, services: Services, config: Config, room: int | None = None) -> None:
        limit = config.limits.connections
        self._room = limit if room is None else min(room, limit)
        self._load = Load(config.limits)
        self._guests = 0
        self._turned_away = 0
        self._was_full = False
        self._services = services
        self._config = config
        self._connections: set[Connection] = set()
        self._numbers = itertools.count(1)
        self.idleness = Idleness()

    async def serve_socket(
        self, listener: trio.SocketListener, connections: trio.Nursery, allowed: frozenset[str] | None = None
    ) -> None:
        """Accept clients until cancelled; they live on in `connections`. `allowed` names the methods they have."""
        serve = partial(self._serve_accepted, allowed=allowed)
        await accept_clients(listener, serve, connections)

    async def serve_stream(self, stream: trio.abc.Stream, framing: Framing) -> None:
        """Serve one client, which is trusted with everything, to its end."""
        await self._run(Connection(stream, framing, self._services, self._config, load=self._load))

    def drain(self) -> None:
        """Read no more requests from anybody; each connection ends when its requests are answered."""
        for connection in tuple(self._connections):
            connection.drain()

    async def _serve_accepted(self, stream: trio.SocketStream, allowed: frozenset[str] | None) -> None:
        peer = peer_credentials(stream.socket)
        if peer is None:  # it has left, or nobody can tell whose it is
            await stream.aclose()
            return
        if peer.uid not in (os.getuid(), 0):
            self._services.counters.connections_refused += 1
            _log.warning("refused a connection of uid %d, pid %d", peer.uid, peer.pid)
            await stream.aclose()
            return
        if self._is_full(guest=allowed is not None):
            await self._turn_away(stream)
            return
        connection = Connection(
            stream,
            DetectedFraming(self._config.limits.message_bytes),
            self._services,
            self._config,
            has_left=partial(has_hung_up, stream.socket),
            allowed=allowed,
            load=self._load,
        )
        self._guests += allowed is not None
        try:
            with about(pid=peer.pid, uid=peer.uid):
                await self._run(connection)
        finally:
            self._guests -= allowed is not None

    def _is_full(self, *, guest: bool) -> bool:
        """Say whether there is no place for one more. Those of a token socket get half, and never the rest."""
        taken = len(self._connections)
        if taken < self._room * 7 // 8:
            self._was_full = False
        return taken >= self._room or (guest and self._guests >= self._room // 2)

    async def _turn_away(self, stream: trio.SocketStream) -> None:
        self._services.counters.connections_refused += 1
        if not self._was_full:  # said once, until a good part of them has left
            self._was_full = True
            text = "turning clients away: %d of %d places are taken, %d of them on the token socket"
            _log.warning(text, len(self._connections), self._room, self._guests)
        if self._turned_away < _TURNED_AWAY:
            self._turned_away += 1
            try:
                await turn_away(stream)
            finally:
                self._turned_away -= 1

    async def _run(self, connection: Connection) -> None:
        counters = self._services.counters
        counters.connections_accepted += 1
        counters.connections += 1
        self._connections.add(connection)
        with about(connection=next(self._numbers)):
            _log.debug("connected")
            try:
                with self.idleness.busy():
                    await connection.run()
            except Exception as error:  # noqa: BLE001 - a bug ends its connection, not the daemon
                report(_log, "a connection", error)
            finally:
                self._connections.discard(connection)
                counters.connections -= 1
                _log.debug("disconnected")
