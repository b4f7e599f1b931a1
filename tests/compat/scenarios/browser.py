"""Logins in a browser of this machine."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, urlsplit

from compat.issuer import PENDING_FOR_EVER
from compat.scenarios import BROWSER, DEVICE, scenario

if TYPE_CHECKING:
    from compat.clients import Client
    from compat.world import World


class Page(NamedTuple):
    """What the browser is shown."""

    status: int
    location: str | None
    body: bytes


class Started(NamedTuple):
    """A login that waits for the browser."""

    login_id: str
    redirect: str
    state: str

    @property
    def origin(self) -> str:
        """The address of the port, without a path."""
        return self.redirect.rpartition("/auth/")[0]


def get(url: str) -> Page:
    """Fetch a page of the login's port, and follow nothing."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        answer = connection.getresponse()
        return Page(answer.status, answer.getheader("location"), answer.read())
    finally:
        connection.close()


def authorize_parameters(url: str) -> dict[str, str]:
    """Read what the issuer is asked for in an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def start_browser_login(client: Client) -> Started:
    """Start one."""
    result = client.call("account/login/start", BROWSER)["result"]
    parameters = authorize_parameters(result["authUrl"])
    return Started(result["loginId"], parameters["redirect_uri"], parameters["state"])


@scenario(listens=True)
def browser_success(world: World) -> None:
    """The issuer sends the browser back with a code."""
    client, other = world.client(), world.client()
    url = client.call("account/login/start", BROWSER)["result"]["authUrl"]
    parameters, parts = authorize_parameters(url), urlsplit(url)
    shown = (
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "code_challenge_method",
        "id_token_add_organizations",
        "codex_cli_simplified_flow",
    )
    where = {"url": f"{parts.scheme}://{parts.netloc}{parts.path}", "keys": sorted(parameters)}
    world.see(where | {name: parameters[name] for name in shown})
    page = get(f"{parameters['redirect_uri']}?code=abc&state={parameters['state']}")
    if page.location is not None:
        get(page.location)
    world.see(client.until("account/login/completed"))
    world.see_all(client, other)
    world.see(client.call("account/read", {}))
    world.see_auth_file()
    world.see_requests("/oauth/")


@scenario(listens=True)
def browser_bad_callbacks(world: World) -> None:
    """What is not the issuer's answer ends nothing; a refusal ends the login with the issuer's words."""
    client = world.client()
    started = start_browser_login(client)
    world.see(
        {
            "unknown path": get(f"{started.origin}/nope").status,
            "wrong state": get(f"{started.redirect}?code=x&state=wrong").status,
            "no state": get(f"{started.redirect}?code=x").status,
        }
    )
    world.see_all(client)
    get(f"{started.redirect}?state={started.state}")
    world.see(client.until("account/login/completed"))
    started = start_browser_login(client)
    refusal = "error=access_denied&error_description=not+today+%3Cscript%3E"
    body = get(f"{started.redirect}?{refusal}&state={started.state}").body
    escaped = b"<script>e" not in body.replace(b" ", b"") and b"today <script>" not in body
    world.see({"script escaped": escaped})
    world.see(client.until("account/login/completed"))
    started = start_browser_login(client)
    refusal = "error=access_denied&error_description=missing_codex_entitlement"
    get(f"{started.redirect}?{refusal}&state={started.state}")
    world.see(client.until("account/login/completed"))
    world.see_auth_file()


@scenario(listens=True)
def browser_exchange_refused(world: World) -> None:
    """The issuer takes its code back."""
    world.issuer.exchange_status = 403
    world.issuer.exchange_body = {"error": {"message": "forbidden thing", "code": "xx"}}
    client = world.client()
    started = start_browser_login(client)
    get(f"{started.redirect}?code=abc&state={started.state}")
    world.see(client.until("account/login/completed"))
    world.see_auth_file()


@scenario(listens=True)
def browser_cancel(world: World) -> None:
    """A login is cancelled by its client, by another program at the port, and by a newer login."""
    client = world.client()
    started = start_browser_login(client)
    world.see(client.call("account/login/cancel", {"loginId": started.login_id}))
    world.see(client.until("account/login/completed"))
    started = start_browser_login(client)
    get(f"{started.origin}/cancel")
    world.see(client.until("account/login/completed"))
    started = start_browser_login(client)
    world.see({"port": urlsplit(started.redirect).port})
    world.issuer.pending_polls, world.issuer.interval = PENDING_FOR_EVER, "1"
    world.see(client.call("account/login/start", DEVICE))
    world.see(client.until("account/login/completed"))


@scenario(listens=True)
def browser_port_taken(world: World) -> None:
    """Another program has the first port, and keeps it."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 1455))
        taken.listen()
        started = start_browser_login(world.client())
        world.see({"port": urlsplit(started.redirect).port})
