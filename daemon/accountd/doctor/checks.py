"""The table of checks, in the order in which they are told: from the daemon outwards.

A check is added here, with its function in the module of its subject, and that is all.
"""

from __future__ import annotations

from typing import Final

from accountd.doctor.agent import check_codex, check_foreign_servers, check_front
from accountd.doctor.credential import check_credential, check_leftovers, check_rehearsal, check_store
from accountd.doctor.daemon import check_daemon, check_token_socket
from accountd.doctor.environment import check_environment
from accountd.doctor.examine import in_thread
from accountd.doctor.file_system import check_file_system, check_log
from accountd.doctor.findings import Check
from accountd.doctor.folders import check_disk, check_home, check_socket, check_socket_path
from accountd.doctor.network import check_backend, check_ca, check_clock, check_issuer, check_proxy
from accountd.doctor.ports import check_ports
from accountd.doctor.service import check_service
from accountd.doctor.settings import check_config, check_requirements
from accountd.doctor.vault import check_vault

_NETWORK: Final = 30.0
"""Seconds for a request, and for finding out where it got stuck."""

CHECKS: Final = (
    Check("daemon.status", check_daemon),
    Check("daemon.service", check_service),
    Check("daemon.environment", check_environment),
    Check("socket.path", in_thread(check_socket_path)),
    Check("socket.modes", in_thread(check_socket)),
    Check("socket.token", check_token_socket),
    Check("config.load", check_config),
    Check("config.requirements", check_requirements),
    Check("home.modes", in_thread(check_home)),
    Check("home.disk", in_thread(check_disk)),
    Check("home.files", in_thread(check_file_system)),
    Check("home.log", in_thread(check_log)),
    Check("auth.store", check_store),
    Check("auth.rehearsal", check_rehearsal),
    Check("auth.leftovers", check_leftovers),
    Check("auth.credential", check_credential),
    Check("auth.vault", check_vault),
    Check("agent.codex", check_codex, _NETWORK),
    Check("agent.front", check_front),
    Check("agent.others", in_thread(check_foreign_servers)),
    Check("login.ports", check_ports),
    Check("network.proxy", check_proxy),
    Check("network.ca", check_ca),
    Check("network.issuer", check_issuer, _NETWORK),
    Check("network.backend", check_backend, _NETWORK),
    Check("network.clock", check_clock, _NETWORK),
)
