"""The token socket's own life: it is opened when it can be, and anew when somebody has taken it away.

Its folder is mounted into containers, which may write there, unless it is mounted read-only: what is found at its
path is nobody's to rely on. So nothing there keeps the daemon from starting, or the main socket from being served;
what stands in the way is an error in the log, and tried again. The lock is kept elsewhere, where no container is.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import trio

from accountd import paths
from accountd.errors import SocketError, describe_os_error
from accountd.system.file_watch import wait_until_moved
from accountd.system.unix_socket import (
    check_length,
    identify,
    is_ours,
    open_inherited_listener,
    open_unix_listener,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds until the next try: at first, and after twice as long each time. One that was there for as long as the
longest is opened anew as at first."""

_log = logging.getLogger(__name__)


class TokenSocket:
    """The socket at a path; or one that a service manager listens on, whose file is the manager's.

    `lock` is the file that keeps two daemons from one path. `tried` is set once it is known whether anybody can
    connect. Raises SocketError for one that can never be used.
    """

    def __init__(self, place: Path | socket.socket, lock: Path | None = None) -> None:
        if isinstance(place, Path):
            check_length(place)
        self.path = place if isinstance(place, Path) else Path(place.getsockname())
        self._place = place
        self._lock = lock
        self._identity: object = None
        self._trouble: str | None = "it has not been opened yet"
        self.tried = trio.Event()

    @property
    def is_inherited(self) -> bool:
        """Whether it is a service manager's, which opens and closes it."""
        return not isinstance(self._place, Path)

    def find_trouble(self) -> str | None:
        """Say why nobody can connect, for a person; None if anybody can."""
        if self._trouble is None and identify(self.path) != self._identity:
            return self._describe_loss()
        return self._trouble

    async def serve(self, serve_listener: Callable[[trio.SocketListener], Awaitable[None]]) -> NoReturn:
        """Have those served who come, until cancelled. The first try is made before anything is waited for."""
        pause = FIRST_PAUSE
        while True:
            began = trio.current_time()
            try:
                with self._open() as listener:
                    self._identity = identify(self.path)
                    if self._is_reached():
                        self._note(None)
                        self._mark()
                        await self._serve_while_there(listener, serve_listener)
                self._note(self._describe_loss())
            except SocketError as error:
                self._note(str(error))
            except OSError as error:
                self._note(f"nobody can be let in by {self.path}: {describe_os_error(error)}")
            if trio.current_time() - began >= LONGEST_PAUSE:
                pause = FIRST_PAUSE
            await trio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _open(self) -> AbstractContextManager[trio.SocketListener]:
        if isinstance(self._place, Path):
            return open_unix_listener(self._place, self._lock, patience=0)
        return open_inherited_listener(self._place.dup())

    def _is_reached(self) -> bool:
        """Say whether who connects comes to us: somebody may have been quicker than the look at what we opened."""
        return not isinstance(self._place, Path) or (self._identity is not None and is_ours(self.path))

    async def _serve_while_there(
        self, listener: trio.SocketListener, serve_listener: Callable[[trio.SocketListener], Awaitable[None]]
    ) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_listener, listener)
            await wait_until_moved(self.path, lambda: identify(self.path) == self._identity)
            if not isinstance(self._place, Path):  # only the manager can open it anew
                self._note(self._describe_loss())
                await trio.sleep_forever()
            nursery.cancel_scope.cancel()

    def _mark(self) -> None:
        """Leave a file beside the socket, for good, by which no verb starts a daemon at this path when we are gone.

        Whoever removes it, in the folder that is theirs, gets what they have asked for; and there may be no room.
        """
        with suppress(OSError):
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(paths.token_mark(self.path), flags, 0o644))

    def _describe_loss(self) -> str:
        remedy = "" if isinstance(self._place, Path) else "; have the service manager open it again"
        return f"somebody has removed or replaced the token socket {self.path}{remedy}"

    def _note(self, trouble: str | None) -> None:
        """Keep why nobody can connect, and say so when it is news."""
        if trouble is None:
            _log.info("handing out tokens at %s", self.path)
        elif trouble != self._trouble:
            _log.error("the token socket cannot be reached, and will be opened when it can be: %s", trouble)
        self._trouble = trouble
        self.tried.set()
