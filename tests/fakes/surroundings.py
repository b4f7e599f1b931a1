"""What the doctor looks at, made up: an environment, a daemon that says so, and servers that answer so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from accountd import __version__
from accountd.doctor.surroundings import Daemon, Surroundings
from accountd.errors import RemoteUnreachable
from accountd.web.answer import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOW = 1_800_000_000.0
DATE = "Fri, 15 Jan 2027 08:00:00 GMT"
"""NOW, as a server writes it."""

ANSWER = HttpAnswer(200, "text/html", b"", DATE)


def daemon_with(home: Path, **status: object) -> Daemon:
    """Make up a daemon of this version that runs for a home."""
    return Daemon(pid=4711, home=str(home), status={"version": __version__, **status})


def surroundings(
    home: Path,
    *,
    daemon: Daemon | None = None,
    answer: HttpAnswer | RemoteUnreachable = ANSWER,
    environ: Mapping[str, str] | None = None,
    socket: str | None = None,
) -> Surroundings:
    """Make up surroundings in which it is NOW, and in which nothing listens unless a daemon is given."""

    async def request(_: str) -> HttpAnswer:
        await trio.lowlevel.checkpoint()
        if isinstance(answer, RemoteUnreachable):
            raise answer
        return answer

    return Surroundings(
        {"CODEX_HOME": str(home), "HOME": str(home), "ACCOUNTD_SOCKET": str(home / "s"), **(environ or {})},
        socket,
        request=request,
        ask=lambda _: daemon or Daemon(is_absent=True),
        now=lambda: NOW,
    )
