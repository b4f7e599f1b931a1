"""What is configured, read once: the environment, the keys of Codex's own files, and our limits.

Of Codex's files, in their `layers`, only the keys that bear on accounts are read; the rest is none of our business.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import urlsplit

import msgspec

from accountd import paths
from accountd.config.layers import MACHINE_FOLDER, Layers
from accountd.config.limits import Limits, read_limits
from accountd.config.network import NETWORK_KEYS, read_network
from accountd.config.own import OWN_MACHINE_FOLDER, OwnFiles
from accountd.config.urls import find_url_fault
from accountd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

LoginMethod = Literal["chatgpt", "api"]
CredentialsStore = Literal["file", "keyring", "auto", "ephemeral"]

DEFAULT_ISSUER = "https://auth.openai.com"
DEFAULT_CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
DEFAULT_BACKEND = "https://chatgpt.com/backend-api"

_LOGINLESS_PROVIDERS = frozenset({"ollama", "lmstudio", "amazon-bedrock"})
"""Of the model providers that Codex brings along, those that need no login with OpenAI."""


_KEYS = (
    "forced_login_method",
    "forced_chatgpt_workspace_id",
    "cli_auth_credentials_store",
    "chatgpt_base_url",
    "model_provider",
)
"""What is read of Codex's files; of what else is in them, nothing is known here."""

_TABLES = {
    "limits": Limits.__struct_fields__,
    "agent": ("codex",),
    "network": tuple(NETWORK_KEYS),
    "token_socket": ("path",),
}
"""What our own files may have."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration. URLs have no trailing slash and are https, or http on a loopback address.

    `requires_openai_auth` is that of the model provider in use, which may be one that needs no login. `warnings`
    are of what is in a file and means nothing.
    """

    codex_home: Path
    issuer: str = DEFAULT_ISSUER
    client_id: str = DEFAULT_CLIENT_ID
    refresh_url: str = DEFAULT_ISSUER + "/oauth/token"
    revoke_url: str = DEFAULT_ISSUER + "/oauth/revoke"
    backend: str = DEFAULT_BACKEND
    originator: str | None = None
    forced_login_method: LoginMethod | None = None
    allowed_workspaces: tuple[str, ...] = ()
    credentials_store: CredentialsStore = "file"
    requires_openai_auth: bool = True
    token_socket: Path | None = None
    limits: Limits = Limits()
    warnings: tuple[str, ...] = ()


def load(
    environ: Mapping[str, str], machine: Path = MACHINE_FOLDER, own_machine: Path = OWN_MACHINE_FOLDER
) -> Config:
    """Read the configuration of this environment, and of the machine whose files are in these folders.

    Raises ConfigError, naming the variable, or the file, the line and the key. Nothing falls back to a
    default in silence: a policy that cannot be read must not read as "no policy".
    """
    home = Path(paths.codex_home(environ))
    file = _CodexFiles.read(home, machine)
    own = OwnFiles.read(home, own_machine)
    read_network(own)  # for its errors: it is read where the network is used

    def variable(name: str) -> str | None:
        return environ.get(name, "").strip() or None  # as Codex: values are trimmed, and blank is unset

    def text(name: str) -> str | None:
        value = variable(name)
        if value is not None and not value.isprintable():  # nor are bytes that are no UTF-8
            raise ConfigError(f"{name} must be printable text in UTF-8")
        return value

    def url(name: str) -> str | None:
        value = variable(name)
        if value is not None and (fault := find_url_fault(value)):
            raise ConfigError(f"{name} {fault}")
        return value and value.rstrip("/")

    issuer = url("CODEX_APP_SERVER_LOGIN_ISSUER") or DEFAULT_ISSUER
    refresh_url = url("CODEX_REFRESH_TOKEN_URL_OVERRIDE")
    # An override of the refresh URL alone moves revocation to the same origin, as in Codex.
    token_origin = _origin(refresh_url) if refresh_url else issuer
    return Config(
        codex_home=home,
        issuer=issuer,
        client_id=text("CODEX_APP_SERVER_LOGIN_CLIENT_ID") or DEFAULT_CLIENT_ID,
        refresh_url=refresh_url or issuer + "/oauth/token",
        revoke_url=url("CODEX_REVOKE_TOKEN_URL_OVERRIDE") or token_origin + "/oauth/revoke",
        backend=file.backend("chatgpt_base_url") or DEFAULT_BACKEND,
        originator=text("CODEX_INTERNAL_ORIGINATOR_OVERRIDE"),
        forced_login_method=file.choice("forced_login_method", get_args(LoginMethod)),
        allowed_workspaces=file.workspaces("forced_chatgpt_workspace_id"),
        credentials_store=file.choice("cli_auth_credentials_store", get_args(CredentialsStore)) or "file",
        requires_openai_auth=file.requires_openai_auth(),
        token_socket=_find_token_socket(own, environ),
        limits=read_limits(own),
        warnings=(*file.find_misspelt(_KEYS), *own.find_unknown(_TABLES)),
    )


class _CodexFiles(Layers):
    """Codex's files: the keys that are read of them, by what they may be."""

    def choice(self, key: str, allowed: tuple[str, ...]) -> Any:
        value = self.values.get(key)
        if value is not None and value not in allowed:
            options = ", ".join(f'"{option}"' for option in allowed)
            raise self.error(key, complaint=f"must be one of {options}")
        return value

    def workspaces(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key, [])
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self.error(key, complaint="must be a workspace id, or a list of them")
        return tuple(name.strip() for name in names if name.strip())

    def requires_openai_auth(self) -> bool:
        """Return True if the model provider needs a login: one of the person's own does if it says so.

        A name that is nobody's counts as Codex's own provider, as it does for `getAuthStatus` there.
        """
        name = self.values.get("model_provider", "")
        if not isinstance(name, str):
            raise self.error("model_provider", complaint="must be the name of a provider")
        providers = self.values.get("model_providers", {})
        own = providers.get(name) if isinstance(providers, dict) else None
        if name in _LOGINLESS_PROVIDERS or not isinstance(own, dict):
            return name not in _LOGINLESS_PROVIDERS
        needed = own.get("requires_openai_auth", False)
        if not isinstance(needed, bool):
            raise self.error("model_providers", name, "requires_openai_auth", complaint="must be true or false")
        return needed

    def backend(self, key: str) -> str | None:
        """Read the backend's base URL; the two public hosts get the path that Codex adds for them."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.error(key, complaint="must be a URL")
        if fault := find_url_fault(value.strip()):
            raise self.error(key, complaint=fault)
        url = value.strip().rstrip("/")
        public = url.startswith(("https://chatgpt.com", "https://chat.openai.com"))
        return url + "/backend-api" if public and "/backend-api" not in url else url


def _find_token_socket(files: OwnFiles, environ: Mapping[str, str]) -> Path | None:
    """Return the path of the token socket; a relative one, such as a machine's for everybody, is a person's own."""
    path = files.text("token_socket", "path", "the path of a socket, in a folder of its own")
    if path is None:
        return None
    path = path.removeprefix("unix://")
    if path.startswith(("/", "~")):
        return Path(paths.expand(path, where="token_socket.path"))
    if "/" not in path or ".." in path.split("/"):
        raise files.error("token_socket", "path", complaint="must have a folder of its own, as in box/s")
    return Path(paths.runtime_folder(environ)).parent / path


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
