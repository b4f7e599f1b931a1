"""One client's connection: a nursery with a reader, one task a request, and a writer while there is need of one.

    reader ──▶ requests ──▶ outbox ──▶ writer
                  hub ────────▲

Answers and notifications leave in the order in which they were put into the outbox. Requests begin in the
order in which they came; one that changes the account is finished before a later one begins.
"""

from __future__ import annotations

import logging
import math
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final

import trio

from accountd.config.limits import FIRST_MESSAGE
from accountd.errors import InvalidRequest
from accountd.framing.base import Ended, Message, Prelude, Rejected, Reply
from accountd.protocol.jsonrpc import Malformed, Request, Response, parse_message, render_error
from accountd.protocol.methods import is_in_turn
from accountd.server.dispatch import Dispatcher
from accountd.server.door import Door
from accountd.server.keepalive import Keepalive
from accountd.server.outbox import BoundedOutbox
from accountd.server.overload import SMALL, Allowance, Share, overloaded
from accountd.server.server_requests import ServerRequests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from accountd.account.routing import LookUp
    from accountd.config.settings import Config
    from accountd.errors import RequestError
    from accountd.framing.base import Event, Framing
    from accountd.hub import Notification
    from accountd.server.call import Services

DRAIN_TIMEOUT: Final = 5.0
"""Seconds for which the requests of a client that has stopped sending may go on, and for its answers to leave."""

TURN: Final = 0.0005
"""Seconds for which messages are taken in one after the other, before others have their turn: some twenty of them.
So a client waits for others as long as there are others, and not for what they have sent."""

_log = logging.getLogger(__name__)


class Connection:
    """One connection, to be `run` once.

    `has_left` tells a client that is gone from one that sends no more; `door` is where it came in, which it
    shares with others.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        framing: Framing,
        services: Services,
        config: Config,
        *,
        has_left: Callable[[], bool] = lambda: False,
        door: Door | None = None,
    ) -> None:
        door = door if door is not None else Door("main", config.limits)
        self._share = Share(door.load)
        self._partial = Allowance(self._share)
        self._heard = door.notifications
        self._receive_size = door.receive_size
        self._guest = door.welcome()
        self._stream = stream
        self._has_left = has_left
        self._framing = framing
        self._framing.max_message = FIRST_MESSAGE
        self._max_message = door.limits.message_bytes
        self._hub = services.hub
        self._awaited: LookUp | None = None
        self._counters = services.counters
        self._server_requests = ServerRequests(self._send)
        self._app_servers = services.app_servers
        self._dispatcher = Dispatcher(
            services,
            config,
            self._server_requests,
            door=door,
            guest=self._guest,
            offer=self._offer,
            send=self._send,
            greet=self._greet,
        )
        self._outbox = BoundedOutbox(stream, door.limits, Allowance(self._share), self._start_writer, self._cut)
        self._receiving = trio.CancelScope()
        self._ended = False
        self._turn: trio.Event | None = None
        self._keepalive = Keepalive(door.limits, trio.current_time())

    async def run(self) -> None:
        """Serve until the client leaves, breaks a rule or does not read; then close the stream.

        Raises nothing of the client's doing.
        """
        async with self._stream:
            try:
                await self._serve()
            finally:
                self._server_requests.close()
                self._app_servers.pop(self._server_requests, None)
                self._dispatcher.selection.close()
                self._outbox.close()
                self._share.close()

    @property
    def most_kept(self) -> int:
        """How many bytes were kept for this client at once, besides what is small."""
        return self._share.most

    def drain(self) -> None:
        """Read no more; `run` ends when what has been asked for is answered."""
        self._ended = True
        self._receiving.cancel()

    async def _serve(self) -> None:
        async with trio.open_nursery() as self._whole:
            # For one that neither initializes itself nor reads what it is told.
            self._whole.cancel_scope.deadline = self._keepalive.deadline + DRAIN_TIMEOUT
            with self._hub.subscribe(self._deliver):
                async with trio.open_nursery() as requests:
                    await self._read(requests)
                    self._server_requests.close()
                    # A client that only stopped sending is still there to hear; one that left is not.
                    patience = 0 if self._has_left() else DRAIN_TIMEOUT
                    requests.cancel_scope.deadline = trio.current_time() + patience
            self._whole.cancel_scope.deadline = trio.current_time() + DRAIN_TIMEOUT
            self._outbox.put(self._framing.close())

    def _start_writer(self) -> None:
        self._whole.start_soon(self._write)

    async def _write(self) -> None:
        with self._gone_is_the_end():
            await self._outbox.flush()

    async def _read(self, requests: trio.Nursery) -> None:
        """Take in what the client sends; what can be answered at once is answered before more is read.

        Others have their turns meanwhile, if it is many messages.
        """
        with self._gone_is_the_end():
            while not self._ended:
                data = None
                with trio.CancelScope(deadline=self._keepalive.deadline) as self._receiving:
                    if self._guest is not None:
                        await self._guest.wait_turn()
                        if self._has_left():  # nobody would hear an answer to what it has sent ahead
                            self._whole.cancel_scope.cancel()
                    data = bytes(await self._stream.receive_some(min(self._receive_size, self._framing.portion)))
                if data is None and not self._ended:
                    self._hear_nothing()
                    continue
                events = self._receive(data or b"")
                await self._outbox.batch(partial(self._take_turn, events, requests))
                while events:
                    await trio.lowlevel.checkpoint()
                    await self._outbox.batch(partial(self._take_turn, events, requests))

    def _hear_nothing(self) -> None:
        """Ask a client that says nothing whether it is there, or give up on it. Not waiting for it to read that."""
        complaint = self._keepalive.run_out(trio.current_time())
        if complaint is None:
            self._outbox.put(self._framing.ping())
        else:
            self._end(InvalidRequest(complaint))

    def _receive(self, data: bytes) -> list[Event]:
        self._ended = self._ended or not data
        events = self._framing.receive(data)
        if self._guest is not None:
            self._guest.note_messages(len(events), len(data))
        return events

    def _take_turn(self, events: list[Event], requests: trio.Nursery) -> None:
        """Take in the first of what has been received, off the list, and behind the last look at what there is."""
        end = perf_counter() + TURN
        last = events[-1] if events else None
        for number, event in enumerate(events, 1):
            match event:
                case Message(payload):
                    self._accept(payload, requests)
                case Reply(reply):
                    self._outbox.put(reply)
                case Prelude(line):
                    self._outbox.put(self._dispatcher.take_prelude(line))
                case Rejected(complaint):
                    self._complain(None, InvalidRequest(complaint))
                case Ended(complaint):
                    self._end(None if complaint is None else InvalidRequest(complaint))
            if perf_counter() > end and number < len(events):
                del events[:number]
                return
        events.clear()
        # Behind a whole message there is less than has just been received.
        if self._partial.size > SMALL or not isinstance(last, Message):
            self._keep_partial()
        if self._dispatcher.session is not None:
            if self._whole.cancel_scope.deadline != math.inf:  # it takes a while to say so each time
                self._whole.cancel_scope.deadline = math.inf
                self._framing.max_message = self._max_message
            self._keepalive.hear(trio.current_time(), answers_pings=self._framing.answers_pings)

    def _keep_partial(self) -> None:
        """Keep what has come of a message, or give up on it where all clients together have sent too much."""
        size = self._framing.held
        if size <= self._partial.size:
            self._partial.resize(size)
        elif not self._partial.grow(size):
            self._end(overloaded())

    def _end(self, error: RequestError | None) -> None:
        """Take in no more, and say why, if it is not that the client has left."""
        self._ended = True
        if error is not None:
            _log.info("closing a connection: %s", error)
            self._complain(None, error)

    def _accept(self, payload: bytes, requests: trio.Nursery) -> None:
        """Take one message: answer it now if that needs no waiting, else in a task of its own."""
        match parse_message(payload):
            case Malformed(request_id, error):
                self._complain(request_id, error)
            case Response() as response:
                self._server_requests.answer(response)
            case Request() as request if self._is_too_much(requests, len(payload)):
                self._dispatcher.refuse(request.method, request.id, overloaded())
            case Request() as request:
                turn = self._turn
                if turn is None or turn.is_set():
                    rest = self._dispatcher.begin(request)
                else:
                    rest = _after(turn, self._dispatcher, request)
                if rest is None:
                    return
                if is_in_turn(request.method):
                    self._turn = trio.Event()
                    rest = _then(rest, self._turn)
                requests.start_soon(self._finish, rest, len(payload))
                self._share.begin(len(payload))

    def _is_too_much(self, requests: trio.Nursery, size: int) -> bool:
        """Say whether one more request may not wait. Until `initialize`, none does; so that is never refused."""
        return self._dispatcher.session is not None and self._share.is_too_much(len(requests.child_tasks), size)

    async def _finish(self, rest: Awaitable[None], size: int) -> None:
        try:
            await rest
        finally:
            self._share.end(size)

    def _greet(self) -> None:
        """Tell the client, which has just come, of the account, or wait for what there is to tell."""
        self._awaited = self._dispatcher.selection.account.routing.greet(self._deliver)

    def _deliver(self, notification: Notification) -> None:
        session = self._dispatcher.session
        to = notification.to
        if to is not None and to is not self._awaited and not self._dispatcher.selection.is_of(to):
            return
        if self._heard is not None and notification.method not in self._heard:
            return
        if session is not None and session.wants(notification):
            self._counters.notifications_sent += 1
            self._send((session.extension and notification.extended) or notification.payload)

    def _offer(self, payload: bytes) -> bool:
        """Queue an answer; False, and it is not, if it is too much for one who has not read what came before."""
        return self._outbox.offer(self._framing.send(payload))

    def _send(self, payload: bytes) -> None:
        """Queue one message for the client."""
        self._outbox.put(self._framing.send(payload))

    def _complain(self, request_id: int | str | None, error: RequestError) -> None:
        """Answer what is no request."""
        self._counters.requests_refused[error.code] += 1
        self._send(render_error(request_id, error, extension=self._dispatcher.has_extension))

    def _cut(self) -> None:
        self._counters.clients_cut += 1
        _log.warning("disconnecting a client that does not read")
        self._whole.cancel_scope.cancel()

    @contextmanager
    def _gone_is_the_end(self) -> Iterator[None]:
        """End the whole connection when its client turns out to be gone, requests included."""
        try:
            yield
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._whole.cancel_scope.cancel()


async def _after(turn: trio.Event, dispatcher: Dispatcher, request: Request) -> None:
    await turn.wait()
    rest = dispatcher.begin(request)
    del request  # its params have been decoded
    if rest is not None:
        await rest


async def _then(rest: Awaitable[None], turn: trio.Event) -> None:
    try:
        await rest
    finally:
        turn.set()
