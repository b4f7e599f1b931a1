"""The one place that builds the services, each on those before it, and nests their lifetimes in the order they die.

What the world is made of is given: the clock, the network, the store, the audit log. The daemon gives this
machine's, and tests give others; nothing else differs between them.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from accountd import paths
from accountd.account.account import Shared, open_account
from accountd.accounts.accounts import open_accounts
from accountd.backend.client import Backend
from accountd.config.settings import DEFAULT_BACKEND
from accountd.counters import Counters
from accountd.hub import Hub
from accountd.login.admission import Admission
from accountd.login.manager import open_logins
from accountd.requirements.file import BundleFile
from accountd.requirements.service import RequirementsService, parse_bundle_in_thread, this_machine
from accountd.server.call import Services
from accountd.storage.base import Provenance
from accountd.web.environment import describe_environment
from accountd.web.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from accountd.account.credential import Credential
    from accountd.audit.log import AuditLog
    from accountd.config.policy import PolicyHolder
    from accountd.config.settings import Config
    from accountd.protocol.status import StartedBy
    from accountd.requirements.layers import Layer
    from accountd.requirements.service import MayAskAgain, ParseBundle
    from accountd.server.token_socket_holder import TokenSocketHolder
    from accountd.storage.base import AuthStore
    from accountd.storage.vault import Vault
    from accountd.system.clock import Clock
    from accountd.web.http import HttpClient


@asynccontextmanager
async def open_services(
    config: Config,
    policy: PolicyHolder,
    system: Layer,
    *,
    clock: Clock,
    http: HttpClient,
    store: AuthStore,
    vault: Vault,
    audit: AuditLog,
    environ: Mapping[str, str],
    token_sockets: TokenSocketHolder | None = None,
    started_by: StartedBy = "person",
    own_folder: Path | None = None,
    parse_bundle: ParseBundle = parse_bundle_in_thread,
) -> AsyncIterator[Services]:
    """Give the services for a block. `system` is what the machine requires of every account.

    `own_folder` is where a copy of the requirements is kept, if that is not CODEX_HOME.

    Leaving the block cancels logins and waits for their commits, then lets a refresh that has been sent come home.
    """
    hub, counters = Hub(), Counters(clock.now)
    issuer = Issuer(http, config.issuer, config.client_id, config.refresh_url, config.revoke_url)
    backend = Backend(http, config.backend)
    bundle_file = BundleFile((own_folder or config.codex_home) / paths.REQUIREMENTS)

    def make_requirements(credential: Credential, may_ask_again: MayAskAgain, *, kept: bool) -> RequirementsService:
        return RequirementsService(
            credential,
            may_ask_again,
            read_bundle=backend.read_config_bundle,
            policy=policy,
            clock=clock,
            machine=this_machine(config.codex_home),
            file=bundle_file if kept else None,
            system=system,
            parse=parse_bundle,
        )

    shared = Shared(hub, policy, issuer, backend, clock, audit, counters, make_requirements)
    admission = Admission(policy, Provenance(config.issuer, config.client_id))
    async with open_account(store, shared) as account:
        account.credential.follow_provider(requires_openai_auth=config.requires_openai_auth)
        async with (
            open_accounts(account, vault, shared) as accounts,
            open_logins(accounts, admission, hub, clock=clock, audit=audit, counters=counters) as logins,
        ):
            yield Services(
                hub=hub,
                policy=policy,
                accounts=accounts,
                logins=logins,
                issuer=issuer,
                counters=counters,
                clock=clock,
                codex_home=config.codex_home,
                environment=describe_environment(environ),
                backend_url=config.backend if config.backend != DEFAULT_BACKEND else None,
                token_sockets=token_sockets,
                started_by=started_by,
            )
