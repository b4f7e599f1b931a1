"""The daemon: builds everything, nests the lifetimes in the order in which they die, and stops on a signal.

Read `run_daemon` from the top for what is alive when; from the bottom, for how it ends.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from accountd import config as configuration
from accountd import logs, paths
from accountd.account import open_account
from accountd.account_reader import AccountReader
from accountd.adapters.audit_file import AuditFile
from accountd.adapters.backend import Backend
from accountd.adapters.descriptors import make_room
from accountd.adapters.file_watch import watch_file
from accountd.adapters.http import open_http_client
from accountd.adapters.issuer import Issuer
from accountd.adapters.process import harden
from accountd.adapters.stdio import open_stdio
from accountd.adapters.unix_socket import open_unix_listener
from accountd.adapters.wall_clock import WallClock
from accountd.audit import AuditLog
from accountd.counters import Counters
from accountd.errors import AccountdError
from accountd.framing.ndjson import NdjsonFraming
from accountd.hub import Hub
from accountd.identity import DEFAULT_ORIGINATOR, render_user_agent
from accountd.login.admission import Admission
from accountd.login.manager import open_logins
from accountd.policy import Policy
from accountd.protocol.methods import TOKEN_METHODS
from accountd.refresh import open_refresher
from accountd.requirements import (
    BundleFile,
    RequirementsService,
    open_requirements,
    read_system_layer,
    this_machine,
)
from accountd.server.call import Services
from accountd.server.serve import Server
from accountd.storage.base import Provenance
from accountd.storage.choose import open_store
from accountd.usage import UsageService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from accountd.account import AccountService
    from accountd.config import Config
    from accountd.limits import Limits
    from accountd.protocol.requirements import Layer

SHUTDOWN_GRACE: Final = 10.0
"""Seconds that connections get to end after a signal: their requests to be answered, their answers to leave."""

_log = logging.getLogger(__name__)


def main(
    listen: Path | None,
    *,
    stdio: bool,
    log_level: str,
    log_format: str | None = None,
    token_socket: Path | None = None,
    audit: bool = True,
) -> int:
    """Run the daemon until it is told to stop, and give the exit status. What goes wrong is said on stderr.

    It listens on `listen`, else on the default socket of this environment; with `stdio`, on none. Besides, on
    `token_socket`, for those who may have a token and nothing else.
    """
    log_format = logs.set_up(log_level, log_format)
    harden()
    try:
        config = configuration.load(os.environ)
        socket = None if stdio else listen or Path(paths.socket_path(os.environ))
        trio.run(run_daemon, config, socket, token_socket, _open_audit_log(config, wanted=audit))
    except AccountdError as error:
        if log_format == "text":
            sys.stderr.write(f"accountd: {error}\n")
        else:  # for whoever reads every line in that format
            _log.critical("%s", error)
        return 1
    return 0


async def run_daemon(config: Config, socket: Path | None, token_socket: Path | None, audit: AuditLog) -> None:
    """Serve a socket until SIGTERM or SIGINT; without one, serve standard input and output to their end.

    The first signal stops politely, a second one at once; neither goes through a commit. Raises SocketError
    and ConfigError before anything is served.
    """
    system = read_system_layer()
    _make_policy(config, system)  # which may not permit anything: say so before anything is open
    with ExitStack() as door:
        listener = door.enter_context(open_unix_listener(socket)) if socket is not None else None
        hatch = door.enter_context(open_unix_listener(token_socket)) if token_socket is not None else None
        async with _open_services(config, system, audit) as services, trio.open_nursery() as watching:
            server = Server(services, config, make_room(config.limits.connections))
            watching.start_soon(_watch_store, config, services.account)
            async with trio.open_nursery() as connections:
                with trio.CancelScope() as accepting:
                    await watching.start(_stop_on_signals, accepting, connections.cancel_scope)
                    async with trio.open_nursery() as doors:
                        if hatch is not None:
                            doors.start_soon(server.serve_socket, hatch, connections, TOKEN_METHODS)
                        if listener is not None:
                            doors.start_soon(server.serve_socket, listener, connections)
                        else:
                            connections.start_soon(_serve_stdio, server, config.limits, accepting)
                        _log.info("serving %s for %s", socket or "standard input", config.codex_home)
                        await trio.sleep_forever()
                door.close()
                await services.logins.shut()
                server.drain()
                connections.cancel_scope.deadline = trio.current_time() + SHUTDOWN_GRACE
            watching.cancel_scope.cancel()
    _log.info("stopped")


@asynccontextmanager
async def _open_services(config: Config, system: Layer, audit: AuditLog) -> AsyncIterator[Services]:
    """Open the services, each standing on those before it."""
    hub, clock, counters = Hub(), WallClock(), Counters()
    policy = _make_policy(config, system)
    user_agent = render_user_agent(config.originator or DEFAULT_ORIGINATOR)
    async with open_http_client(user_agent, config.ca_file) as http:
        issuer = Issuer(http, config.issuer, config.client_id, config.refresh_url, config.revoke_url)
        backend = Backend(http, config.backend)
        admission = Admission(policy, Provenance(config.issuer, config.client_id))
        async with open_account(open_store(config), policy, issuer, hub, audit=audit, counters=counters) as account:
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
            ):
                reader = AccountReader(account, refresher, backend, audit)
                usage = UsageService(account, refresher, backend)
                yield Services(
                    hub, policy, account, refresher, reader, logins, usage, requirements, issuer, counters
                )


def _open_audit_log(config: Config, *, wanted: bool) -> AuditLog:
    file = AuditFile(config.codex_home / "log" / "accountd-audit.jsonl")
    return AuditLog(file.append if wanted else None)


def _make_policy(config: Config, system: Layer) -> Policy:
    """Join what the person configured with what the machine's administrator did. Raises ConfigError."""
    return Policy(config.forced_login_method, config.allowed_workspaces).restrict(
        methods=system.values.allowed_login_methods, workspaces=system.values.allowed_chatgpt_workspaces
    )


async def _stop_on_signals(
    accepting: trio.CancelScope, connections: trio.CancelScope, task_status: trio.TaskStatus[None]
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            _log.info("stopping on %s", signal.Signals(number).name)
            (connections if accepting.cancel_called else accepting).cancel()


async def _serve_stdio(server: Server, limits: Limits, accepting: trio.CancelScope) -> None:
    await server.serve_stream(open_stdio(), NdjsonFraming(limits.message_bytes))
    accepting.cancel()


async def _watch_store(config: Config, account: AccountService) -> None:
    """Notice what other programs do to the credential: `codex login`, an editor, another daemon."""
    path = config.codex_home / "auth.json"
    with suppress(OSError):  # then the first login makes the folder, or says why it cannot
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    await watch_file(path, account.reload)
