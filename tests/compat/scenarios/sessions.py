"""Workspaces of one login: listed as its session's, and switched between without another login, or with one."""

from __future__ import annotations

import fcntl
import json
import time
from typing import TYPE_CHECKING, Any

from compat.issuer import CHECK, PENDING_FOR_EVER, SWITCH
from compat.scenarios import DEVICE, scenario, stored_login
from compat.scenarios.browser import authorize_parameters, get

if TYPE_CHECKING:
    from compat.clients import Client, Message
    from compat.issuer import Issuer, Json
    from compat.world import World

HEADERS = ("authorization", "chatgpt-account-id")
SSO = {"can_access_with_session": False, "sso_connection_name": "acme-okta"}
WORKSPACES: dict[str, Json] = {
    "acct-new": {
        "name": "Acme",
        "structure": "workspace",
        "plan_type": "team",
        "profile_picture_url": "https://x.example/a.png",
    },
    "acct-sso": {"name": "Bank", "structure": "workspace", "plan_type": "team"} | SSO,
    "acct-off": {"name": "Shut", "structure": "workspace", "is_deactivated": True},
    "acct-gov": {"name": "State", "structure": "government", "is_fedramp_compliant_workspace": True},
    "acct-null": {"name": None, "structure": "other", "can_access_with_session": None, "sso_connection_name": "x"},
}


def _with_workspaces(issuer: Issuer) -> Json:
    """Give the login of somebody who has several."""
    issuer.more_workspaces = WORKSPACES
    stored = stored_login(issuer)
    return stored | {"tokens": stored["tokens"] | {"login_owner_id": "owner-1"}}


def _client(world: World, *, experimental: bool = True) -> Client:
    """Connect a client that has heard who is logged in, if anybody is, however long the look-up for that takes."""
    client = world.client(capabilities={"experimentalApi": experimental})
    if (world.home / "auth.json").exists():
        client.until("account/updated")
    client.drain()
    world.issuer.asked.clear()
    return client


def _switch(client: Client, account: str = "acct-new", session: str = "owner-1", **more: object) -> Message:
    return client.call("accountSession/switch", {"sessionId": session, "accountId": account, **more})


@scenario()
def sessions_are_experimental(world: World) -> None:
    """Who does not ask for what is experimental has no sessions."""
    client = world.client()
    world.see(client.call("accountSession/list", {}))
    world.see(_switch(client))
    client = _client(world)
    for method in ("accountSession/list", "accountSession/switch"):
        world.see(client.call(method))
        world.see(client.call(method, {}))
    world.see(client.call("accountSession/list", {"refreshWorkspaceMetadata": "yes"}))
    world.see(client.call("accountSession/switch", {"sessionId": "x"}))
    world.see(_switch(client, allowBrowserLogin=None))


@scenario()
def sessions_of_nobody(world: World) -> None:
    """Nobody, a key and a client's own tokens have none, and nothing is asked for them."""
    client = _client(world)
    _see_no_session(world, client)
    world.issuer.pending_polls, world.issuer.interval = PENDING_FOR_EVER, "1"
    client.call("account/login/start", DEVICE)
    _see_no_session(world, client)
    client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-6"})
    _see_no_session(world, client)
    tokens = {"accessToken": world.issuer.give_tokens()["access_token"], "chatgptAccountId": "acct-123"}
    client.call("account/login/start", {"type": "chatgptAuthTokens", **tokens})
    client.drain()
    world.issuer.asked.clear()
    _see_no_session(world, client)
    world.see_requests("/backend-api/")


def _see_no_session(world: World, client: Client) -> None:
    world.see(client.call("accountSession/list", {"refreshWorkspaceMetadata": True}))
    for account in ("", "acct-new"):
        world.see(_switch(client, account))


@scenario(stored=_with_workspaces)
def session_list(world: World) -> None:
    """The one session, with all of its workspaces if they are asked for, whatever their state."""
    client = _client(world)
    world.see(client.call("accountSession/list", {}))
    world.see(client.call("accountSession/list", {"refreshWorkspaceMetadata": None}))
    world.see_requests("/backend-api/")
    world.see(client.call("accountSession/list", {"refreshWorkspaceMetadata": True}))
    world.see_requests("/backend-api/", headers=HEADERS)
    failing: list[tuple[int, Json]] = [(401, {}), (500, {}), (200, {"accounts": "none"})]
    for answer in (*failing, (200, {"accounts": [], "account_ordering": []})):
        world.issuer.responses[CHECK] = [answer]
        world.see(client.call("accountSession/list", {"refreshWorkspaceMetadata": True}))
    world.see_requests("/oauth/")


@scenario(stored=stored_login)
def a_session_without_an_owner(world: World) -> None:
    """A login of an older program has no id of its own, and goes by its person's; a refused one is still listed."""
    client = _client(world)
    world.see(client.call("accountSession/list", {}))
    world.issuer.refresh_status, world.issuer.refresh_body = 401, {"error": {"code": "refresh_token_expired"}}
    client.call("account/read", {"refreshToken": True})
    world.see(client.call("accountSession/list", {}))


@scenario(stored=_with_workspaces)
def a_switch(world: World) -> None:
    """Another workspace without another login: one exchange, and but two members of auth.json are others."""
    client, other = _client(world), _client(world, experimental=False)
    before = _tokens(world)
    world.see(_switch(client))
    world.see_all(client, other)
    world.see_requests("/backend-api/wham/", "/backend-api/accounts/", headers=(*HEADERS, "originator"))
    world.see({"changed": sorted(name for name, token in _tokens(world).items() if token != before[name])})
    world.see_auth_file()
    world.see(client.call("account/read", {}))
    world.see(client.call("getAuthStatus", {"includeToken": True}))
    world.see(client.call("accountSession/list", {}))
    world.see(_switch(client, "acct-null"))
    world.see(_switch(client, "acct-123"))
    world.see_all(client, other)
    world.see_auth_file()


def _tokens(world: World) -> dict[str, Any]:
    tokens: dict[str, Any] = json.loads((world.home / "auth.json").read_text())["tokens"]
    return tokens


@scenario(stored=_with_workspaces)
def switches_that_ask_nothing(world: World) -> None:
    """What is wrong with a request is told before the backend is asked; the first of several wrongs is."""
    client = _client(world)
    for account, session in (("", "owner-1"), ("  ", "owner-1"), ("acct-new", "owner-2"), ("", "owner-2")):
        world.see(_switch(client, account, session))
    world.see(_switch(client, "acct-123"))
    world.issuer.pending_polls, world.issuer.interval = PENDING_FOR_EVER, "1"
    login = client.call("account/login/start", DEVICE)["result"]["loginId"]
    for account, session in (("acct-new", "owner-1"), ("acct-123", "owner-1"), ("", "owner-1"), ("acct-new", "x")):
        world.see(_switch(client, account, session))
    client.call("account/login/cancel", {"loginId": login})
    world.see_requests("/backend-api/")


@scenario(config='forced_chatgpt_workspace_id = ["acct-123", "acct-456"]\n', stored=_with_workspaces)
def a_switch_to_where_one_may_not_be(world: World) -> None:
    """A restriction to workspaces holds for switches, and is told without a request."""
    client = _client(world)
    world.see(_switch(client))
    world.see(_switch(client, "acct-456"))
    world.see_requests("/backend-api/")


@scenario(stored=_with_workspaces)
def switches_that_the_workspace_forbids(world: World) -> None:
    """Whether a workspace can be had so is told by the backend."""
    client = _client(world)
    for account in ("acct-none", "acct-off", "acct-gov", "acct-sso"):
        world.see(_switch(client, account))
    world.see(_switch(client, "acct-gov", allowBrowserLogin=True))
    world.see(_switch(client, "acct-off", allowBrowserLogin=True))
    for answer in ((401, {}), (500, {}), (200, {"accounts": "none"})):
        world.issuer.responses[CHECK] = [answer]
        world.see(_switch(client))
    world.see_all(client)
    world.see_requests("/backend-api/accounts/", "/oauth/")
    world.see_auth_file()


@scenario(stored=_with_workspaces)
def exchanges_that_fail(world: World) -> None:
    """What comes of an exchange is for the same person in the workspace that was meant, or nothing comes of it."""
    client, issuer = _client(world), world.issuer
    answers: list[tuple[int, Json]] = [
        (403, {"error": "no"}),
        (401, {}),
        (500, {}),
        (200, {}),
        (200, {"access_token": None}),
        (200, {"access_token": "opaque"}),
        (200, {"access_token": issuer.give_access("acct-new", user="user-456")}),
        (200, {"access_token": issuer.give_access("acct-123")}),
    ]
    for answer in answers:
        issuer.responses[SWITCH] = [answer]
        world.see(_switch(client))
    world.see_all(client)
    world.see_auth_file()
    issuer.responses[SWITCH] = [
        (200, issuer.give_tokens(account="acct-new") | {"access_token": issuer.give_access("acct-new")})
    ]
    before = _tokens(world)
    world.see(_switch(client))
    world.see({"changed": sorted(name for name, token in _tokens(world).items() if token != before[name])})
    world.see_requests("/oauth/")


@scenario(stored=_with_workspaces)
def a_workspace_that_cannot_be_looked_up(world: World) -> None:
    """The new workspace is looked up with the new token. Where that fails, one is where one was."""
    client, other = _client(world), _client(world, experimental=False)
    world.issuer.responses[CHECK] = [(0, {}), (500, {}), (0, {})]
    world.see(_switch(client))
    world.see_all(client, other)
    world.see_auth_file()
    world.see_requests("/backend-api/accounts/")
    world.see(client.call("account/read", {}))


@scenario(stored=_with_workspaces)
def a_workspace_of_which_nothing_works(world: World) -> None:
    """Nor can one go back to where one was."""
    client, other = _client(world), _client(world, experimental=False)
    world.issuer.responses[CHECK] = [(0, {}), (500, {}), (0, {})]
    world.issuer.responses[SWITCH] = [(0, {}), (500, {})]
    world.see(_switch(client))
    world.see_all(client, other)
    world.see_auth_file()
    world.see(client.call("account/read", {}))


@scenario(stored=_with_workspaces)
def a_refresh_elsewhere_during_a_switch(world: World) -> None:
    """Another program has refreshed the same login meanwhile."""
    client = _client(world)
    stored = _with_workspaces(world.issuer)
    _switch_slowly(world, client)
    world.change("auth.json", stored)
    _see_what_comes(world, client)


@scenario(stored=_with_workspaces)
def a_login_elsewhere_during_a_switch(world: World) -> None:
    """Another program has stored somebody else's login meanwhile."""
    client = _client(world)
    _switch_slowly(world, client)
    world.issuer.claims |= {"user": "user-456", "account": "acct-456", "email": "other@example.com"}
    world.issuer.more_workspaces = {"acct-123": {}} | WORKSPACES
    stored = stored_login(world.issuer)
    world.issuer.claims["user"] = "user-123"  # whose token is being exchanged
    world.change("auth.json", stored)
    _see_what_comes(world, client)


@scenario(stored=_with_workspaces)
def a_logout_elsewhere_during_a_switch(world: World) -> None:
    """Another program has removed the login meanwhile."""
    client = _client(world)
    _switch_slowly(world, client)
    (world.home / "auth.json").unlink()
    _see_what_comes(world, client)


def _switch_slowly(world: World, client: Client) -> None:
    world.issuer.delays[SWITCH] = 2
    client.start("accountSession/switch", {"sessionId": "owner-1", "accountId": "acct-new"})
    while not any(asked.path == CHECK for asked in world.issuer.asked):
        time.sleep(0.01)


def _see_what_comes(world: World, client: Client) -> None:
    heard = [client.receive()]
    world.see([*map(dict, filter(None, heard))])
    world.see_all(client)
    world.see_auth_file()
    world.see(client.call("account/read", {}))


@scenario(stored=_with_workspaces)
def a_switch_waits_for_the_lock(world: World) -> None:
    """While another program holds a lock, nothing is stored; the exchange has been made."""
    client = _client(world)
    with (world.home / "auth.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        client.start("accountSession/switch", {"sessionId": "owner-1", "accountId": "acct-new"})
        world.see({"said while another process holds the lock": client.receive(1.0)})
        world.see_auth_file()
        world.see_requests("/backend-api/accounts/")
        fcntl.flock(lock, fcntl.LOCK_UN)
    world.see(client.receive())
    world.see(client.receive())
    world.see_auth_file()


@scenario(stored=_with_workspaces)
def others_wait_for_a_switch(world: World) -> None:
    """A refresh and a second switch of other connections come after it; a logout, too."""
    client, second, third = _client(world), _client(world), _client(world)
    _switch_slowly(world, client)
    second.start("accountSession/switch", {"sessionId": "owner-1", "accountId": "acct-null"})
    world.see({"second": second.receive(0.5)})
    world.see(client.until("account/updated"))
    world.see(client.receive())
    world.see(second.until("account/updated"))
    world.see(second.until("account/updated"))
    world.see(second.receive())
    world.see_auth_file()
    for each in (client, second, third):
        each.drain()
    world.issuer.asked.clear()
    _switch_slowly(world, client)
    third.start("account/logout")
    world.see([third.receive(0.5), third.receive(), third.receive()])
    world.see_all(client, third)
    world.see_requests("/oauth/")
    world.see_auth_file()


@scenario(stored=_with_workspaces)
def a_switch_after_a_refusal(world: World) -> None:
    """The refresh token is spent, and the access token is good for a while."""
    client = _client(world)
    world.issuer.refresh_status, world.issuer.refresh_body = 401, {"error": {"code": "refresh_token_expired"}}
    world.see(client.call("account/read", {"refreshToken": True}))
    world.see(_switch(client))
    world.see_all(client)
    world.see(client.call("account/read", {}))
    world.see(client.call("account/read", {"refreshToken": True}))
    world.see_requests("/oauth/")


def _start_sign_in(client: Client, account: str = "acct-sso") -> tuple[str, dict[str, str]]:
    result = _switch(client, account, allowBrowserLogin=True)["result"]
    return result["loginId"], authorize_parameters(result["authUrl"])


def _approve(parameters: dict[str, str]) -> None:
    page = get(f"{parameters['redirect_uri']}?code=abc&state={parameters['state']}")
    if page.location is not None:
        get(page.location)


@scenario(stored=_with_workspaces, listens=True)
def a_switch_with_a_sign_in(world: World) -> None:
    """A workspace that wants a sign-in of its own gets it in the browser, and the session stays what it is."""
    client, other = _client(world), _client(world, experimental=False)
    result = _switch(client, "acct-sso", allowBrowserLogin=True)["result"]
    world.see({"keys": sorted(result)})
    parameters = authorize_parameters(result["authUrl"])
    world.see({"keys": sorted(parameters)})
    shown = ("allowed_workspace_id", "current_workspace_id", "login_hint", "connection", "redirect_uri")
    world.see({name: parameters.get(name) for name in shown})
    world.see(_switch(client))
    world.issuer.claims |= {"account": "acct-sso", "email": "bank@example.com", "plan": "team"}
    world.issuer.more_workspaces = {"acct-123": {}}
    _approve(parameters)
    world.see_all(client, other)
    world.see_auth_file()
    world.see({"owner": _tokens(world).get("login_owner_id")})
    world.see(client.call("account/read", {}))
    world.see(client.call("accountSession/list", {}))
    world.see_requests("/oauth/", "/backend-api/accounts/")


@scenario(stored=_with_workspaces, listens=True)
def sign_ins_that_fail(world: World) -> None:
    """Whoever comes back is the session's person, in the workspace that was meant, or nothing is stored."""
    client = _client(world)
    world.issuer.more_workspaces = {"acct-123": {}, "acct-plain": {"can_access_with_session": False}} | WORKSPACES
    login_id, parameters = _start_sign_in(client, "acct-plain")
    world.see({name: parameters.get(name) for name in ("allowed_workspace_id", "connection")})
    world.issuer.claims |= {"account": "acct-plain", "user": "user-456"}
    _approve(parameters)
    world.see(client.until("account/login/completed"))
    world.issuer.claims |= {"account": "acct-new", "user": "user-123"}
    login_id, parameters = _start_sign_in(client, "acct-plain")
    _approve(parameters)
    world.see(client.until("account/login/completed"))
    login_id, parameters = _start_sign_in(client, "acct-plain")
    world.see(client.call("account/login/cancel", {"loginId": login_id}))
    world.see(client.until("account/login/completed"))
    login_id, parameters = _start_sign_in(client, "acct-plain")
    world.issuer.pending_polls, world.issuer.interval = PENDING_FOR_EVER, "1"
    client.call("account/login/start", DEVICE)
    world.see(client.until("account/login/completed"))
    world.see(_switch(client, "acct-plain", allowBrowserLogin=True))
    world.see_all(client)
    world.see_auth_file()
