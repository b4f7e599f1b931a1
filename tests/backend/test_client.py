"""What is asked of the backend, as it arrives there, and what its list of workspaces means."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from accountd.backend import client as limits
from accountd.backend.client import MAX_PAYLOAD, Access, Backend, Workspace, parse_workspace
from accountd.backend.payloads import MessagesPayload, SecuritySetupPayload, ThreadsPayload
from accountd.backend.rate_limits import UsagePayload
from accountd.errors import RemoteRefused, RemoteTooSlow, RemoteUnreachable
from accountd.secret import Secret
from accountd.web.http import REQUEST_TIMEOUT, HttpClient, Way

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import trio.testing

    Ask = Callable[[Backend], Awaitable[object]]

BACKEND = "https://chatgpt.com/backend-api"
ACCESS = Access(Secret("ey.token"), "acct-1")


def entry(**changes: object) -> dict[str, object]:
    """Make a good entry, changed."""
    usual = {
        "id": "acct-1",
        "name": "Personal",
        "workspace_backend_origin": "NO_CONSTRAINT",
        "account_routing_override": "NO_CONSTRAINT",
    }
    return {key: value for key, value in (usual | changes).items() if value is not ...}


def parse(*entries: dict[str, object], backend: str = BACKEND) -> Workspace:
    """Parse an answer with these entries."""
    return parse_workspace(json.dumps({"accounts": entries}).encode(), "acct-1", backend)


def test_a_workspace_without_constraint_is_where_the_backend_is() -> None:
    """The origin is that of the configured backend, without its path."""
    assert parse(entry(id="acct-0"), entry()) == Workspace("Personal", "https://chatgpt.com", "NO_CONSTRAINT")
    assert parse(entry(), backend="http://127.0.0.1:1234/backend-api").backend_origin == "http://127.0.0.1:1234"


def test_a_workspace_may_be_elsewhere() -> None:
    """An origin of its own, and a routing override, are told as they are; a name may be missing."""
    workspace = parse(
        entry(name=..., workspace_backend_origin="https://eu.example:8443", account_routing_override="us_cr")
    )
    assert workspace == Workspace(None, "https://eu.example:8443", "us_cr")


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([], "selected workspace missing from routing discovery"),
        ([entry(id="acct-2")], "selected workspace missing from routing discovery"),
        ([entry(), entry()], "duplicate workspace in routing discovery"),
        ([entry(workspace_backend_origin=...)], "workspace routing discovery missing backend origin"),
        (
            [entry(account_routing_override="mars")],
            "workspace routing discovery has invalid account routing override",
        ),
        (
            [entry(account_routing_override=...)],
            "workspace routing discovery has invalid account routing override",
        ),
        (
            [entry(workspace_backend_origin="http://x.example")],
            "workspace backend must use an HTTPS origin without credentials",
        ),
        (
            [entry(workspace_backend_origin="https://u:p@x.example")],
            "workspace backend must use an HTTPS origin without credentials",
        ),
        ([entry(workspace_backend_origin="")], "workspace backend must use an HTTPS origin without credentials"),
        (
            [entry(workspace_backend_origin="https://x.example/path")],
            "workspace routing discovery must return an origin",
        ),
        ([entry(workspace_backend_origin="https://[x")], "invalid workspace backend URL"),
        ([entry(workspace_backend_origin="http://x.example[::1]")], "invalid workspace backend URL"),
        ([entry(workspace_backend_origin="https://x.example:port")], "invalid workspace backend URL"),
        ([entry(name=5)], "workspace routing discovery failed"),
    ],
)
def test_what_cannot_be_relied_on_is_refused_in_the_peers_words(
    entries: list[dict[str, object]], text: str
) -> None:
    """Each fault of the list has the text that clients of the peer may know."""
    with pytest.raises(RemoteRefused) as caught:
        parse(*entries)
    assert str(caught.value) == text


@given(st.binary() | st.recursive(st.none() | st.text(), st.lists).map(lambda value: json.dumps(value).encode()))
def test_no_answer_raises_anything_else(body: bytes) -> None:
    """Whatever a backend sends, it is a workspace or it is refused."""
    with pytest.raises(RemoteRefused):
        parse_workspace(body, "acct-1", BACKEND)


@pytest.mark.parametrize(
    ("accounts", "ordering"),
    [
        ([entry()], ["acct-0"]),
        ({"key": {"account": entry(id=..., account_id="acct-1")}}, ["key"]),
    ],
)
def test_workspaces_may_be_a_list_or_a_map(accounts: object, ordering: list[str]) -> None:
    """A map has each workspace under a key that the ordering names."""
    body = json.dumps({"accounts": accounts, "account_ordering": ordering}).encode()
    assert parse_workspace(body, "acct-1", BACKEND).name == "Personal"


class Server:
    """The backend's server: one answer for all. `seen` has what arrived."""

    def __init__(self, status: int = 200, body: object = b"{}", *, delay: float = 0) -> None:
        self.seen: list[httpx.Request] = []
        self._status = status
        self._body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._delay = delay

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer, in its own time."""
        self.seen.append(request)
        await trio.sleep(self._delay)
        return httpx.Response(self._status, content=self._body, headers={"content-type": "application/json"})

    def backend(self, url: str = BACKEND) -> Backend:
        """Make a backend that asks this server."""

        async def open_httpx(_way: Way) -> httpx.AsyncClient:
            return httpx.AsyncClient(transport=httpx.MockTransport(self.handle))

        return Backend(HttpClient("agent/1", open_httpx), url)


CREDITS = {"available_count": 0, "credits": []}
REQUESTS: dict[str, tuple[Ask, object, str, str, object]] = {
    # name: the call, an answer to it, the method, the path, the body that is sent
    "usage": (lambda b: b.read_usage(ACCESS), {}, "GET", "/usage", None),
    "resets": (lambda b: b.read_reset_credits(ACCESS), CREDITS, "GET", "/rate-limit-reset-credits", None),
    "next reset": (
        lambda b: b.consume_reset_credit(ACCESS, "k", None),
        {"code": "reset"},
        "POST",
        "/rate-limit-reset-credits/consume",
        {"redeem_request_id": "k"},
    ),
    "this reset": (
        lambda b: b.consume_reset_credit(ACCESS, "k", "c"),
        {"code": "reset"},
        "POST",
        "/rate-limit-reset-credits/consume",
        {"redeem_request_id": "k", "credit_id": "c"},
    ),
    "profile": (lambda b: b.read_profile(ACCESS), {"stats": {}}, "GET", "/profiles/me", None),
    "thread": (
        lambda b: b.read_thread_usage(ACCESS, "t"),
        {"threads": []},
        "POST",
        "/usage/thread_usage/query",
        {"thread_ids": ["t"]},
    ),
    "messages": (lambda b: b.read_messages(ACCESS), {}, "GET", "/workspace-messages", None),
    "nudge": (
        lambda b: b.send_nudge(ACCESS, "credits"),
        {},
        "POST",
        "/accounts/send_add_credits_nudge_email",
        {"credit_type": "credits"},
    ),
    "accounts": (lambda b: b.read_accounts(ACCESS), {}, "GET", "/accounts/check", None),
}
each_request = pytest.mark.parametrize("name", list(REQUESTS))


@each_request
@pytest.mark.parametrize(
    ("url", "style"), [(BACKEND, "/backend-api/wham"), ("https://b.example/x", "/x/api/codex")]
)
async def test_each_request_has_its_path_in_the_style_of_the_backend(name: str, url: str, style: str) -> None:
    """Method, path and body are the backend's, and the request is made in the account's name."""
    ask, answer, method, path, body = REQUESTS[name]
    server = Server(body=answer)
    await ask(server.backend(url))
    (request,) = server.seen
    assert (request.method, request.url.path) == (method, style + path)
    assert (json.loads(request.content) if request.content else None) == body
    assert request.headers["authorization"] == "Bearer ey.token"
    assert request.headers["chatgpt-account-id"] == "acct-1"
    assert "x-openai-fedramp" not in request.headers


@pytest.mark.parametrize("url", ["https://chatgpt.com/backend-api", "https://b.example"])
async def test_the_security_setup_has_one_path(url: str) -> None:
    """It is under `/wham` on every backend, whatever its style otherwise."""
    server = Server(body={"notice": None, "unknown": 1})
    assert await server.backend(url).read_security_setup(ACCESS) == SecuritySetupPayload()
    assert str(server.seen[0].url) == f"{url}/wham/security-setup"


async def test_headers_say_what_is_special() -> None:
    """A government's workspace, the reserve that a client can use, and messages that no cache may keep."""
    server = Server()
    await server.backend().read_usage(Access(Secret("t"), None, fedramp=True), luna_reserve=True)
    await server.backend().read_messages(ACCESS)
    usage, messages = (request.headers for request in server.seen)
    assert (usage["x-openai-fedramp"], usage["x-openai-codex-luna-reserve"]) == ("true", "1")
    assert "chatgpt-account-id" not in usage
    assert messages["cache-control"] == "no-store"
    assert "x-openai-codex-luna-reserve" not in messages


@each_request
async def test_a_refusal_is_told_with_the_words_of_the_answer(name: str) -> None:
    """The method, the URL and the status, then what kind of body there was, and the words in it for an error."""
    ask, _, method, path, _ = REQUESTS[name]
    body = json.dumps({"error": {"message": "é\n" * 5000}, "other": "not told"}, ensure_ascii=False)
    with pytest.raises(RemoteRefused) as caught:
        await ask(Server(500, body.encode()).backend())
    assert caught.value.status == 500
    assert str(caught.value) == (
        f"{method} {BACKEND}/wham{path} failed: 500 Internal Server Error; "
        f"content-type=application/json; error={'é ' * 99}é…"
    )


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (401, b'{"detail": "ey.token-of-it is not good, says Bearer ey.token-of-it"}'),
        (401, b'{"error": {"message": "\\u0065y.token-of-it, ey%2Etoken-of-it, ZXkudG9rZW4tb2YtaXQ="}}'),
        (401, b"ey.token-of-it"),
        (200, b"ey.token-of-it"),
        (200, b'{"code": "ey.token-of-it"}'),
    ],
)
async def test_a_backend_that_echoes_the_token_does_not_have_it_shown(status: int, answer: bytes) -> None:
    """Neither the words that are quoted, in whatever form, nor what is said of an answer, nor a cause has it."""
    access = Access(Secret("ey.token-of-it"), None)
    with pytest.raises(RemoteRefused) as caught:
        await Server(status, answer).backend().consume_reset_credit(access, "k", None)
    assert "oken" not in str(caught.value).replace("tokens", "")
    assert "ZXku" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "answer", "fault"),
    [
        ("usage", b"<html>", "JSON is malformed: invalid character (byte 0)"),
        ("usage", b"", "Input data was truncated"),
        ("usage", b'{"plan_type": 5}', "Expected `str | null`, got `int` - at `$.plan_type`"),
        ("resets", b'{"available_count": 1}', "Object missing required field `credits`"),
        ("next reset", b'{"code": "something_new"}', "a value that is not understood - at `$.code`"),
        ("profile", b"[]", "Expected `object`, got `array`"),
        ("messages", b"\xff", "JSON is malformed: invalid character (byte 0)"),
        ("accounts", b'{"accounts": 5}', "Expected `object | array`, got `int` - at `$.accounts`"),
        ("usage", b'{"rate_limit_upsell": ' + b"[" * 100_000, "nested too deep"),
    ],
)
async def test_an_answer_that_is_not_understood_is_told_without_it(name: str, answer: bytes, fault: str) -> None:
    """The URL, and what is wrong where; its status is no longer what matters."""
    ask, _, _, path, _ = REQUESTS[name]
    with pytest.raises(RemoteRefused) as caught:
        await ask(Server(200, answer).backend())
    assert caught.value.status == 0
    assert str(caught.value) == f"Decode error for {BACKEND}/wham{path}: {fault}; content-type=application/json"


async def test_the_usage_of_a_thread_may_be_kept_from_the_account() -> None:
    """403 and 404 mean that there is none to tell; what is not understood has the peer's short text."""
    for status in (403, 404):
        assert await Server(status).backend().read_thread_usage(ACCESS, "t") is None
    with pytest.raises(RemoteRefused) as caught:
        await Server(401).backend().read_thread_usage(ACCESS, "t")
    assert caught.value.status == 401
    with pytest.raises(RemoteRefused, match=r"^Invalid thread usage response\.$"):
        await Server(200, b"{}").backend().read_thread_usage(ACCESS, "t")
    answer = await Server(200, {"threads": []}).backend().read_thread_usage(ACCESS, "t")
    assert answer == ThreadsPayload([])


async def test_a_backend_may_have_no_messages_at_all() -> None:
    """404, and no other refusal, means that it has no such thing."""
    assert await Server(404).backend().read_messages(ACCESS) is None
    assert await Server(200).backend().read_messages(ACCESS) == MessagesPayload()
    with pytest.raises(RemoteRefused):
        await Server(403).backend().read_messages(ACCESS)


@pytest.mark.parametrize(("status", "sent"), [(200, True), (202, True), (429, False)])
async def test_a_nudge_is_sent_or_was_sent_lately(status: int, sent: bool) -> None:
    """Too many requests is no fault here; and what a success says is of no interest."""
    assert await Server(status, b"rubbish").backend().send_nudge(ACCESS, "usage_limit") is sent


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("messages", limits.MESSAGES_TIMEOUT),
        ("resets", limits.RESET_CREDITS_TIMEOUT),
        ("profile", limits.PROFILE_TIMEOUT),
        ("next reset", limits.CONSUME_TIMEOUT),
        ("accounts", limits.ACCOUNTS_TIMEOUT),
        ("thread", limits.THREAD_TIMEOUT),
        ("usage", REQUEST_TIMEOUT),
        ("nudge", REQUEST_TIMEOUT),
    ],
)
async def test_each_request_has_its_time(name: str, limit: float, autojump_clock: trio.testing.MockClock) -> None:
    """An answer just in time is taken, and a later one is not waited for."""
    ask, answer, *_ = REQUESTS[name]
    await ask(Server(body=answer, delay=limit - 0.1).backend())
    start = trio.current_time()
    with pytest.raises(RemoteUnreachable) as caught:
        await ask(Server(body=answer, delay=limit + 0.1).backend())
    assert trio.current_time() - start == pytest.approx(limit)
    assert isinstance(caught.value, RemoteTooSlow) == (name not in {"usage", "nudge"})


async def test_a_look_at_the_security_setup_has_three_seconds(autojump_clock: trio.testing.MockClock) -> None:
    """What nobody asked for is not waited for long."""
    with pytest.raises(RemoteTooSlow):
        await Server(delay=limits.SECURITY_TIMEOUT + 0.1).backend().read_security_setup(ACCESS)
    assert trio.current_time() == pytest.approx(limits.SECURITY_TIMEOUT)


async def test_a_workspace_is_looked_up_in_the_peers_words(autojump_clock: trio.testing.MockClock) -> None:
    """Too late, refused and unauthorized have a text each, that quotes nothing."""
    for server, text in (
        (Server(delay=limits.LOOKUP_TIMEOUT + 1), "workspace routing discovery timed out"),
        (Server(500), "workspace routing discovery failed"),
        (Server(401), "workspace routing discovery unauthorized (401)"),
    ):
        with pytest.raises((RemoteUnreachable, RemoteRefused)) as caught:
            await server.backend().look_up_workspace(Secret("t"), "acct-1")
        assert str(caught.value) == text


@given(st.sampled_from(list(REQUESTS)), st.integers(100, 599), st.binary(max_size=50))
def test_no_answer_is_more_than_a_refusal(name: str, status: int, body: bytes) -> None:
    """Whatever a backend answers to whatever is asked, it is understood or refused."""

    async def run() -> None:
        ask: Any = REQUESTS[name][0]
        try:
            await ask(Server(status, body).backend())
        except RemoteRefused as error:
            assert error.status in {0, status}  # noqa: PT017  # either end is a good one

    trio.run(run)


async def test_unknown_members_are_of_no_interest() -> None:
    """A backend may tell more than is understood."""
    assert await Server(body={"new": [1]}).backend().read_usage(ACCESS) == UsagePayload()


async def test_an_answer_that_is_too_large_is_not_decoded() -> None:
    """An empty object of three bytes would be ninety in memory."""
    body = b'{"accounts":[' + b"{}," * (MAX_PAYLOAD // 3) + b"{}]}"
    with pytest.raises(RemoteRefused, match=f"larger than {MAX_PAYLOAD} bytes"):
        await Server(200, body).backend().read_accounts(ACCESS)
    with pytest.raises(RemoteRefused, match="workspace routing discovery failed"):
        parse_workspace(body, "acct-1", BACKEND)
