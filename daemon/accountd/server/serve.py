"""All connections: each on the socket gets a nursery of its own while there is room; other users get nothing."""

from __future__ import annotations

import itertools
import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from accountd.framing.detect import DetectedFraming
from accountd.logs import bind_fields
from accountd.server.connection import Connection
from accountd.server.door import Door, make_token_door, share_room
from accountd.server.guests import Guests, Turnstile
from accountd.server.idle_exit import IdleExit
from accountd.server.memory_release import MemoryRelease
from accountd.server.rejection import turn_away
from accountd.system.accepting import accept_clients
from accountd.system.memory import release_memory
from accountd.system.peer_credentials import peer_credentials
from accountd.system.unix_socket import has_hung_up
from accountd.unforeseen import report

if TYPE_CHECKING:
    from collections.abc import Callable

    from accountd.config.settings import Config
    from accountd.framing.base import Framing
    from accountd.server.call import Services

_TURNED_AWAY: Final = 16
"""Clients for whom there is no place, and who are told so, at once. Each has a descriptor; more are hung up on."""

_log = logging.getLogger(__name__)


class Server:
    """All connections of the daemon. `make_room` gives for how many of so many clients there are descriptors.

    Guests have places besides the others, once there is a token socket for them to come by.
    """

    def __init__(self, services: Services, config: Config, make_room: Callable[[int], int] = int) -> None:
        limits = config.limits
        self._make_room = make_room
        self._door = Door("main", limits, make_room(limits.connections))
        self._guests = Guests(limits, services.counters.guests)
        self._token_door = make_token_door(limits, self._guests, 0)
        self._services = services
        self._config = config
        self._connections: set[Connection] = set()
        self._numbers = itertools.count(1)
        self.idle_exit = IdleExit()
        self.memory_release = MemoryRelease(release_memory)

    async def serve_socket(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        """Accept clients until cancelled; they live on in `connections`."""
        await accept_clients(listener, partial(self._serve_accepted, self._door), connections)

    async def serve_guests(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        """Accept guests on a token socket, at their pace, until cancelled; they live on in `connections`."""
        limits = self._config.limits
        wanted = limits.connections, limits.guest_connections
        self._door.places, self._token_door.places = share_room(self._make_room(sum(wanted)), *wanted)
        entrance = Turnstile(listener, self._guests)
        await accept_clients(entrance, partial(self._serve_accepted, self._token_door), connections)

    async def serve_stream(self, stream: trio.abc.Stream, framing: Framing) -> None:
        """Serve one client, which is trusted with everything, to its end."""
        await self._run(Connection(stream, framing, self._services, self._config, door=self._door), self._door)

    def drain(self) -> None:
        """Read no more requests from anybody; each connection ends when its requests are answered."""
        for connection in tuple(self._connections):
            connection.drain()

    async def _serve_accepted(self, door: Door, stream: trio.SocketStream) -> None:
        peer = peer_credentials(stream.socket)
        if peer is None:  # it has left, or nobody can tell whose it is
            await stream.aclose()
            return
        with bind_fields(**door.fields):
            if peer.uid not in (os.getuid(), 0):
                self._count_refused(door)
                _log.warning("refused a connection of uid %d, pid %d", peer.uid, peer.pid, extra={"kind": peer.uid})
                await stream.aclose()
            elif not door.has_place:
                await self._turn_away(door, stream)
            else:
                connection = Connection(
                    stream,
                    DetectedFraming(door.limits.message_bytes),
                    self._services,
                    self._config,
                    has_left=partial(has_hung_up, stream.socket),
                    door=door,
                )
                with bind_fields(pid=peer.pid, uid=peer.uid):
                    await self._run(connection, door)

    def _count_refused(self, door: Door) -> None:
        self._services.counters.connections_refused += 1
        if door.guests is not None:
            door.guests.counters.connections_refused += 1

    async def _turn_away(self, door: Door, stream: trio.SocketStream) -> None:
        self._count_refused(door)
        if not door.was_full:  # said once, until a good part of them has left
            door.was_full = True
            _log.warning("turning clients away: %d of %d places are taken", door.taken, door.places)
        if door.turned_away < _TURNED_AWAY:
            door.turned_away += 1
            try:
                await turn_away(stream)
            finally:
                door.turned_away -= 1

    async def _run(self, connection: Connection, door: Door) -> None:
        counters = self._services.counters
        counters.connections_accepted += 1
        counters.connections += 1
        door.enter()
        self._connections.add(connection)
        with bind_fields(connection=next(self._numbers)):
            _log.debug("connected")
            try:
                with self.idle_exit.busy():
                    await connection.run()
            except Exception as error:  # noqa: BLE001 - a bug ends its connection, not the daemon
                report(_log, "a connection", error)
            finally:
                self._connections.discard(connection)
                counters.connections -= 1
                door.leave()
                self.memory_release.note(connection.most_kept)
                _log.debug("disconnected")
