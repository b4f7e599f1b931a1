"""A network between the daemon and a sandbox that goes wrong, on demand: in connecting, in TLS, or in the answer.

The same faults are had over pairs of sockets, on a clock that jumps, and over real TCP. Everything that httpx, h11
and TLS make of a fault is theirs; only connecting itself is taken from them, by `Network.connect`.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import trio

from accountd.sandbox.message import Response
from accountd.sandbox.server import serve_connection
from faults.answers import BROKEN_ANSWERS, FaultyStream
from faults.certificates import CERTIFICATES, server_context

if TYPE_CHECKING:
    from accountd.sandbox import Sandbox
    from accountd.sandbox.message import Request

CONNECTING = {
    "refused": ConnectionRefusedError(111, "Connection refused"),
    "unreachable": OSError(113, "No route to host"),
    "no name": socket.gaierror(-2, "Name or service not known"),
    "out of descriptors": OSError(24, "Too many open files"),
    "black hole": None,
}
"""What connecting ends with; nothing, if it does not end."""

HANDSHAKE = ("plain HTTP", "noise", "closed in the handshake", "reset in the handshake", "handshake hangs")

FAULTS = (*CONNECTING, *HANDSHAKE, *(f"certificate {name}" for name in CERTIFICATES), *BROKEN_ANSWERS)
"""By their names, which are those of the tests."""

UNHEARD = frozenset(FAULTS) - BROKEN_ANSWERS.keys() | {"closed before the request"}
"""Those where the server does not get to see the request."""


class _Secure:
    """A sandbox that is asked by TLS; where it is not `acting`, one that answers and does nothing."""

    def __init__(self, sandbox: Sandbox, *, acting: bool) -> None:
        self._sandbox = sandbox
        self._acting = acting
        self.now = sandbox.now
        self.longest_body = sandbox.longest_body

    async def respond(self, request: Request) -> Response:
        """See Sandbox."""
        if not self._acting:
            return Response(200, {"content-type": "application/json"}, b"{}")
        return await self._sandbox.respond(msgspec.structs.replace(request, scheme="https"))


class Network:
    """The way to a sandbox. `fault` names what goes wrong with each connection and answer, while it is set.

    Where it is `acting`, the sandbox does what it is asked, and only the answer goes wrong.
    """

    def __init__(self, sandbox: Sandbox, nursery: trio.Nursery) -> None:
        self.sandbox = sandbox
        self.fault: str | None = None
        self.acting = False
        self.keeps_alive = True
        self._nursery = nursery
        self._armed: tuple[str, str] | None = None

    def arm(self, fault: str, after: str) -> None:
        """Have a fault begin when a request to this path has been answered well."""
        self._armed = (fault, after)

    def note_answer(self) -> bool:
        """Begin the fault that is armed, if it is time; say whether the connection ends for it."""
        if self._armed is None or not self.sandbox.requests:
            return not self.keeps_alive
        fault, after = self._armed
        last = self.sandbox.requests[-1]
        if last.path != after or last.status != 200:
            return False
        self.fault, self._armed = fault, None
        return True

    async def connect(self, host: str, port: int, **_: object) -> trio.SocketStream:
        """Stand in for trio.open_tcp_stream."""
        await trio.lowlevel.checkpoint()
        if self.fault in CONNECTING:
            error = CONNECTING[self.fault]
            if error is None:
                await trio.sleep_forever()
            raise type(error)(*error.args)
        ours, theirs = trio.socket.socketpair()
        self._nursery.start_soon(self.serve, trio.SocketStream(theirs))
        return trio.SocketStream(ours)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection, as well or as badly as `fault` says."""
        async with stream:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
                if self.fault in HANDSHAKE:
                    await _break_handshake(self.fault, stream)
                    return
                certificate = self.fault.removeprefix("certificate ") if self.fault else ""
                secure = trio.SSLStream(
                    stream, server_context(certificate), server_side=True, https_compatible=True
                )
                faulty = FaultyStream(secure, stream.socket, self)
                sandbox = _Secure(self.sandbox, acting=self.acting or self.fault not in BROKEN_ANSWERS)
                await serve_connection(sandbox, faulty)  # type: ignore[arg-type]  # it is used as one


async def _break_handshake(fault: str, stream: trio.SocketStream) -> None:
    match fault:
        case "plain HTTP":
            await stream.receive_some(4096)
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        case "noise":
            await stream.receive_some(4096)
            await stream.send_all(bytes(range(256)))
        case "closed in the handshake":
            await stream.receive_some(4096)
        case "reset in the handshake":
            reset(stream.socket)
        case _:
            await trio.sleep_forever()


def reset(sock: trio.socket.SocketType) -> None:
    """End a connection without a goodbye, as far as its kind knows such a thing."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()
