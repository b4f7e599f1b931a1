"""The daemon: builds everything, nests the lifetimes in the order in which they die, and stops when it is told to.

Read `run_daemon` from the top for what is alive when; from the bottom, for how it ends.
"""

from __future__ import annotations

import logging
import os
import socket
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from accountd import logs, paths
from accountd.account.reader import AccountReader
from accountd.account.refresh import open_refresher
from accountd.account.routing import Routing, open_routing
from accountd.account.service import open_account
from accountd.account.store_watch import StoreWatch
from accountd.account.usage import UsageService
from accountd.audit.file import AuditFile
from accountd.audit.log import AuditLog
from accountd.backend.client import Backend
from accountd.codex.user_agent import DEFAULT_ORIGINATOR, render_user_agent
from accountd.config import settings
from accountd.config.environment import describe_environment
from accountd.config.policy import PolicyHolder
from accountd.counters import Counters
from accountd.errors import ConfigError, SocketError
from accountd.files.ownership import OPT_OUT, trusts_unsafe_paths
from accountd.framing.ndjson import NdjsonFraming
from accountd.hub import Hub
from accountd.login.admission import Admission
from accountd.login.manager import open_logins
from accountd.reload import Reloader, make_policy
from accountd.requirements.file import BundleFile
from accountd.requirements.service import (
    RequirementsService,
    open_requirements,
    read_system_layer,
    this_machine,
)
from accountd.server.call import Services
from accountd.server.serve import Server
from accountd.server.token_socket import TokenSocket
from accountd.signals import open_signals
from accountd.storage.base import Provenance
from accountd.storage.choose import open_store
from accountd.supervisor import supervise
from accountd.system.activation import open_activated
from accountd.system.clock import WallClock
from accountd.system.descriptors import make_room
from accountd.system.file_watch import watch_file
from accountd.system.memory import bound_memory
from accountd.system.process import harden
from accountd.system.service_manager import open_service_manager
from accountd.system.stdio import open_stdio
from accountd.system.unix_socket import open_inherited_listener, open_unix_listener
from accountd.unforeseen import describe_way, explain_end
from accountd.web.http import open_http_client
from accountd.web.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractContextManager

    from accountd.config.limits import Limits
    from accountd.config.settings import Config
    from accountd.requirements.layers import Layer
    from accountd.system.activation import Activated
    from accountd.system.service_manager import ServiceManager

SHUTDOWN_GRACE: Final = 10.0
"""Seconds that connections get to end after a signal: their requests to be answered, their answers to leave."""

_log = logging.getLogger(__name__)


Place = Path | socket.socket
"""Where clients come in: a path to listen on, or a socket on which the service manager listens already."""


class Doors(NamedTuple):
    """The ways in. Without a main one, standard input and output are served.

    With `exit_when_idle` the daemon ends when nobody has been there for so many seconds.
    """

    main: Place | None
    token: TokenSocket | None = None
    exit_when_idle: float | None = None


def main(
    listen: Path | None,
    *,
    stdio: bool,
    log_level: str,
    log_format: str | None = None,
    token_socket: Path | None = None,
    audit: bool = True,
    exit_when_idle: float | None = None,
) -> int:
    """Run the daemon until it is told to stop, and give the exit status. What goes wrong is said on stderr.

    It listens on `listen`, else on the socket that a service manager gave, else on the default one of this
    environment; with `stdio`, on none. Besides, on `token_socket`, for those who may have a token and nothing
    else.
    """
    log = logs.set_up(log_level, log_format, _find_own_log())
    try:
        harden()
        with open_service_manager(os.environ) as manager, open_activated(os.environ) as given:
            doors = _choose_doors(given, listen, token_socket, stdio=stdio, exit_when_idle=exit_when_idle)
            config = settings.load(os.environ)
            limits = config.limits
            bound_memory(limits.connections + limits.guest_connections, limits.kept_bytes)
            with _open_audit_log(config, wanted=audit) as audit_log:
                trio.run(run_daemon, config, doors, manager, audit_log)
    except Exception as error:  # noqa: BLE001 - what nobody foresaw is one line, too, and quotes nothing
        _log.debug("the end came on this way: %s", describe_way(error))
        if log.form == "text":
            log.say(f"accountd: {explain_end(error)}")
        else:  # for whoever reads every line in that format
            _log.critical("%s", explain_end(error))
        return 1
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is None:
            raise
        raise KeyboardInterrupt from None
    return 0


def _find_own_log() -> str | None:
    try:
        return paths.log_file(os.environ)
    except ConfigError:  # said when the configuration is read
        return None


def _choose_doors(
    given: Activated, listen: Path | None, token_socket: Path | None, *, stdio: bool, exit_when_idle: float | None
) -> Doors:
    if given.main is None and exit_when_idle is not None:
        raise SocketError("--exit-when-idle needs a socket from a service manager, which starts us again")
    if (given.main and (listen or stdio)) or (given.token and token_socket):
        raise SocketError("a service manager gave the socket, and the command line names another")
    usual = None if stdio else listen or Path(paths.socket_path(os.environ))
    return Doors(given.main or usual, _find_token_socket(given.token, token_socket), exit_when_idle)


async def run_daemon(config: Config, doors: Doors, manager: ServiceManager, audit: AuditLog) -> None:
    """Serve sockets until SIGTERM or SIGINT; without a main one, serve standard input and output to their end.

    The first signal stops politely, a second one at once; neither goes through a commit. Raises SocketError
    and ConfigError before anything is served.
    """
    if trusts_unsafe_paths():
        _log.warning("%s is set: paths are used that other users may write to", OPT_OUT)
    system = read_system_layer()
    policy = PolicyHolder(make_policy(config, system))  # it may not permit anything: said before anything is open
    accepting, staying = trio.CancelScope(), trio.CancelScope()
    with ExitStack() as door:
        listener = door.enter_context(_open_listener(doors.main)) if doors.main is not None else None
        async with (
            # Also the last to end: neither a signal nor a watchdog may go through a refresh that is waited for.
            open_signals(accepting, staying, hang_up_ends=doors.main is None) as hang_ups,
            _open_watchdog(manager),
            _open_services(config, policy, system, audit, doors.token) as services,
            trio.open_nursery() as watching,
        ):
            server = Server(services, config, make_room, guests=doors.token is not None)
            watch = StoreWatch(config.codex_home / "auth.json", services.account)
            watching.start_soon(supervise, "watching auth.json", watch.run)
            watching.start_soon(supervise, "giving memory back", server.memory_release.serve)
            with staying:
                async with trio.open_nursery() as connections:
                    with accepting:
                        async with trio.open_nursery() as reloading:
                            status = f"serving {_name(doors.main)} for {config.codex_home}"
                            reloader = Reloader(config, services, os.environ, manager, status)
                            reloading.start_soon(supervise, "reloading", reloader.serve, hang_ups)
                            watch_config = partial(watch_file, config.codex_home / "config.toml")
                            reloading.start_soon(
                                supervise, "watching config.toml", watch_config, reloader.follow_provider
                            )
                            if doors.main is None:
                                connections.start_soon(_serve_stdio, server, config.limits, accepting)
                            _log.info(status)
                            manager.tell_ready(status)
                            await _admit(server, listener, connections, services, doors)
                            reloading.cancel_scope.cancel()
                    manager.tell_stopping()
                    door.close()
                    await services.logins.shut()
                    server.drain()
                    staying.deadline = trio.current_time() + SHUTDOWN_GRACE
            watching.cancel_scope.cancel()
    _log.info("stopped")


def _find_token_socket(given: socket.socket | None, path: Path | None) -> TokenSocket | None:
    if given is not None:
        return TokenSocket(given)
    return None if path is None else TokenSocket(path, Path(paths.token_lock(os.environ, path)))


def _open_listener(place: Place) -> AbstractContextManager[trio.SocketListener]:
    return open_unix_listener(place) if isinstance(place, Path) else open_inherited_listener(place)


def _name(place: Place | None) -> str:
    if place is None:
        return "standard input"
    return str(place if isinstance(place, Path) else place.getsockname())


async def _admit(
    server: Server,
    listener: trio.SocketListener | None,
    connections: trio.Nursery,
    services: Services,
    doors: Doors,
) -> None:
    """Let clients in until cancelled, or until nobody has been there for so long.

    Who comes at that very moment either got in, and it goes on, or waits in the service manager's socket.
    """
    while True:
        async with trio.open_nursery() as admitting:
            if listener is not None:
                accept = partial(_accept, server, listener, connections)
                admitting.start_soon(supervise, "accepting clients", accept)
            if doors.token is not None:
                serve = partial(server.serve_guests, connections=connections)
                admitting.start_soon(supervise, "serving the token socket", doors.token.serve, serve)
            await supervise("waiting for an idle moment", _wait_idle, server, services, doors.exit_when_idle)
            admitting.cancel_scope.cancel()
        if not connections.child_tasks:
            _log.info("stopping, since nobody has been here for %g seconds", doors.exit_when_idle)
            return


async def _accept(server: Server, listener: trio.SocketListener, connections: trio.Nursery) -> None:
    # A copy, because who accepts on it closes it.
    await server.serve_socket(trio.SocketListener(listener.socket.dup()), connections)


async def _wait_idle(server: Server, services: Services, seconds: float | None) -> None:
    """Wait until nobody has been there for so long, no login is under way, and nothing is in memory alone."""
    if seconds is None:
        await trio.sleep_forever()
    await server.idle_exit.wait(seconds)
    while services.logins.under_way() or not services.account.outlasts_the_daemon:
        await server.idle_exit.wait(seconds)


@asynccontextmanager
async def _open_services(
    config: Config, policy: PolicyHolder, system: Layer, audit: AuditLog, token_socket: TokenSocket | None
) -> AsyncIterator[Services]:
    """Open the services, each standing on those before it."""
    hub, clock, counters = Hub(), WallClock(), Counters()
    user_agent = render_user_agent(config.originator or DEFAULT_ORIGINATOR)
    async with open_http_client(user_agent, config.ca_file) as http:
        issuer = Issuer(http, config.issuer, config.client_id, config.refresh_url, config.revoke_url)
        backend = Backend(http, config.backend)
        admission = Admission(policy, Provenance(config.issuer, config.client_id))
        async with open_account(open_store(config), policy, issuer, hub, audit=audit, counters=counters) as account:
            account.follow_provider(requires_openai_auth=config.requires_openai_auth)
            service = RequirementsService(
                account,
                read_bundle=backend.read_config_bundle,
                policy=policy,
                clock=clock,
                machine=this_machine(config.codex_home),
                file=BundleFile(config.codex_home / "accountd-requirements.json"),
                system=system,
            )
            async with (
                open_refresher(account, clock) as refresher,
                open_requirements(service) as requirements,
                open_logins(
                    account, admission, requirements, hub, clock=clock, audit=audit, counters=counters
                ) as logins,
                open_routing(Routing(account, backend, hub), refresher) as routing,
            ):
                reader = AccountReader(account, refresher, routing, audit)
                usage = UsageService(account, refresher, backend)
                yield Services(
                    hub,
                    policy,
                    account,
                    refresher,
                    routing,
                    reader,
                    logins,
                    usage,
                    requirements,
                    issuer,
                    counters,
                    describe_environment(os.environ),
                    config.backend if config.backend != settings.DEFAULT_BACKEND else None,
                    token_socket,
                )


@contextmanager
def _open_audit_log(config: Config, *, wanted: bool) -> Iterator[AuditLog]:
    if not wanted:
        yield AuditLog()
        return
    folder = config.codex_home / "log"
    guests = AuditFile(folder / "accountd-audit-guests.jsonl")
    audit = AuditLog(AuditFile(folder / "accountd-audit.jsonl").append, append_of_guests=guests.append)
    try:
        yield audit
    finally:
        audit.close()


@asynccontextmanager
async def _open_watchdog(manager: ServiceManager) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise, "feeding the watchdog", manager.feed_watchdog)
        yield
        nursery.cancel_scope.cancel()


async def _serve_stdio(server: Server, limits: Limits, accepting: trio.CancelScope) -> None:
    await server.serve_stream(open_stdio(), NdjsonFraming(limits.message_bytes))
    accepting.cancel()
