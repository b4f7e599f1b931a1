"""Logins with an API key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.scenarios import scenario

if TYPE_CHECKING:
    from compat.world import World


@scenario()
def api_key_login_and_logout(world: World) -> None:
    """A key logs in, is told on request, and logs out."""
    client, other = world.client(), world.client()
    world.see(client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-test-1"}))
    world.see_all(client, other)
    world.see(client.call("account/read", {}))
    world.see(client.call("getAuthStatus", {"includeToken": True}))
    world.see(client.call("getAuthStatus", {}))
    world.see_auth_file()
    world.see(other.call("account/logout"))
    world.see_all(client, other)
    world.see_auth_file()
    world.see(client.call("account/read", {}))
    world.see(client.call("account/logout"))


@scenario(config='forced_login_method = "chatgpt"\n')
def api_key_login_disabled_by_config(world: World) -> None:
    """Only ChatGPT is permitted."""
    world.see(world.client().call("account/login/start", {"type": "apiKey", "apiKey": "sk-3"}))


@scenario(stored=lambda _: {"OPENAI_API_KEY": "sk-from-file"})
def legacy_auth_file(world: World) -> None:
    """A file of the oldest kind has a key and nothing else."""
    client = world.client()
    world.see(client.call("account/read", {}))
    world.see(client.call("getAuthStatus", {"includeToken": True}))
