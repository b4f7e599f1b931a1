"""What a connection is told: its handshake, and what it does not want to hear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.issuer import CHECK
from compat.scenarios import scenario, stored_login

if TYPE_CHECKING:
    from compat.issuer import Issuer
    from compat.scenarios import Stored
    from compat.world import World


@scenario()
def handshake(world: World) -> None:
    """Before and after `initialize`; and what is no request."""
    client = world.client(initialize=False)
    world.see(client.call("account/read", {}))
    initialize = {"clientInfo": {"name": "probe", "version": "1"}}
    result = client.call("initialize", initialize)["result"]
    agent = result["userAgent"].partition("/")[0]
    platform = {"family": result["platformFamily"], "os": result["platformOs"]}
    world.see({"keys": sorted(result), "agent": agent, **platform})
    world.see(client.call("initialize", initialize))
    client.notify("initialized")
    world.see(client.call("account/read", {}))
    world.see(client.call("account/read"))
    world.see(client.call("account/login/start", {"type": "bogus"}), up_to="`bogus`")
    world.see(client.call("account/login/start", {}))
    world.see(client.call("account/login/cancel", {}))
    world.see(client.call("no/such/method", {}), up_to="`no/such/method`")
    client.send({"id": "text-id", "method": "account/read", "params": {"refreshToken": False}})
    world.see(client.receive())


@scenario()
def notifications_opted_out(world: World) -> None:
    """A client may name what it does not want."""
    client = world.client(capabilities={"optOutNotificationMethods": ["account/updated"]})
    client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-6"})
    world.see_all(client)


@scenario()
def who_comes_after_a_login(world: World) -> None:
    """A client that connects when a login's routing is known is told of it, once, and alone."""
    client = world.client()
    world.log_in(client)
    later = world.client()
    world.see_all(later, client)
    uninterested = world.client(capabilities={"optOutNotificationMethods": ["account/updated"]})
    world.see_all(uninterested)
    client.call("account/logout")
    world.see_all(client, later)
    world.see_all(world.client())
    client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-7"})
    world.see_all(client)
    world.see_all(world.client())


@scenario(stored=stored_login)
def who_comes_to_a_stored_login(world: World) -> None:
    """The routing of a stored login is looked up at the start, before anybody asks."""
    client = world.client()
    world.see_all(client)
    world.see(client.call("account/read", {}))
    world.see_all(client)
    world.see_requests(CHECK, headers=("authorization", "chatgpt-account-id"))


def _without_routing(issuer: Issuer) -> Stored:
    issuer.responses[CHECK] = [(500, {})]
    return stored_login(issuer)


@scenario(stored=_without_routing)
def who_comes_while_the_routing_is_not_known(world: World) -> None:
    """As long as the backend does not tell, nobody is told unasked."""
    client = world.client()
    world.see_all(client)
    world.see(client.call("account/read", {}), up_to="Failed")
    world.issuer.responses.clear()
    world.see(client.call("account/read", {}))
    world.see_all(client)
    world.see_all(world.client())


@scenario()
def who_comes_to_external_tokens(world: World) -> None:
    """The routing of a client's own tokens is told as well."""
    client = world.client(capabilities={"experimentalApi": True})
    token = world.issuer.give_tokens()["access_token"]
    given = {"type": "chatgptAuthTokens", "accessToken": token, "chatgptAccountId": "acct-123"}
    world.see(client.call("account/login/start", given))
    world.see_all(client)
    world.see_all(world.client())
