"""The sandbox on a socket: HTTP/1.1 on loopback, by h11. What is asked and answered is `routes`' business."""

from __future__ import annotations

from contextlib import suppress
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import h11
import msgspec
import trio

from accountd.config.urls import is_loopback, split_url
from accountd.sandbox.message import ConnectionDropped, Request, Response, render_oauth_error

if TYPE_CHECKING:
    from accountd.sandbox.routes import Sandbox

MAX_HEAD: Final = 64 * 1024  # bytes of request line and headers; as much as common servers take

READ_DEADLINE: Final = 10.0
"""Seconds for a whole request, from its first byte."""

IDLE_DEADLINE: Final = 75.0
"""Seconds that a connection is kept for its next request: longer than any client polls (nginx's default)."""

WRITE_DEADLINE: Final = 10.0
"""Seconds in which a client must have taken an answer."""

_LINGER: Final = 1.0  # seconds in which a client that is told why may stop sending
_CHUNK: Final = 16 * 1024


class _BadRequest(Exception):
    """What came is no request that could be answered, other than with this. The connection ends with it."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.response = render_oauth_error("bad_request", description, status)


async def serve_sandbox(
    sandbox: Sandbox, port: int, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve on 127.0.0.1 until cancelled; port 0 is any free one. Tells the port once connections are accepted.

    Raises OSError if the port cannot be had.
    """
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    task_status.started(listeners[0].socket.getsockname()[1])
    await trio.serve_listeners(partial(serve_connection, sandbox), listeners)


async def serve_connection(sandbox: Sandbox, stream: trio.abc.HalfCloseableStream) -> None:
    """Answer the requests of one connection, in turn, until either side ends it. Closes the stream."""
    async with stream:
        # Either the client has gone, or the script says that it shall be left without an answer.
        with suppress(trio.BrokenResourceError, ConnectionDropped):
            await _Connection(sandbox, stream).run()


class _Connection:
    """One client's connection: h11's state machine over a stream."""

    def __init__(self, sandbox: Sandbox, stream: trio.abc.HalfCloseableStream) -> None:
        self._sandbox = sandbox
        self._stream = stream
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._answers_head = False

    async def run(self) -> None:
        """Answer request after request."""
        try:
            while (request := await self._receive()) is not None:
                await self._send(await self._sandbox.respond(request))
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except _BadRequest as error:
            await self._refuse(error.response)

    async def _receive(self) -> Request | None:
        """Return the next whole request, None when no more will come. Raises _BadRequest."""
        begun = bool(self._http.trailing_data[0])
        with trio.move_on_after(READ_DEADLINE if begun else IDLE_DEADLINE) as deadline:
            try:
                return await self._assemble(deadline, begun=begun)
            except h11.RemoteProtocolError as error:
                raise _BadRequest(error.error_status_hint, "not a request of HTTP/1.1 within the limits") from None
        if self._http.their_state is h11.IDLE and not self._http.trailing_data[0]:
            return None
        raise _BadRequest(408, f"the request took longer than {READ_DEADLINE:g} seconds")

    async def _assemble(self, deadline: trio.CancelScope, *, begun: bool) -> Request | None:
        request: Request | None = None
        longest = 0
        body = bytearray()
        while True:
            match self._http.next_event():
                case h11.NEED_DATA:
                    await self._invite()
                    data = await self._stream.receive_some(_CHUNK)
                    if not begun:
                        begun, deadline.deadline = True, trio.current_time() + READ_DEADLINE
                    self._http.receive_data(bytes(data))
                case h11.Request() as head:
                    self._answers_head = head.method == b"HEAD"
                    request = _parse_head(head)
                    longest = self._sandbox.longest_body(request)
                case h11.Data(data=data):
                    body += data
                    if len(body) > longest:
                        raise _BadRequest(413, f"the body is larger than {longest} bytes")
                case h11.EndOfMessage() if request is not None:
                    return msgspec.structs.replace(request, body=bytes(body))
                case _:
                    return None  # closed between two requests

    async def _invite(self) -> None:
        """Say "100 Continue" to a client that asked first (RFC 9110 section 10.1.1)."""
        if self._http.they_are_waiting_for_100_continue:
            await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))

    async def _send(self, response: Response, *, last: bool = False) -> None:
        # RFC 9110 section 6.6.1: whoever has a clock says what time it is.
        headers = [("date", formatdate(self._sandbox.now(), usegmt=True)), *response.headers.items()]
        body = response.body
        if response.status in (204, 304):
            body = b""  # RFC 9110 section 6.4.1; a script may ask for such a status
        elif response.pieces is None:  # pieces go in chunks, by which h11 says where they end
            headers.append(("content-length", str(len(body))))
        if last:
            headers.append(("connection", "close"))
        head = h11.Response(status_code=response.status, headers=headers, reason=_reason(response.status))
        answer = self._http.send(head) or b""
        if body and not self._answers_head:
            answer += self._http.send(h11.Data(data=body)) or b""
        for piece in response.pieces or ():
            await self._write(answer + (self._http.send(h11.Data(data=piece)) or b""))
            await trio.sleep(response.pause)
            answer = b""
        await self._write(answer + (self._http.send(h11.EndOfMessage()) or b""))

    async def _refuse(self, response: Response) -> None:
        """Say what is wrong, and listen for a moment: closing on unread data would take the answer away too."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        await self._send(response, last=True)
        await self._stream.send_eof()
        with trio.move_on_after(_LINGER):
            while await self._stream.receive_some(_CHUNK):
                pass

    async def _write(self, data: bytes | None) -> None:
        with trio.move_on_after(WRITE_DEADLINE) as deadline:
            await self._stream.send_all(data or b"")
        if deadline.cancelled_caught:
            raise trio.BrokenResourceError("the client does not read")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _parse_head(head: h11.Request) -> Request:
    """Translate h11's request, without its body.

    Raises _BadRequest, also for a Host by which no loopback server is known.
    """
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
    target = head.target.decode("latin-1")
    try:
        if not target.startswith("/"):  # the absolute form (RFC 9112 section 3.2.2), or no URL at all
            parts = urlsplit(target)
            target = f"{parts.path or '/'}?{parts.query}"
        host = split_url(f"//{headers.setdefault('host', '127.0.0.1')}").hostname
    except ValueError:
        raise _BadRequest(400, "the request's target or Host is not understood") from None
    if not host or not is_loopback(host):
        # A web page can give its own name this machine's address and then speak to us as to itself.
        raise _BadRequest(421, "the sandbox is only at loopback addresses")
    path, _, query = target.partition("?")
    return Request(head.method.decode("ascii"), path, query, headers)
