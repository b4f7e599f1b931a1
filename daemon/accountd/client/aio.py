"""The daemon for programs on asyncio, on the standard library alone: calls by their names, and logins as blocks.

One connection; one that is lost stays lost, and another `connect` gets another one. Results are the protocol's JSON
objects, which docs/clients.md and `results` describe. `call` raises CallFailed with the daemon's words, and
ConnectionLost. It may be cancelled; what the daemon was asked to do goes on then.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from weakref import WeakSet

from accountd import paths
from accountd.client.aio_following import BrowserLogin, DeviceCodeLogin, Login, Notifications
from accountd.client.connecting import LONGEST_MESSAGE, introduce, open_connection
from accountd.client.errors import CallFailed, CallTimedOut, ClientError, ConnectionLost, read_reason
from accountd.client.incoming import Notification, NotTheProtocol, parse_line

if TYPE_CHECKING:
    import socket as sockets
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

__all__ = ("BrowserLogin", "Client", "DeviceCodeLogin", "Notification", "connect")

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for what listens on the socket to answer as a daemon does."""

CANCEL_TIMEOUT: Final = 5.0
"""Seconds that leaving a login's block may take to cancel it."""

LoginT = TypeVar("LoginT", bound=Login)


@contextlib.asynccontextmanager
async def connect(
    socket: Path | str | None = None,
    *,
    name: str = "accountd-client",
    title: str | None = None,
    start: bool = True,
) -> AsyncIterator[Client]:
    """Connect to the daemon of this environment, or at `socket`; where none listens, start one unless told not to.

    Raises what `accountd.client.connect` does.
    """
    path = os.fspath(paths.socket_path(os.environ) if socket is None else socket)
    reader, writer = await asyncio.open_unix_connection(
        sock=await _open_socket(path, start=start), limit=LONGEST_MESSAGE
    )
    client = Client(path, reader, writer)
    try:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                client.server = await client.call("initialize", introduce(name, title))
        except TimeoutError:
            words = f"the daemon at {path} did not answer within {CONNECT_TIMEOUT:g} seconds"
            raise CallTimedOut(words) from None
        yield client
    finally:
        await client.close()


async def _open_socket(path: str, *, start: bool) -> sockets.socket:
    """Open it in a thread: starting a daemon blocks. Whoever is cancelled meanwhile leaves none open."""
    opening = asyncio.ensure_future(asyncio.to_thread(open_connection, path, CONNECT_TIMEOUT, start=start))
    try:
        opened = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise
    opened.setblocking(False)
    return opened


def _close_late(opening: asyncio.Future[sockets.socket]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class Client:
    """Made by `connect`. `server` is what the daemon said of itself."""

    server: dict[str, Any]

    def __init__(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.path = path
        self._writer = writer
        self._ids = itertools.count(1)
        self._waiting: dict[
            int, tuple[asyncio.Future[dict[str, Any]], Callable[[dict[str, Any]], None] | None]
        ] = {}
        self._followers: WeakSet[Notifications] = WeakSet()
        self._logins: dict[str, Login] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._lost: ConnectionLost | None = None
        self._reading = asyncio.create_task(self._read(reader))

    async def call(self, method: str, params: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Ask for anything that the protocol has, and give the result."""
        return await self._call(method, params or {}, None)

    def notifications(self) -> Notifications:
        """Follow what the daemon says from now on, with `async for`, which raises ConnectionLost at the end."""
        follower = Notifications()
        self._followers.add(follower)
        if self._lost is not None:
            follower.put(self._lost)
        return follower

    @contextlib.asynccontextmanager
    async def login_device_code(self) -> AsyncIterator[DeviceCodeLogin]:
        """Begin a login with a code that is typed into a browser anywhere. Leaving the block cancels it.

        A login that was waiting is replaced. Raises CallFailed where codes are not offered, for one.
        """
        async with self._login({"type": "chatgptDeviceCode"}, DeviceCodeLogin) as login:
            yield login

    @contextlib.asynccontextmanager
    async def login_browser(self) -> AsyncIterator[BrowserLogin]:
        """Begin a login with a browser of this machine, which the caller opens. Leaving the block cancels it.

        A login that was waiting is replaced. Raises CallFailed where no port is free, for one.
        """
        async with self._login({"type": "chatgpt"}, BrowserLogin) as login:
            yield login

    async def close(self) -> None:
        """Close the connection, when the logins that nobody waits for any more have been cancelled."""
        while self._endings:
            await asyncio.wait(self._endings)
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        self._writer.close()

    async def _call(
        self, method: str, params: Mapping[str, object], seen: Callable[[dict[str, Any]], None] | None
    ) -> dict[str, Any]:
        """Ask. `seen` is called with a result before what comes after it is read, also if this is cancelled."""
        if self._lost is not None:
            raise self._lost
        number = next(self._ids)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer, seen
        request = {"id": number, "method": method, "params": params}
        self._writer.write(json.dumps(request, separators=(",", ":")).encode() + b"\n")
        return cast("dict[str, Any]", await answer)

    @contextlib.asynccontextmanager
    async def _login(self, params: Mapping[str, object], kind: type[LoginT]) -> AsyncIterator[LoginT]:
        begun: list[LoginT] = []
        is_left = False

        def begin(started: dict[str, Any]) -> None:
            login = kind(self.call, started)
            self._logins[login.id] = login
            if is_left:  # it was cancelled before it had begun
                ending = asyncio.create_task(self._end(login))
                self._endings.add(ending)
                ending.add_done_callback(self._endings.discard)
            else:
                begun.append(login)

        try:
            await self._call("account/login/start", params, begin)
            await begun[0].wait_begun()
            yield begun[0]
        finally:
            is_left = True
            for login in begun:
                await self._end(login)

    async def _end(self, login: Login) -> None:
        """Cancel a login unless it has ended; one that cannot be is left to its time."""
        if not login.has_ended:
            with contextlib.suppress(ClientError, TimeoutError):
                async with asyncio.timeout(CANCEL_TIMEOUT):
                    await login.cancel()
        del self._logins[login.id]

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Take in what the daemon says, until it has gone; then tell all who wait."""
        why = "was left"
        try:
            while line := await reader.readline():
                self._take(line)
            why = "closed the connection"
        except NotTheProtocol as error:
            why = str(error)
        except ValueError:  # asyncio's, of a line over the limit
            why = f"sent a message of over {LONGEST_MESSAGE} bytes"
        except OSError:
            why = "closed the connection"
        finally:
            self._lose(ConnectionLost(f"the daemon at {self.path} {why}"))

    def _take(self, line: bytes) -> None:
        message = parse_line(line)
        if isinstance(message, Notification):
            if (login := self._logins.get(message.params.get("loginId", ""))) is not None:
                login.hear(message)
            for follower in self._followers:
                follower.put(message)
        elif message is not None and (waiting := self._waiting.pop(message["id"], None)) is not None:
            answer, seen = waiting
            if "error" in message:
                error = message["error"]
                failed = CallFailed(error["code"], error["message"], read_reason(error.get("data")))
                if not answer.done():
                    answer.set_exception(failed)
                return
            if seen is not None:
                seen(message["result"])
            if not answer.done():
                answer.set_result(message["result"])

    def _lose(self, lost: ConnectionLost) -> None:
        self._lost = lost
        for answer, _ in self._waiting.values():
            if not answer.done():
                answer.set_exception(lost)
        for login in self._logins.values():
            login.hear(lost)
        for follower in self._followers:
            follower.put(lost)
