"""Which token socket there is: the one of the start, or one that was opened or closed while the daemon runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import trio

from accountd.errors import InvalidRequest, SocketError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from accountd.server.token_socket import TokenSocket


class TokenSocketHolder:
    """The one in force, `current`, if any. `make` makes one for a path, or raises SocketError."""

    def __init__(self, current: TokenSocket | None, make: Callable[[Path], TokenSocket]) -> None:
        self.current = current
        self._make = make
        self._changed = trio.Event()

    async def open(self, path: Path) -> TokenSocket:
        """Have one at this path, in the place of any other, and give it when it has been tried to open it.

        One that is there already stays. Raises InvalidRequest, and then nothing has changed.
        """
        self._require_own()
        if self.current is None or self.current.path != path:
            try:
                made = self._make(path)
            except SocketError as error:
                raise InvalidRequest(str(error)) from error
            self._replace(made)
        found = self.current
        if found is not None:
            await found.tried.wait()
            return found
        raise InvalidRequest("the token socket was closed meanwhile")

    def close(self) -> None:
        """Have none. Who is connected stays. Raises InvalidRequest for one that is not ours to close."""
        self._require_own()
        self._replace(None)

    def _require_own(self) -> None:
        if self.current is not None and self.current.is_inherited:
            raise InvalidRequest("the service manager has opened the token socket; it is opened and closed there")

    def _replace(self, other: TokenSocket | None) -> None:
        self.current = other
        self._changed.set()
        self._changed = trio.Event()

    async def serve(self, serve_listener: Callable[[trio.SocketListener], Awaitable[None]]) -> NoReturn:
        """Have those served who come to the one in force, until cancelled."""
        while True:
            changed, current = self._changed, self.current
            async with trio.open_nursery() as nursery:
                if current is not None:
                    nursery.start_soon(current.serve, serve_listener)
                await changed.wait()
                nursery.cancel_scope.cancel()
