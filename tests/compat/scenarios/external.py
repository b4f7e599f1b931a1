"""A client's own tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.scenarios import DEVICE, scenario

if TYPE_CHECKING:
    from compat.world import World


@scenario()
def external_tokens(world: World) -> None:
    """They are for clients of the experimental API, and keep other logins out until a logout."""
    client = world.client()
    given = {
        "type": "chatgptAuthTokens",
        "accessToken": world.issuer.give_tokens()["access_token"],
        "chatgptAccountId": "acct-123",
    }
    world.see(client.call("account/login/start", given))
    experimental = world.client(capabilities={"experimentalApi": True})
    world.see(experimental.call("account/login/start", given | {"chatgptPlanType": "plus"}))
    world.see_all(experimental)
    world.see(experimental.call("account/read", {"refreshToken": True}))
    world.see(experimental.call("account/login/start", DEVICE))
    world.see(experimental.call("account/login/start", {"type": "apiKey", "apiKey": "sk-4"}))
    world.see_auth_file()
    world.see(experimental.call("account/logout"))
    world.see(experimental.call("account/read", {}))


@scenario()
def external_tokens_need_a_valid_token(world: World) -> None:
    """What is no JWT is refused."""
    given = {"type": "chatgptAuthTokens", "accessToken": "not-a-jwt", "chatgptAccountId": "acct-123"}
    client = world.client(capabilities={"experimentalApi": True})
    world.see(client.call("account/login/start", given))
