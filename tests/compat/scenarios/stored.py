"""A login that is stored: refreshed, locked, logged out, and what its organisation requires."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

from compat.issuer import BUNDLE, CHECK
from compat.scenarios import DEVICE, scenario, stored_login

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compat.issuer import Issuer, Json
    from compat.scenarios import Stored
    from compat.world import World


@scenario()
def refresh(world: World) -> None:
    """A refresh that works, one that fails for now, one that fails for good."""
    client = world.client()
    world.log_in(client)
    world.issuer.asked.clear()
    world.see(client.call("account/read", {"refreshToken": True}))
    world.see_requests("/oauth/")
    world.see_auth_file()
    world.issuer.refresh_status, world.issuer.refresh_body = 500, {}
    world.see(client.call("account/read", {"refreshToken": True}))
    world.issuer.refresh_status = 401
    world.issuer.refresh_body = {"error": {"code": "refresh_token_reused"}}
    world.see(client.call("account/read", {"refreshToken": True}))
    world.see(client.call("getAuthStatus", {"includeToken": True, "refreshToken": True}))
    world.see_auth_file()


@scenario()
def waits_for_the_credential_lock(world: World) -> None:
    """While another program holds a lock, a refresh waits."""
    client = world.client()
    world.log_in(client)
    with (world.home / "auth.json.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        client.start("account/read", {"refreshToken": True})
        world.see({"answered while another process holds the lock": client.receive(1.0)})
        fcntl.flock(lock, fcntl.LOCK_UN)
    world.see(client.receive())
    world.see_auth_file()


@scenario()
def logout_revokes(world: World) -> None:
    """A logout revokes the refresh token, deletes, and says so."""
    client = world.client()
    world.log_in(client)
    world.issuer.asked.clear()
    world.see(client.call("account/logout"))
    world.see_all(client)
    world.see_requests("/oauth/")
    world.see_auth_file()


@scenario()
def logout_survives_a_failing_revoke(world: World) -> None:
    """A logout does not depend on the issuer."""
    world.issuer.revoke_status = 500
    client = world.client()
    world.log_in(client)
    world.see(client.call("account/logout"))
    world.see_auth_file()


@scenario()
def backend_reads(world: World) -> None:
    """Limits and usage are for ChatGPT logins."""
    client = world.client()
    world.see(client.call("account/rateLimits/read"))
    world.see(client.call("account/usage/read"))
    client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-5"})
    world.see(client.call("account/rateLimits/read"))
    world.see(client.call("account/usage/read"))
    world.log_in(client)
    result = client.call("account/rateLimits/read")["result"]
    limits = result["rateLimits"]
    window = {"primary": limits["primary"]["usedPercent"], "minutes": limits["primary"]["windowDurationMins"]}
    named = {name: limits[name] for name in ("limitId", "planType")}
    world.see({**named, **window, "ids": sorted(result["rateLimitsByLimitId"])})
    world.see_requests("/backend-api/wham/usage", headers=("authorization", "chatgpt-account-id"))


_REQUIRED = """\
allowed_approval_policies = ["on-request"]
allowed_sandbox_modes = ["read-only"]
"""


def _bundle(contents: str) -> Json:
    fragment = {"id": "r1", "name": "Org", "contents": contents}
    return {"config_toml": {"enterprise_managed": []}, "requirements_toml": {"enterprise_managed": [fragment]}}


@scenario()
def workspace_requirements(world: World) -> None:
    """A login of a business plan waits for what its workspace requires."""
    bundle = _bundle(_REQUIRED)
    world.issuer.pending_polls = 0
    world.issuer.claims |= {"email": "b@example.com", "plan": "business"}
    world.issuer.responses = {BUNDLE: [(500, {}), (200, bundle)]}
    client = world.client()
    world.see({"requirements": client.call("configRequirements/read")["result"]["requirements"]})
    world.see(client.call("account/login/start", DEVICE))
    world.see(client.until("account/login/completed"))
    world.see_all(client)
    required = client.call("configRequirements/read")["result"]["requirements"]
    world.see({name: value for name, value in required.items() if value is not None})
    world.see_requests(BUNDLE, headers=("authorization", "chatgpt-account-id"))


@scenario()
def a_workspace_may_not_name_a_program(world: World) -> None:
    """A bundle with a helper that would be run is no bundle, though the machine's own requirements may have one."""
    world.issuer.pending_polls = 0
    world.issuer.claims["plan"] = "business"
    world.issuer.responses = {BUNDLE: [(200, _bundle('[otel]\nheaders_helper = "/usr/bin/true"\n'))]}
    client = world.client()
    world.see(client.call("account/login/start", DEVICE))
    world.see(client.until("account/login/completed"))


@scenario(stored=stored_login)
def refresh_refused_with_invalid_grant(world: World) -> None:
    """A 400 is for good where it says `invalid_grant`, however that is written; anything else with it is not."""
    client = world.client()
    client.drain()
    world.issuer.refresh_status, world.issuer.refresh_body = 403, {"error": "invalid_grant"}
    world.see(client.call("account/read", {"refreshToken": True}))
    world.issuer.refresh_status, world.issuer.refresh_body = 400, {"error": "invalid_request"}
    world.see(client.call("account/read", {"refreshToken": True}))
    world.issuer.refresh_body = {"error": "invalid_grant", "error_description": "gone"}
    world.see(client.call("account/read", {"refreshToken": True}))
    world.see_all(client)
    world.see(client.call("getAuthStatus", {"includeToken": True}))
    world.see_auth_file()


_REFUSALS: Mapping[str, tuple[int, Json]] = {
    "invalid_grant_as_error_code": (400, {"error": {"code": "invalid_grant"}}),
    "invalid_grant_as_code": (400, {"code": "invalid_grant"}),
    "invalid_grant_as_upper_case": (400, {"error": "INVALID_GRANT"}),
    "a_spent_token_is_told_with_503": (503, {"error": {"code": "refresh_token_reused"}}),
}


def _enter_refusal(name: str, status: int, body: Json) -> None:
    @scenario(stored=stored_login, name=name)
    def be_refused(world: World) -> None:
        client = world.client()
        client.drain()
        world.issuer.responses["/oauth/token"] = [(status, body)]
        world.see(client.call("account/read", {"refreshToken": True}))


for _name, (_status, _body) in _REFUSALS.items():
    _enter_refusal(_name, _status, _body)


def _with_a_token_that_is_refused(issuer: Issuer) -> Stored:
    issuer.responses[CHECK] = [(401, {}), (401, {}), (0, {})]
    return stored_login(issuer)


@scenario(stored=_with_a_token_that_is_refused)
def the_backend_refuses_the_token(world: World) -> None:
    """A token that is refused more than once is refreshed, and the issuer told why."""
    client = world.client()
    client.drain()
    world.see(client.call("account/read", {}))
    world.see_requests("/oauth/")
    world.see_auth_file()


@scenario(stored=stored_login)
def another_person_is_in_the_file(world: World) -> None:
    """Another program has stored tokens of somebody else, who is of the same workspace."""
    client = world.client()
    client.drain()
    other = stored_login(world.issuer, user="user-456", email="other@example.com")
    world.change("auth.json", other)
    world.see_all(client)
    world.see(client.call("account/read", {"refreshToken": True}))
    world.see_all(client)
    world.see_requests("/oauth/")


def _after_a_switch(issuer: Issuer) -> Stored:
    """Give what a switch of workspace leaves: the ID token names the old one, the access token the new one."""
    issuer.more_workspaces = {"acct-new": {"plan_type": "plus"}}
    stored = stored_login(issuer, account="acct-new")
    return stored | {"tokens": stored["tokens"] | {"access_token": issuer.give_access("acct-new")}}


@scenario(config='forced_chatgpt_workspace_id = "acct-new"\n', stored=_after_a_switch)
def a_switched_workspace_is_permitted(world: World) -> None:
    """The workspace that is compared is that of the record, not of the ID token."""
    _look(world)


@scenario(config='forced_chatgpt_workspace_id = "acct-123"\n', stored=_after_a_switch)
def a_switched_workspace_is_hidden(world: World) -> None:
    """So a login that was switched away from the permitted workspace is hidden."""
    _look(world)


def _look(world: World) -> None:
    client = world.client()
    world.see_all(client)
    world.see(client.call("account/read", {}))
    world.see(client.call("getAuthStatus", {"includeToken": True}))
    world.see_auth_file()
    world.see_requests("/backend-api/wham/", headers=("authorization", "chatgpt-account-id"))


@scenario(stored=_after_a_switch)
def a_refresh_after_a_switch(world: World) -> None:
    """A refresh leaves the workspace of the record as it is, whatever the new tokens name."""
    client = world.client()
    client.drain()
    world.see(client.call("account/read", {"refreshToken": True}))
    world.see_auth_file()


@scenario()
def accounts_check_fails_after_a_login(world: World) -> None:
    """The routing cannot be had when the tokens have been stored."""
    world.issuer.pending_polls = 0
    world.issuer.responses[CHECK] = [(500, {})]
    client = world.client()
    world.see(client.call("account/login/start", DEVICE))
    world.see(client.until("account/login/completed"))
    world.see_all(client)
    world.see_auth_file()


@scenario()
def a_login_waits_for_the_other_lock(world: World) -> None:
    """While another program holds the second lock, a login is not stored."""
    world.issuer.pending_polls = 0
    client = world.client()
    with (world.home / "auth.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        client.call("account/login/start", DEVICE)
        world.see({"said while another process holds the lock": client.receive(1.0)})
        fcntl.flock(lock, fcntl.LOCK_UN)
    world.see(client.until("account/login/completed"))
    world.see_all(client)
    world.see_auth_file()


@scenario(stored=stored_login)
def a_logout_waits_for_the_lock(world: World) -> None:
    """While another program holds a lock, a logout deletes nothing."""
    client = world.client()
    client.drain()
    with (world.home / "auth.json.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        client.start("account/logout")
        world.see({"said while another process holds the lock": client.receive(1.0)})
        world.see_auth_file()
        fcntl.flock(lock, fcntl.LOCK_UN)
    world.see(client.receive())
    world.see_all(client)
    world.see_auth_file()
