"""Logins with a device code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.issuer import PENDING_FOR_EVER
from compat.scenarios import BROWSER, DEVICE, scenario
from compat.scenarios.browser import authorize_parameters

if TYPE_CHECKING:
    from compat.world import World


@scenario()
def device_code_success(world: World) -> None:
    """A code is approved at the third poll; both clients hear of it."""
    world.issuer.pending_polls = 2
    client, other = world.client(), world.client()
    world.see(client.call("account/login/start", DEVICE))
    world.see(client.until("account/login/completed"))
    world.see_all(client, other)
    world.see(client.call("account/read", {}))
    world.see(client.call("getAuthStatus", {"includeToken": False}))
    world.see_auth_file()
    world.see_requests("/api/accounts/", "/oauth/")


@scenario()
def device_code_pending_is_403_or_404(world: World) -> None:
    """404 while polling means that nobody has decided, as 403 does."""
    world.issuer.pending_polls, world.issuer.pending_status = 1, 404
    client = world.client()
    world.see(client.call("account/login/start", DEVICE))
    world.see(client.until("account/login/completed"))


@scenario()
def device_code_cancel(world: World) -> None:
    """Any client may cancel, once; what is unknown or over is not found."""
    world.issuer.pending_polls, world.issuer.interval = PENDING_FOR_EVER, "1"
    client, other = world.client(), world.client()
    started = client.call("account/login/start", DEVICE)
    world.see(started)
    cancel = {"loginId": started["result"]["loginId"]}
    world.see(other.call("account/login/cancel", cancel))
    world.see(client.until("account/login/completed"))
    world.see_all(other)
    world.see(other.call("account/login/cancel", cancel))
    world.see(client.call("account/login/cancel", {"loginId": "not-a-uuid"}))
    world.see(client.call("account/read", {}))
    world.see_auth_file()


@scenario()
def device_code_replaced(world: World) -> None:
    """The newest login wins, also over a key."""
    world.issuer.pending_polls, world.issuer.interval = PENDING_FOR_EVER, "1"
    client = world.client()
    world.see(client.call("account/login/start", DEVICE))
    world.see(client.call("account/login/start", DEVICE))
    world.see_all(client)
    world.see(client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-2"}))
    world.see_all(client, in_any_order=True)


@scenario()
def device_code_outlives_its_client(world: World) -> None:
    """A login goes on when its client has left."""
    world.issuer.pending_polls, world.issuer.interval = 3, "1"
    client, other = world.client(), world.client()
    world.see(client.call("account/login/start", DEVICE))
    client.close()
    world.see(other.until("account/login/completed"))
    world.see_all(other)


@scenario()
def device_code_rejected_at_start(world: World) -> None:
    """The issuer gives no code."""
    client = world.client()
    for status in (404, 403, 500):
        world.issuer.usercode_status = status
        world.see(client.call("account/login/start", DEVICE))
    world.see_all(client)


@scenario()
def device_code_fails_while_polling(world: World) -> None:
    """The issuer is in trouble while the person types."""
    world.issuer.pending_polls, world.issuer.poll_fail_status = 0, 500
    client = world.client()
    world.see(client.call("account/login/start", DEVICE))
    world.see(client.until("account/login/completed"))
    world.see_all(client)
    world.see_auth_file()


@scenario()
def device_code_exchange_refused(world: World) -> None:
    """The code is approved, and then refused."""
    world.issuer.pending_polls, world.issuer.exchange_status = 0, 400
    world.issuer.exchange_body = {"error": "invalid_grant", "error_description": "code expired"}
    client = world.client()
    world.see(client.call("account/login/start", DEVICE))
    world.see(client.until("account/login/completed"))
    world.see_all(client)
    world.see_auth_file()


@scenario()
def device_code_field_variants(world: World) -> None:
    """The code is called `usercode`, and no interval is named."""
    world.issuer.pending_polls = 0
    world.issuer.usercode_body = {"device_auth_id": "d-1", "usercode": "ALIAS-1"}
    client = world.client()
    world.see(client.call("account/login/start", DEVICE))
    world.see(client.until("account/login/completed"))


@scenario(config='forced_login_method = "api"\n')
def chatgpt_login_disabled_by_config(world: World) -> None:
    """Only keys are permitted."""
    client = world.client()
    world.see(client.call("account/login/start", DEVICE))
    world.see(client.call("account/login/start", BROWSER))


@scenario(config='forced_chatgpt_workspace_id = "acct-other"\n', listens=True)
def workspace_not_allowed(world: World) -> None:
    """Only another workspace is permitted, which a browser login tells the issuer."""
    world.issuer.pending_polls = 0
    client = world.client()
    world.see(client.call("account/login/start", DEVICE))
    world.see(client.until("account/login/completed"))
    world.see_all(client)
    world.see_auth_file()
    started = client.call("account/login/start", BROWSER)
    parameters = authorize_parameters(started["result"]["authUrl"])
    world.see({"allowed_workspace_id": parameters.get("allowed_workspace_id")})
