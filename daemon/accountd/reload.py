"""The configuration, read again on SIGHUP: what can change in a running daemon does, the rest is said to wait.

The environment is that of the start. A configuration that cannot be used leaves the one in force as it is.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from accountd.config import settings
from accountd.config.policy import Policy
from accountd.errors import AccountdError, InvalidRequest
from accountd.requirements.service import read_system_layer
from accountd.system.threads import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import trio

    from accountd.config.settings import Config
    from accountd.requirements.layers import Layer
    from accountd.server.call import Services
    from accountd.system.service_manager import ServiceManager

_LIVE: Final = ("forced_login_method", "allowed_workspaces", "requires_openai_auth", "token_socket")
"""What takes effect at once. Whatever else there is has been built into the services."""

_KEYS: Final = {
    "allowed_workspaces": "forced_chatgpt_workspace_id",
    "backend": "chatgpt_base_url",
    "credentials_store": "cli_auth_credentials_store",
    "token_socket": "token_socket.path",
    "requires_openai_auth": "whether the model provider needs a login",
}
"""What `config.toml` calls a field of Config, where it has another name for it."""

_UNTOLD: Final = ("warnings",)  # which are told as what they are

_log = logging.getLogger(__name__)


def make_policy(config: Config, system: Layer) -> Policy:
    """Join what the person configured with what the machine's administrator did. Raises ConfigError."""
    return Policy(config.forced_login_method, config.allowed_workspaces).restrict(
        methods=system.values.allowed_login_methods, workspaces=system.values.allowed_chatgpt_workspaces
    )


def log_warnings(config: Config, system: Layer) -> None:
    """Have the log say what in the files means nothing."""
    for warning in (*config.warnings, *system.warnings):
        _log.warning("%s", warning)


def describe_changes(old: msgspec.Struct, new: msgspec.Struct) -> Iterator[str]:
    """Say for each key that differs what it is now, and whether that is in force."""
    for field in new.__struct_fields__:
        before, after = getattr(old, field), getattr(new, field)
        if field in _UNTOLD:
            continue
        if isinstance(before, msgspec.Struct):
            yield from describe_changes(before, after)
        elif before != after:
            when = "" if field in _LIVE else "; this takes effect at the next start"
            yield f"{_KEYS.get(field, field)} is {_render(after)}, and was {_render(before)}{when}"


class Reloader:
    """Reads the configuration again for a daemon that runs. `status` is what the service manager is told then."""

    def __init__(
        self,
        config: Config,
        services: Services,
        environ: Mapping[str, str],
        manager: ServiceManager,
        status: str,
    ) -> None:
        self._config = config
        self._services = services
        self._environ = environ
        self._manager = manager
        self._status = status

    async def serve(self, hang_ups: trio.MemoryReceiveChannel[None]) -> None:
        """Reload once for each that comes, for ever."""
        async for _ in hang_ups:
            status = f"{self._status}; the configuration was not reloaded, see the log"
            self._manager.tell_reloading()
            try:
                await self.reload()
                status = self._status
            except AccountdError as error:
                _log.error("the configuration stays as it was: %s", error)
            finally:
                self._manager.tell_ready(status)

    async def reload(self) -> None:
        """Read the files again, and apply what can be. Raises ConfigError, and then nothing has changed.

        A login under way that is permitted no more is cancelled.
        """
        config, system = await run_in_thread(self._read)
        policy, services = make_policy(config, system), self._services
        changes = list(describe_changes(self._config, config))
        if services.policy.replace(policy):
            changes.append(f"logins are permitted by {' and '.join(policy.methods)}")
        before = self._config.token_socket
        self._config = msgspec.structs.replace(self._config, **{field: getattr(config, field) for field in _LIVE})
        if config.token_socket != before:
            await self._move_token_socket(config.token_socket)
        for account in services.accounts:
            await account.requirements.replace_system(system)
        if not policy.permits("chatgpt"):
            await services.logins.cancel_all()
        for account in services.accounts:
            account.credential.follow_provider(requires_openai_auth=config.requires_openai_auth)
            await account.follow_policy()
        for change in changes or ["nothing has changed"]:
            _log.info("configuration reloaded: %s", change)
        log_warnings(config, system)

    async def _move_token_socket(self, path: Path | None) -> None:
        """Open the token socket at another path, or close it; one that cannot be opened yet is tried again."""
        token_sockets = self._services.token_sockets
        try:
            if token_sockets is not None and path is not None:
                await token_sockets.open(path)
            elif token_sockets is not None:
                token_sockets.close()
        except InvalidRequest as error:
            _log.error("the token socket stays as it was: %s", error)

    async def follow_provider(self) -> None:
        """Read again which model provider is used, which stock clients change by themselves, and nothing else.

        Of a file that cannot be used, or is half written, nothing comes.
        """
        try:
            config, _ = await run_in_thread(self._read)
        except AccountdError as error:
            _log.info("the configuration has changed, and cannot be used: %s", error)
            return
        requires = config.requires_openai_auth
        if requires != self._config.requires_openai_auth:
            self._config = msgspec.structs.replace(self._config, requires_openai_auth=requires)
            for account in self._services.accounts:
                account.credential.follow_provider(requires_openai_auth=requires)
            _log.info("the model provider %s a login", "needs" if requires else "does not need")

    def _read(self) -> tuple[Config, Layer]:
        return settings.load(self._environ), read_system_layer()


def _render(value: object) -> str:
    if value is None or value == ():
        return "not set"
    return json.dumps(str(value) if isinstance(value, Path) else value)
