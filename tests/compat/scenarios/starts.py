"""Starts with each kind of stored record, each kind of plan, and providers that need no login."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from compat.issuer import BUNDLE
from compat.scenarios import DEVICE, Stored, scenario, stored_login

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compat.issuer import Issuer
    from compat.world import World


def _with(issuer: Issuer, **members: Any) -> Stored:
    return stored_login(issuer) | members


def _with_tokens(issuer: Issuer, **members: Any) -> Stored:
    stored = stored_login(issuer)
    tokens = {name: value for name, value in (stored["tokens"] | members).items() if value is not ...}
    return stored | {"tokens": tokens}


_RECORDS: Mapping[str, Callable[[Issuer], Stored | None]] = {
    "a_key": lambda _: {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-1"},
    "an_empty_key": lambda _: {"auth_mode": "apikey", "OPENAI_API_KEY": ""},
    "a_key_without_a_mode_beside_tokens": partial(_with, auth_mode=None, OPENAI_API_KEY="sk-2"),
    "a_login": stored_login,
    "a_login_without_a_mode": partial(_with, auth_mode=None),
    "a_login_with_a_key": partial(_with, OPENAI_API_KEY="sk-3"),
    "a_login_without_an_account_id": partial(_with_tokens, account_id=...),
    "a_login_without_a_refresh_token": partial(_with_tokens, refresh_token=...),
    "a_login_with_an_empty_refresh_token": partial(_with_tokens, refresh_token=""),
    "tokens_that_are_no_jwt": partial(_with_tokens, id_token="not-a-jwt"),
    "a_mode_without_tokens": lambda _: {"auth_mode": "chatgpt"},
    "an_unknown_mode": partial(_with, auth_mode="somethingElse"),
    "a_personal_access_token": lambda _: {"auth_mode": "personalAccessToken", "personal_access_token": "at-1"},
    "an_empty_object": lambda _: {},
    "an_empty_file": lambda _: "",
    "a_broken_file": lambda _: "{",
}


def _enter_record(kind: str, stored: Callable[[Issuer], Stored | None]) -> None:
    @scenario(stored=stored, name=f"starts_with_{kind}")
    def start(world: World) -> None:
        client = world.client()
        world.see(client.call("account/read", {}))
        world.see(client.call("getAuthStatus", {"includeToken": True}))
        world.see_all(client)


for _kind, _stored in _RECORDS.items():
    _enter_record(_kind, _stored)

_PLANS = ("free", "team", "Pro", "hc", "education", "promax", "edu_plus", "no_such_plan")


def _enter_plan(plan: str) -> None:
    @scenario(name=f"plan_{plan}")
    def log_in(world: World) -> None:
        world.issuer.pending_polls = 0
        world.issuer.claims["plan"] = plan
        world.issuer.responses[BUNDLE] = [(200, {})]
        client = world.client()
        client.call("account/login/start", DEVICE)
        world.see(client.until("account/login/completed"))
        world.see_all(client)
        world.see(client.call("account/read", {}))
        world.see({"bundles": [asked.path for asked in world.issuer.asked if asked.path == BUNDLE]})


for _plan in _PLANS:
    _enter_plan(_plan)

_LOCAL = """\
model_provider = "mine"

[model_providers.mine]
name = "Mine"
base_url = "http://127.0.0.1:9/v1"
"""


@scenario(config=_LOCAL, stored=stored_login)
def a_provider_that_needs_no_login(world: World) -> None:
    """Whoever has a model of their own is not asked to sign in, and no token is told."""
    client = world.client()
    world.see_all(client)
    world.see(client.call("account/read", {}))
    world.see(client.call("getAuthStatus", {"includeToken": True}))
    world.see(client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-8"}))
    world.see_all(client)
    world.see(client.call("account/read", {}))


@scenario(config='model_provider = "ollama"\n', stored=stored_login)
def a_provider_that_comes_along(world: World) -> None:
    """Codex has some of its own that need no login."""
    client = world.client()
    world.see_all(client)
    world.see(client.call("account/read", {}))


@scenario(stored=stored_login)
def a_provider_that_is_changed(world: World) -> None:
    """The provider is that of the file of now; nobody is told, and nobody logged out."""
    client = world.client()
    world.see_all(client)
    for config in (_LOCAL, ""):
        world.change("config.toml", config)
        world.see_all(client)
        world.see(client.call("account/read", {}))
        world.see(client.call("getAuthStatus", {"includeToken": True}))
        world.see_all(world.client())


@scenario(config=_LOCAL + "requires_openai_auth = true\n", stored=stored_login)
def a_provider_that_needs_a_login(world: World) -> None:
    """A provider of one's own may still want the account."""
    client = world.client()
    world.see_all(client)
    world.see(client.call("account/read", {}))
    world.see(client.call("getAuthStatus", {"includeToken": True}))
