"""The daemon: nests the lifetimes in the order in which they die, says when it is ready, and stops when told to.

Read `run_daemon` from the top for what is alive when; from the bottom, for how it ends.
"""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import trio

from accountd import logs, paths
from accountd.audit.log import open_audit_log
from accountd.codex.user_agent import DEFAULT_ORIGINATOR, render_user_agent
from accountd.config import settings
from accountd.config.env_file import read_env_file
from accountd.config.layers import MACHINE_FILES, MACHINE_FOLDER
from accountd.config.network import join_network
from accountd.config.policy import PolicyHolder
from accountd.errors import ConfigError
from accountd.files.daemon_note import note_daemon
from accountd.files.own_folder import OwnFolder, find_own_folder
from accountd.files.ownership import OPT_OUT, trusts_unsafe_paths
from accountd.framing.ndjson import NdjsonFraming
from accountd.installation import INSTALLATION
from accountd.listeners import choose_listeners, describe_place, make_token_socket, open_listener
from accountd.reload import Reloader, log_warnings, make_policy
from accountd.requirements.service import read_system_layer
from accountd.server.serve import Server
from accountd.server.token_socket_holder import TokenSocketHolder
from accountd.services import open_services
from accountd.signals import open_signals
from accountd.storage.choose import open_store, open_vault
from accountd.supervisor import supervise
from accountd.system.activation import open_activated
from accountd.system.clock import WallClock
from accountd.system.descriptors import make_room
from accountd.system.file_watch import watch_file
from accountd.system.memory import bound_memory
from accountd.system.process import harden
from accountd.system.service_manager import open_service_manager
from accountd.system.stdio import open_stdio
from accountd.system.unix_socket import is_live
from accountd.unforeseen import describe_way, explain_end
from accountd.web.http import open_http_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from accountd.audit.log import AuditLog
    from accountd.config.limits import Limits
    from accountd.config.settings import Config
    from accountd.listeners import Listeners
    from accountd.server.call import Services
    from accountd.system.service_manager import ServiceManager

SHUTDOWN_GRACE: Final = 10.0
"""Seconds that connections get to end after a signal: their requests to be answered, their answers to leave."""

End = Literal["done", "failed", "upgraded"]
"""How a daemon ends. `upgraded` is that whoever runs it has to start the new one: no client does."""

UPGRADE_GRACE: Final = 1.0
"""Seconds that a daemon waits for more clients when it has been upgraded and the last one has left."""

_log = logging.getLogger(__name__)


def main(
    listen: Path | None,
    *,
    stdio: bool,
    log_level: str,
    log_format: str | None = None,
    token_socket: Path | None = None,
    audit: bool = True,
    exit_when_idle: float | None = None,
    on_demand: bool = False,
) -> End:
    """Run the daemon until it is told to stop, and say how it ended. What goes wrong is said on stderr.

    It listens on `listen`, else on the socket that a service manager gave, else on the default one of this
    environment; with `stdio`, on none. Besides, on `token_socket`, or what is configured, for those who may have a
    token and nothing else.
    """
    INSTALLATION.guard_imports()
    folder = _find_own_folder()
    log = logs.set_up(log_level, log_format, folder and folder.log)
    try:
        harden()
        with open_service_manager(os.environ) as manager, open_activated(os.environ) as given:
            is_managed = manager.is_there or given.main is not None
            config = settings.load(os.environ)
            listeners = choose_listeners(
                given,
                listen,
                token_socket or (None if given.token or stdio else config.token_socket),
                stdio=stdio,
                exit_when_idle=exit_when_idle,
                started_by="serviceManager" if is_managed else "client" if on_demand else "person",
            )
            limits = config.limits
            bound_memory(limits.connections + limits.guest_connections, limits.kept_bytes)
            own = folder or OwnFolder(os.fspath(config.codex_home))
            if own.fault is not None:
                _log.warning("%s; the log and the audit log are in %s", own.fault.problem, own.path)
            with open_audit_log(Path(own.path), wanted=audit) as audit_log:
                return trio.run(run_daemon, config, listeners, manager, audit_log, Path(own.path))
    except Exception as error:  # noqa: BLE001 - what nobody foresaw is one line, too, and quotes nothing
        _log.debug("the end came on this way: %s", describe_way(error))
        if log.form == "text":
            log.say(f"accountd: {explain_end(error)}")
        else:  # for whoever reads every line in that format
            _log.critical("%s", explain_end(error))
        return "failed"
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is None:
            raise
        raise KeyboardInterrupt from None


def _find_own_folder() -> OwnFolder | None:
    try:
        return find_own_folder(os.environ)
    except ConfigError:  # said when the configuration is read
        return None


async def run_daemon(
    config: Config, listeners: Listeners, manager: ServiceManager, audit: AuditLog, own_folder: Path
) -> End:
    """Serve sockets until SIGTERM or SIGINT; without a main one, serve standard input and output to their end.

    The first signal stops politely, a second one at once; neither goes through a commit. Raises SocketError
    and ConfigError before anything is served.
    """
    if trusts_unsafe_paths():
        _log.warning("%s is set: paths are used that other users may write to", OPT_OUT)
    env_file = read_env_file(os.environ)
    if env_file.fault is not None:
        _log.warning("%s; %s", env_file.fault, env_file.remedy)
    environ = join_network(os.environ)
    system = read_system_layer()
    log_warnings(config, system)
    policy = PolicyHolder(make_policy(config, system))  # it may not permit anything: said before anything is open
    user_agent = render_user_agent(config.originator or DEFAULT_ORIGINATOR)
    clock = WallClock()
    token_sockets = TokenSocketHolder(listeners.token, partial(make_token_socket, main=listeners.main))
    accepting, staying = trio.CancelScope(), trio.CancelScope()
    end: End = "done"
    with ExitStack() as door:
        listener = door.enter_context(open_listener(listeners.main)) if listeners.main is not None else None
        async with (
            # Also the last to end: neither a signal nor a watchdog may go through a refresh that is waited for.
            open_signals(accepting, staying, hang_up_ends=listeners.main is None) as hang_ups,
            _open_watchdog(manager),
            open_http_client(user_agent, environ, clock.hear) as http,
            open_services(
                config,
                policy,
                system,
                clock=clock,
                http=http,
                store=open_store(config),
                vault=open_vault(config),
                audit=audit,
                environ=environ,
                token_sockets=token_sockets,
                started_by=listeners.started_by,
                own_folder=own_folder,
            ) as services,
            trio.open_nursery() as watching,
        ):
            _note(config, listeners, own_folder)
            server = Server(services, config, make_room)
            account, auth_file = services.accounts.active, config.codex_home / paths.CREDENTIAL
            watching.start_soon(supervise, "watching auth.json", account.store_watch.follow, auth_file)
            watching.start_soon(supervise, "looking workspaces up", account.routing.look_up_ahead)
            watching.start_soon(supervise, "giving memory back", server.memory_release.serve)
            with staying:
                async with trio.open_nursery() as connections:
                    with accepting:
                        async with trio.open_nursery() as reloading:
                            status = f"serving {describe_place(listeners.main)} for {config.codex_home}"
                            reloader = Reloader(config, services, os.environ, manager, status)
                            reloading.start_soon(supervise, "reloading", reloader.serve, hang_ups)
                            machine = (MACHINE_FOLDER / name for name in MACHINE_FILES)
                            for file in (config.codex_home / paths.CONFIG, *machine):
                                watch = partial(watch_file, file, reloader.follow_provider)
                                reloading.start_soon(supervise, f"watching {file}", watch)
                            if listeners.main is None:
                                connections.start_soon(_serve_stdio, server, config.limits, accepting)
                            _log.info(status)
                            manager.tell_ready(status)
                            end = await _admit(server, listener, connections, services, listeners)
                            reloading.cancel_scope.cancel()
                    manager.tell_stopping()
                    door.close()
                    await services.logins.shut()
                    server.drain()
                    staying.deadline = trio.current_time() + SHUTDOWN_GRACE
            watching.cancel_scope.cancel()
    _log.info("stopped")
    return end


def _note(config: Config, listeners: Listeners, own_folder: Path) -> None:
    """Note that this daemon is there, for those who would start another; warn of another that is."""
    if listeners.main is None:
        return
    for other in note_daemon(own_folder, config.codex_home, describe_place(listeners.main), is_live):
        _log.warning("another daemon serves %s as well, on %s; they share the login", config.codex_home, other)


async def _admit(
    server: Server,
    listener: trio.SocketListener | None,
    connections: trio.Nursery,
    services: Services,
    listeners: Listeners,
) -> End:
    """Let clients in until cancelled, or until nobody has been there for so long; see `_wait_idle`.

    Who comes at that very moment either got in, and it goes on, or waits in the service manager's socket.
    """
    while True:
        async with trio.open_nursery() as admitting:
            if listener is not None:
                accept = partial(_accept, server, listener, connections)
                admitting.start_soon(supervise, "accepting clients", accept)
            serve = partial(server.serve_guests, connections=connections)
            if (token_sockets := services.token_sockets) is not None:
                admitting.start_soon(supervise, "serving the token socket", token_sockets.serve, serve)
            await supervise("waiting for an idle moment", _wait_idle, server, services, listeners.exit_when_idle)
            admitting.cancel_scope.cancel()
        if not connections.child_tasks:
            change, seconds = INSTALLATION.describe_change(), listeners.exit_when_idle
            _log.info("stopping, since %s", change or f"nobody has been here for {seconds:g} seconds")
            return "upgraded" if change is not None and listeners.needs_starting else "done"


async def _accept(server: Server, listener: trio.SocketListener, connections: trio.Nursery) -> None:
    # A copy, because who accepts on it closes it.
    await server.serve_socket(trio.SocketListener(listener.socket.dup()), connections)


async def _wait_idle(server: Server, services: Services, seconds: float | None) -> None:
    """Wait until nobody has been there for so long, no login is under way, and nothing is in memory alone.

    Without a number of seconds, one that has been upgraded waits no longer than for the last client to leave.
    """
    while True:
        if seconds is None:
            await server.idle_exit.wait_left()
            if INSTALLATION.describe_change() is None:
                continue
        await server.idle_exit.wait(UPGRADE_GRACE if seconds is None else seconds)
        if not services.logins.under_way() and not services.holds_only_copy:
            return


@asynccontextmanager
async def _open_watchdog(manager: ServiceManager) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise, "feeding the watchdog", manager.feed_watchdog)
        yield
        nursery.cancel_scope.cancel()


async def _serve_stdio(server: Server, limits: Limits, accepting: trio.CancelScope) -> None:
    await server.serve_stream(open_stdio(), NdjsonFraming(limits.message_bytes))
    accepting.cancel()
