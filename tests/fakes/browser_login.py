"""A browser login that waits, and whoever asks its port: a browser that follows links, or another program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import h11
import trio

from accountd.login.browser import BrowserFlow
from accountd.protocol.account import BrowserLogin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.world import World

EXCHANGE = "/oauth/token"


class Started:
    """A browser login that waits: its id, its port and the parts of its authorize URL."""

    def __init__(self, login_id: str, url: str) -> None:
        self.id = login_id
        self.url = url
        self.query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.state = self.query["state"]
        self.redirect_uri = self.query["redirect_uri"]
        self.port = urlsplit(self.redirect_uri).port or 0


async def start(world: World, ports: tuple[int, ...] = (0,), **wishes: Any) -> Started:
    """Begin a browser login on a free port."""
    replies: list[Any] = []
    flow = BrowserFlow(
        world.services.issuer,
        originator="tests",
        workspaces=world.services.policy.current.workspaces,
        wishes=BrowserLogin(**wishes),
        ports=ports,
    )
    await world.logins.start(flow, replies.append)
    return Started(replies[0].login_id, replies[0].auth_url)


class Answer:
    """What a browser got."""

    def __init__(self, status: int, headers: Mapping[str, str], body: str) -> None:
        self.status = status
        self.headers = headers
        self.body = body


async def get(port: int, target: str, *, method: str = "GET", **headers: str) -> Answer:
    """Ask the port as a client that says what it is told to say."""
    http = h11.Connection(h11.CLIENT)
    fields = {"Host": f"127.0.0.1:{port}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    request = h11.Request(method=method, target=target, headers=list(fields.items()))
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
        response, body = None, b""
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some(65536)))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
    assert response is not None
    names = {name.decode(): value.decode() for name, value in response.headers}
    return Answer(response.status_code, names, body.decode())


async def approve(world: World, started: Started) -> str:
    """Approve at the sandbox, and give the address that the browser is sent back to."""
    return await world.sandbox.authorize(started.url, approve=True)


async def follow(location: str, **headers: str) -> Answer:
    """Load a page of the loopback port."""
    parts = urlsplit(location)
    return await get(parts.port or 0, parts.path + (f"?{parts.query}" if parts.query else ""), **headers)
