"""The program: one client on standard input and output, or many on a socket, and one agent for all of them."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from accountd import logs, paths
from accountd.client.errors import ClientError
from accountd.client.opening import connect
from accountd.errors import AccountdError
from accountd.framing.detect import DetectedFraming
from accountd.framing.ndjson import NdjsonFraming
from accountd.front.agent import Agent
from accountd.front.agent_side import ROOM
from accountd.front.control_socket import serve_control_socket
from accountd.front.feed import Feed
from accountd.front.guard import run_guarded
from accountd.front.launch import Launch, open_private_child, open_shared_child
from accountd.front.remote_account import OUR_NAME, RemoteAccount, open_remote_account
from accountd.front.report import Report
from accountd.front.router import Router
from accountd.front.sides import Sides
from accountd.installation import INSTALLATION
from accountd.supervisor import supervise
from accountd.system.accepting import accept_clients
from accountd.system.peer_credentials import peer_credentials
from accountd.system.service_manager import open_service_manager
from accountd.system.stdio import open_stdio
from accountd.system.unix_socket import open_unix_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from accountd.client.client import Client
    from accountd.system.service_manager import ServiceManager

_log = logging.getLogger(__name__)


_TITLE: Final = "accountd app-server"

SHARED_UNREAD: Final = 1 << 20
"""Bytes that wait for one of many clients before its connection to the agent is not read any more."""

PRIVATE_UNREAD: Final = 256 << 20
"""Likewise for the one client of pipes. An agent ends a connection that leaves some thirty thousand messages
unread; a Codex on pipes of its own would wait for its client, however long."""

SIGNALLED: Final = 128
"""The exit code of a program that a signal has ended is this and its number."""


class Front(msgspec.Struct, frozen=True):
    """The daemon at `path`, which is started where there is none if `start` is set, and how agents are run.

    If the account is `remote`, `path` is a token socket.
    """

    path: Path
    launch: Launch
    start: bool = True
    remote: bool = False


async def run_on_stdio(front: Front) -> None:
    """Serve one client, until it has left. Raises ClientError where there is no daemon to be had."""
    async with _open_sides(front, shared=False) as sides:
        await Router(open_stdio(), NdjsonFraming(ROOM), sides, PRIVATE_UNREAD).run()


async def run_on_sockets(front: Front, places: Sequence[Path], manager: ServiceManager) -> None:
    """Serve whoever of this person connects to the sockets, until cancelled. Raises SocketError and ClientError."""
    async with _open_sides(front, shared=True) as sides:
        with ExitStack() as listening:
            control = _control_socket(front)
            others = [place for place in places if place != control]
            listeners = [listening.enter_context(open_unix_listener(place)) for place in others]
            async with trio.open_nursery() as clients:
                accept = partial(accept_clients, serve=partial(_serve, sides), clients=clients)
                for listener, place in zip(listeners, others, strict=True):
                    listening.enter_context(sides.report.listening(place))
                    clients.start_soon(accept, listener)
                    _log.info("serving unix://%s", place)
                manager.tell_ready("Serving")
                if control in places:
                    clients.start_soon(serve_control_socket, control, sides, accept)


async def _serve(sides: Sides, stream: trio.SocketStream) -> None:
    peer = peer_credentials(stream.socket)
    if peer is None or peer.uid not in (os.getuid(), 0):
        await stream.aclose()
        return
    try:
        await Router(stream, DetectedFraming(ROOM), sides, SHARED_UNREAD).run()
    except ClientError as error:
        _log.error("%s", error)


def main(front: Front, places: Sequence[Path]) -> int:
    """Be the front on these sockets, or on standard input and output without any, and give the exit code."""
    INSTALLATION.guard_imports()
    with open_service_manager(os.environ) as manager:

        def work() -> int:
            logs.set_up("info" if places else "warning")
            return trio.run(_run, front, places, manager)

        control = _control_socket(front)
        is_guarded = sys.platform == "linux" and control in places and not manager.is_there
        return run_guarded(work, control) if is_guarded else work()


def _control_socket(front: Front) -> Path:
    return Path(paths.control_socket(front.launch.environ))


async def _run(front: Front, places: Sequence[Path], manager: ServiceManager) -> int:
    """Run until it is told to stop. What it has started is ended before it ends."""
    code, failure = 0, None
    async with trio.open_nursery() as nursery:

        async def wait_signal() -> None:
            nonlocal code
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                async for number in signals:
                    code = SIGNALLED + number
                    nursery.cancel_scope.cancel()

        nursery.start_soon(wait_signal)
        nursery.start_soon(supervise, "feeding the watchdog", manager.feed_watchdog)
        try:
            await (run_on_sockets(front, places, manager) if places else run_on_stdio(front))
        except (AccountdError, ClientError) as error:
            failure = error  # raised below, where no nursery makes a group of it
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return code


def _open_account(front: Front) -> AbstractAsyncContextManager[Client | RemoteAccount]:
    """Connect to whoever has the account, whom the feed asks. Raises ClientError, but for a remote one."""
    if front.remote:
        return open_remote_account(front.path)
    return connect(front.path, name=OUR_NAME, title=_TITLE, start=front.start, account=front.launch.account)


@asynccontextmanager
async def _open_sides(front: Front, *, shared: bool) -> AsyncIterator[Sides]:
    """Have the daemon, the feed and the agent for the block. Raises ClientError if there is no daemon to be had."""
    failure: ClientError | None = None
    async with trio.open_nursery() as nursery:
        try:
            async with _open_account(front) as account:
                remote = account if isinstance(account, RemoteAccount) else None
                report = Report()
                without_login = None if remote is None else remote.describe_nobody()
                feed = Feed(account, without_login=without_login, changed=report.change)
                open_child = partial(open_shared_child if shared else open_private_child, front.launch, feed.answer)
                agent = Agent(open_child, feed.feeding, ends_idle=shared)
                sides = Sides(
                    front.path,
                    agent,
                    feed,
                    report,
                    front.launch,
                    start=front.start,
                    remote=remote,
                    account=front.launch.account,
                )
                nursery.start_soon(sides.look_for_program)
                if not isinstance(account, RemoteAccount):
                    nursery.start_soon(supervise, "telling the daemon of it", report.follow, account, feed)
                nursery.start_soon(supervise, "feeding the agent", feed.follow)
                nursery.start_soon(supervise, "feeding the agent when its turns are over", feed.catch_up)
                nursery.start_soon(supervise, "having an agent", agent.serve)
                yield sides
                nursery.cancel_scope.cancel()
        except ClientError as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
