"""What the backend knows of the account: who may ask, what is told, and in which words it fails."""

from __future__ import annotations

import base64
import contextlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
import trio
import trio.testing

from accountd.adapters.backend import Backend
from accountd.adapters.http import HttpClient
from accountd.errors import InvalidRequest, RequestFailed
from accountd.oauth.tokens import TokenSet, parse_claims
from accountd.protocol import usage as wire
from accountd.sandbox import Fault, Script
from accountd.secret import Secret
from accountd.storage.base import AuthRecord, ChatgptLogin, api_key_record, external_record
from accountd.storage.memory import MemoryStore
from accountd.usage import UsageService
from fakes.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Read = Callable[[UsageService], Awaitable[Any]]

NOW = 1_800_000_000
THREAD = "db8e4ae9-01bb-48dd-a77c-64ae6ed0d35a"
USAGE, RESETS, CONSUME = "/wham/usage", "/wham/rate-limit-reset-credits", "/wham/rate-limit-reset-credits/consume"
PROFILE, THREADS = "/wham/profiles/me", "/wham/usage/thread_usage/query"
MESSAGES, NUDGE = "/wham/workspace-messages", "/wham/accounts/send_add_credits_nudge_email"
SECURITY, ACCOUNTS = "/wham/security-setup", "/wham/accounts/check"

OWN_USAGE = {
    "plan_type": "pro",
    "account_id": "acct-1",
    "user_id": "user-1",
    "rate_limit": {"allowed": True},
    "rate_limit_reset_credits": {"available_count": 2},
    "rate_limit_upsell": {"a_b": 1},
}
CREDIT = {"id": "c", "reset_type": "x", "status": "x", "granted_at": "2026-01-02T03:04:05Z"}
NOTICE = {"notice": {"title": "T", "description": "D", "action": {"label": "L", "url": "https://x.example"}}}
WORKSPACES = {"accounts": [{"id": "acct-1", "name": "Mine", "structure": "personal"}, {"id": "acct-2"}]}


def make_jwt(**auth: object) -> Secret:
    """Make a token with these claims of the account."""
    claims = {
        "chatgpt_account_id": "acct-1",
        "chatgpt_plan_type": "pro",
        "chatgpt_user_id": "user-1",
        "chatgpt_account_is_fedramp": False,
    }
    payload = {
        "email": "ada@example.com",
        "exp": NOW + 3600,
        "https://api.openai.com/auth": {k: v for k, v in (claims | auth).items() if v is not None},
    }
    middle = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    return Secret(f"e30.{middle}.c2ln")


def make_record(account_id: str | None = "acct-1", owner: str | None = "owner-1", **auth: object) -> AuthRecord:
    """Make a stored ChatGPT login."""
    token = make_jwt(**auth)
    tokens = TokenSet(token, token, Secret("r"))
    return AuthRecord("chatgpt", chatgpt=ChatgptLogin(tokens, parse_claims(token), account_id, owner))


def make_opaque_record() -> AuthRecord:
    """Make a ChatGPT login whose tokens are no JWTs any more, as an issuer may have it."""
    tokens = TokenSet(Secret("opaque"), Secret("opaque"), Secret("r"))
    return AuthRecord("chatgpt", chatgpt=ChatgptLogin(tokens, parse_claims(make_jwt()), "acct-1"))


class Server:
    """The backend's server: an answer, or an error's status, for each path. `seen` has what arrived.

    `delays` are seconds; `meanwhile` is called while an answer is on its way.
    """

    def __init__(self, **answers: object) -> None:
        self.answers: dict[str, object] = dict(answers)
        self.delays: dict[str, float] = {}
        self.seen: list[httpx.Request] = []
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer, in its own time."""
        self.seen.append(request)
        path = request.url.path.removeprefix("/backend-api")
        await trio.sleep(self.delays.get(path, 0))
        if self.meanwhile is not None:
            await self.meanwhile()
        answer = self.answers.get(path, 404)
        if isinstance(answer, int):
            return httpx.Response(answer, json={"error": "no"})
        return httpx.Response(200, json=answer)

    def paths(self) -> list[str]:
        """Give what was asked for."""
        return [request.url.path.removeprefix("/backend-api") for request in self.seen]


class Scene:
    """A service and what is around it."""

    def __init__(self, service: UsageService, server: Server, world: World) -> None:
        self.service, self.server, self.world = service, server, world


@asynccontextmanager
async def open_scene(record: AuthRecord | None, answers: dict[str, object] | None = None) -> AsyncIterator[Scene]:
    """Give the service with this credential stored, and this backend."""
    server = Server(**(answers or {}))

    async def open_httpx() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(server.handle))

    backend = Backend(HttpClient("agent/1", open_httpx), "https://chatgpt.com/backend-api")
    async with open_world(store=MemoryStore(record)) as world:
        service = UsageService(world.account, world.services.refresher, backend, now=world.clock.now)
        yield Scene(service, server, world)


def see(message: object) -> Any:
    """Show a message as a client sees it."""
    return json.loads(msgspec.json.encode(message))


READS: dict[str, tuple[Read, str]] = {
    "limits": (lambda s: s.read_rate_limits(wire.GetAccountRateLimitsParams()), "to read rate limits"),
    "profile": (lambda s: s.read_token_usage(wire.GetAccountTokenUsageParams()), "to read token usage"),
    "thread": (lambda s: s.read_token_usage(wire.GetAccountTokenUsageParams(THREAD)), "to read token usage"),
    "messages": (lambda s: s.read_messages(), "to read workspace messages"),
    "nudge": (
        lambda s: s.send_nudge(wire.SendAddCreditsNudgeEmailParams("credits")),
        "to notify workspace owner",
    ),
    "reset": (
        lambda s: s.consume_reset_credit(wire.ConsumeAccountRateLimitResetCreditParams("key")),
        "for rate limit reset credits",
    ),
}
each_read = pytest.mark.parametrize("name", list(READS))


@each_read
@pytest.mark.parametrize(
    ("record", "who"), [(None, "codex account"), (api_key_record(Secret("sk")), "chatgpt")], ids=["nobody", "key"]
)
async def test_one_must_be_logged_in_with_chatgpt(name: str, record: AuthRecord | None, who: str) -> None:
    """Without an account, and with an API key, nothing is asked of the backend; each read has its text."""
    read, purpose = READS[name]
    async with open_scene(record) as scene:
        with pytest.raises(InvalidRequest) as caught:
            await read(scene.service)
        assert str(caught.value) == f"{who} authentication required {purpose}"
        assert scene.server.seen == []


@each_read
@pytest.mark.parametrize("status", [None, 500], ids=["refreshed", "not refreshed"])
async def test_a_token_that_is_due_is_refreshed_first(
    name: str, status: int | None, autojump_clock: trio.testing.MockClock
) -> None:
    """The backend gets a token that is good; one that cannot be refreshed is sent as it is."""
    async with open_scene(None) as scene:
        if status is not None:
            scene.world.sandbox.script = Script(faults=(Fault("/oauth/token", 1, status),))
        issued = scene.world.sandbox.issue_tokens()
        login = ChatgptLogin(issued, parse_claims(issued.id_token), "account-sandbox")
        await scene.world.account.commit(AuthRecord("chatgpt", chatgpt=login), announce=lambda: None)
        scene.world.clock.jump(3600)
        with contextlib.suppress(RequestFailed):  # of a backend that has none of it
            await READS[name][0](scene.service)
        sent = {request.headers["authorization"].removeprefix("Bearer ") for request in scene.server.seen}
    assert [request.path for request in scene.world.sandbox.requests] == ["/oauth/token"]
    assert (sent == {issued.access_token.reveal()}) == (status is not None)


async def test_rate_limits_are_asked_for_together_with_the_reset_credits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Two requests go out at once, and take as long as the longer."""
    answers: dict[str, object] = {USAGE: OWN_USAGE, RESETS: {"available_count": 1, "credits": [CREDIT]}}
    async with open_scene(make_record(), answers) as scene:
        scene.server.delays = {USAGE: 2, RESETS: 3}
        start = trio.current_time()
        answer = await scene.service.read_rate_limits(wire.GetAccountRateLimitsParams())
        assert trio.current_time() - start == pytest.approx(3)
        assert sorted(scene.server.paths()) == sorted([USAGE, RESETS])
    assert answer.rate_limit_reset_credits is not None
    assert answer.rate_limit_reset_credits.available_count == 1
    assert answer.rate_limit_reset_credits.credits is not None
    assert (answer.account_id, answer.ordinary_usage_allowed, answer.rate_limit_upsell) == (
        "acct-1",
        True,
        {"a_b": 1},
    )


@pytest.mark.parametrize(
    "details",
    [
        404,
        401,
        500,
        "rubbish",
        {"available_count": 1},
        {"available_count": 1, "credits": [CREDIT | {"granted_at": "x"}]},
    ],
)
async def test_without_their_details_reset_credits_are_counted(details: object) -> None:
    """Whatever is wrong with the details, the usage's own count is told instead."""
    async with open_scene(make_record(), {USAGE: OWN_USAGE, RESETS: details}) as scene:
        answer = await scene.service.read_rate_limits(wire.GetAccountRateLimitsParams())
    assert answer.rate_limit_reset_credits == wire.RateLimitResetCreditsSummary(2, None)


async def test_details_are_not_waited_for_long(autojump_clock: trio.testing.MockClock) -> None:
    """After five seconds the usage's own count is told instead."""
    async with open_scene(make_record(), {USAGE: OWN_USAGE}) as scene:
        scene.server.delays = {RESETS: 50}
        start = trio.current_time()
        answer = await scene.service.read_rate_limits(wire.GetAccountRateLimitsParams())
        assert trio.current_time() - start == pytest.approx(5)
    assert answer.rate_limit_reset_credits == wire.RateLimitResetCreditsSummary(2, None)


async def test_a_client_can_do_without_the_details() -> None:
    """Only the usage is asked for, and says how many there are."""
    async with open_scene(make_record(), {USAGE: OWN_USAGE}) as scene:
        answer = await scene.service.read_rate_limits(
            wire.GetAccountRateLimitsParams(exclude_reset_credit_details=True)
        )
        assert scene.server.paths() == [USAGE]
    assert answer.rate_limit_reset_credits == wire.RateLimitResetCreditsSummary(2, None)


async def test_a_failing_usage_is_told_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """The details of what cannot be told are not waited for; and a refused token is not tried again."""
    async with open_scene(make_record(), {USAGE: 401}) as scene:
        scene.server.delays = {RESETS: 4}
        start = trio.current_time()
        with pytest.raises(RequestFailed) as caught:
            await scene.service.read_rate_limits(wire.GetAccountRateLimitsParams())
        assert trio.current_time() == start
        assert scene.server.paths().count(USAGE) == 1
    assert str(caught.value) == (
        "failed to fetch codex rate limits: GET https://chatgpt.com/backend-api/wham/usage failed: "
        '401 Unauthorized; content-type=application/json; body={"error":"no"}'
    )


async def test_who_leaves_takes_both_requests_along(autojump_clock: trio.testing.MockClock) -> None:
    """A cancelled read ends by cancellation and leaves nothing behind."""
    async with open_scene(make_record(), {USAGE: OWN_USAGE}) as scene:
        scene.server.delays = {USAGE: 4, RESETS: 4}
        with trio.move_on_after(1) as scope:
            await scene.service.read_rate_limits(wire.GetAccountRateLimitsParams())
        assert scope.cancelled_caught


@pytest.mark.parametrize(
    ("record", "change", "is_owner"),
    [
        (make_record(), {}, True),
        (make_record(), {"account_id": "acct-2"}, False),
        (make_record(), {"user_id": "user-2"}, False),
        (make_record(), {"user_id": None}, False),
        (make_record(account_id=None), {"account_id": None}, False),
        (make_record(chatgpt_user_id=None), {"user_id": None}, False),
        (make_record(chatgpt_account_is_fedramp=True), {}, False),
        (make_opaque_record(), {}, True),
        (external_record(make_jwt(), "acct-1", "plus"), {}, True),
        (external_record(make_jwt(chatgpt_account_is_fedramp=True), "acct-1", "plus"), {}, False),
    ],
)
async def test_what_steers_a_client_is_for_the_account_that_asked(
    record: AuthRecord, change: dict[str, object], is_owner: bool
) -> None:
    """Both ids must be known and the same, and the workspace not a government's."""
    async with open_scene(record, {USAGE: OWN_USAGE | change}) as scene:
        answer = await scene.service.read_rate_limits(wire.GetAccountRateLimitsParams())
    assert (answer.ordinary_usage_allowed is not None) == is_owner
    assert (answer.rate_limit_upsell is not None) == is_owner


@pytest.mark.parametrize(
    ("fedramp", "supports", "sent"), [(False, True, "1"), (False, False, None), (True, True, None)]
)
async def test_the_reserve_is_for_clients_that_know_it(fedramp: bool, supports: bool, sent: str | None) -> None:
    """The usage request says so, but never for a government's workspace, which every request names as one."""
    record = make_record(chatgpt_account_is_fedramp=fedramp)
    async with open_scene(record, {USAGE: OWN_USAGE}) as scene:
        params = wire.GetAccountRateLimitsParams(supports_luna_reserve=supports)
        await scene.service.read_rate_limits(params)
        for request in scene.server.seen:
            assert request.headers.get("x-openai-fedramp") == ("true" if fedramp else None)
            reserve = request.headers.get("x-openai-codex-luna-reserve")
            assert reserve == (sent if request.url.path.endswith("/usage") else None)


@pytest.mark.parametrize(
    ("path", "answer", "name", "told"),
    [
        (
            PROFILE,
            {"stats": {"lifetime_tokens": 7}},
            "profile",
            {"summary": {"lifetimeTokens": 7}},
        ),
        (THREADS, 404, "thread", {"summary": {}}),
        (
            THREADS,
            {"threads": [{"thread_id": THREAD, "estimated_usage_credits_micros": 5}]},
            "thread",
            {
                "summary": {},
                "threadUsage": {"threadId": THREAD, "estimatedUsageCreditsMicros": 5, "groups": []},
            },
        ),
        (MESSAGES, {"messages": []}, "messages", {"featureEnabled": True, "messages": []}),
        (MESSAGES, 404, "messages", {"featureEnabled": False, "messages": []}),
        (NUDGE, {}, "nudge", {"status": "sent"}),
        (NUDGE, 429, "nudge", {"status": "cooldown_active"}),
        (CONSUME, {"code": "already_redeemed"}, "reset", {"outcome": "alreadyRedeemed"}),
    ],
)
async def test_what_the_backend_says_is_told(path: str, answer: object, name: str, told: object) -> None:
    """Each read asks one thing, and makes a message of the answer."""

    def prune(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: prune(member) for key, member in value.items() if member is not None}
        return value

    async with open_scene(make_record(), {path: answer}) as scene:
        assert prune(see(await READS[name][0](scene.service))) == told
        assert scene.server.paths() == [path]


FAILED = 'failed: 500 Internal Server Error; content-type=application/json; body={"error":"no"}'


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("limits", USAGE, "failed to fetch codex rate limits: GET"),
        ("profile", PROFILE, "failed to fetch token usage profile: GET"),
        ("thread", THREADS, "failed to fetch thread usage: POST"),
        ("messages", MESSAGES, "failed to fetch workspace messages: GET"),
        ("nudge", NUDGE, "failed to notify workspace owner: POST"),
        ("reset", CONSUME, "failed to consume rate limit reset: POST"),
    ],
)
async def test_each_read_fails_in_its_own_words(name: str, path: str, text: str) -> None:
    """Then come the backend's."""
    async with open_scene(make_record(), {path: 500}) as scene:
        with pytest.raises(RequestFailed) as caught:
            await READS[name][0](scene.service)
    assert str(caught.value) == f"{text} https://chatgpt.com/backend-api{path} {FAILED}"


@pytest.mark.parametrize(
    ("name", "path", "text", "limit"),
    [
        ("profile", PROFILE, "token usage profile fetch timed out", 10),
        ("thread", THREADS, "thread usage fetch timed out", 60),
        ("messages", MESSAGES, "workspace messages fetch timed out", 1),
        ("reset", CONSUME, "rate limit reset consume timed out", 10),
        ("limits", USAGE, "failed to fetch codex rate limits: chatgpt.com did not answer in 60 s", 60),
        ("nudge", NUDGE, "failed to notify workspace owner: chatgpt.com did not answer in 60 s", 60),
    ],
)
async def test_each_read_is_late_in_its_own_words(
    name: str, path: str, text: str, limit: float, autojump_clock: trio.testing.MockClock
) -> None:
    """A client waits for so long and no longer."""
    async with open_scene(make_record()) as scene:
        scene.server.delays = {path: 1000}
        start = trio.current_time()
        with pytest.raises(RequestFailed) as caught:
            await READS[name][0](scene.service)
        assert trio.current_time() - start == pytest.approx(limit)
    assert str(caught.value) == text


async def test_a_message_with_a_bad_time_spoils_the_read() -> None:
    """The time that is none is quoted, as by the peer."""
    message = {"message_id": "m", "message_type": "headline", "message_body": "b", "created_at": "soon"}
    async with open_scene(make_record(), {MESSAGES: {"messages": [message]}}) as scene:
        with pytest.raises(RequestFailed, match=r"^failed to parse workspace message timestamp `soon`: "):
            await scene.service.read_messages()


@pytest.mark.parametrize(
    ("threads", "text"),
    [
        ({"threads": []}, "thread usage response omitted requested thread"),
        ({"threads": [{"thread_id": "other"}]}, "thread usage returned unexpected threads"),
        ({}, "Invalid thread usage response."),
    ],
)
async def test_a_thread_that_is_not_told_of(threads: object, text: str) -> None:
    """An answer without the thread, or with others, is a failure."""
    async with open_scene(make_record(), {THREADS: threads}) as scene:
        with pytest.raises(RequestFailed) as caught:
            await READS["thread"][0](scene.service)
    assert str(caught.value) == f"failed to fetch thread usage: {text}"


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (
            lambda s: s.read_token_usage(wire.GetAccountTokenUsageParams("")),
            "invalid thread id: invalid length: expected length 32 for simple format, found 0",
        ),
        (
            lambda s: s.consume_reset_credit(wire.ConsumeAccountRateLimitResetCreditParams("", "")),
            "idempotencyKey must not be empty",
        ),
        (
            lambda s: s.consume_reset_credit(wire.ConsumeAccountRateLimitResetCreditParams("k", "")),
            "creditId must not be empty",
        ),
    ],
)
async def test_what_is_asked_for_is_looked_at_before_who_asks(read: Read, text: str) -> None:
    """Malformed params are told of to people who are not logged in."""
    async with open_scene(None) as scene:
        with pytest.raises(InvalidRequest) as caught:
            await read(scene.service)
    assert str(caught.value) == text


async def test_a_security_notice_is_addressed_to_who_asked() -> None:
    """It has the ids of the login with which it was fetched, whatever ids the backend sent."""
    async with open_scene(make_record(), {SECURITY: NOTICE | {"account_id": "acct-2"}}) as scene:
        assert see(await scene.service.read_security_setup()) == {
            "notice": {
                "accountId": "acct-1",
                "userId": "user-1",
                "title": "T",
                "description": "D",
                "action": {"label": "L", "url": "https://x.example"},
            }
        }


@pytest.mark.parametrize(
    "record",
    [
        None,
        api_key_record(Secret("sk")),
        external_record(make_jwt(), "acct-1", None),
        make_record(account_id=None),
        make_record(chatgpt_user_id=None),
        make_record(chatgpt_account_is_fedramp=True),
    ],
    ids=["nobody", "key", "external", "no account id", "no user id", "government"],
)
async def test_nobody_else_is_asked_about_security(record: AuthRecord | None) -> None:
    """A notice is for one known person in one known workspace; for others the backend is not asked."""
    async with open_scene(None, {SECURITY: NOTICE}) as scene:
        await use(scene, record)
        assert await scene.service.read_security_setup() == wire.GetAccountSecuritySetupResponse(None)
        assert scene.server.seen == []


async def use(scene: Scene, record: AuthRecord | None) -> None:
    """Have this credential, which may be a client's own."""
    if record is None:
        return
    if record.mode == "chatgptAuthTokens":
        await scene.world.account.use_external(FakeExternal(record), announce=lambda: None)  # type: ignore[arg-type]  # all of it that is used
    else:
        await scene.world.account.commit(record, announce=lambda: None)


class FakeExternal(msgspec.Struct):
    """A client's own tokens, that nobody renews."""

    record: AuthRecord


@pytest.mark.parametrize("answer", [500, 401, "rubbish", {"notice": {"title": "T"}}, {"notice": None}, {}])
async def test_a_notice_that_cannot_be_had_is_none(answer: object) -> None:
    """Nobody is told of a failure of what nobody asked for."""
    async with open_scene(make_record(), {SECURITY: answer}) as scene:
        assert (await scene.service.read_security_setup()).notice is None


async def test_a_slow_notice_is_none(autojump_clock: trio.testing.MockClock) -> None:
    """It is not waited for longer than three seconds."""
    async with open_scene(make_record(), {SECURITY: NOTICE}) as scene:
        scene.server.delays = {SECURITY: 4}
        start = trio.current_time()
        assert (await scene.service.read_security_setup()).notice is None
        assert trio.current_time() - start == pytest.approx(3)


OWN_SESSION = {
    "sessionId": "owner-1",
    "email": "ada@example.com",
    "userId": "user-1",
    "displayName": None,
    "imageUrl": None,
    "lastUsedAt": NOW,
    "isActive": True,
    "selectedWorkspaceAccountId": "acct-1",
    "workspaces": [{"accountId": "acct-1", "name": None, "imageUrl": None, "kind": None}],
}
LIST = wire.AccountSessionsListParams()
LOOK = wire.AccountSessionsListParams(refresh_workspace_metadata=True)


@pytest.mark.parametrize(
    ("record", "change"),
    [
        (make_record(), {}),
        (make_record(owner=None), {"sessionId": "user-1"}),
        (make_record(account_id=None), {"selectedWorkspaceAccountId": None, "workspaces": []}),
    ],
)
async def test_the_login_is_the_one_session(
    record: AuthRecord, change: dict[str, object], autojump_clock: trio.testing.MockClock
) -> None:
    """It is known by its owner id, used this very second, and told without asking the backend."""
    async with open_scene(record) as scene:
        answer = see(await scene.service.list_sessions(LIST))
        session = OWN_SESSION | change
        assert answer == {"activeSessionId": session["sessionId"], "sessions": [session]}
        assert scene.server.seen == []


@pytest.mark.parametrize(
    "record",
    [
        None,
        api_key_record(Secret("sk")),
        external_record(make_jwt(), "acct-1", None),
        make_record(chatgpt_user_id=None),
    ],
    ids=["nobody", "key", "external", "no user id"],
)
@pytest.mark.parametrize("params", [LIST, LOOK])
async def test_without_a_login_of_ours_there_is_no_session(
    record: AuthRecord | None, params: wire.AccountSessionsListParams
) -> None:
    """Nobody is asked for authentication here; the list is empty."""
    async with open_scene(None) as scene:
        await use(scene, record)
        assert await scene.service.list_sessions(params) == wire.AccountSessionsResponse(None, ())
        assert scene.server.seen == []


async def test_a_look_at_the_backend_tells_the_workspaces() -> None:
    """Then, and not at the next time without a look, all workspaces are listed with their names."""
    async with open_scene(make_record(), {ACCOUNTS: WORKSPACES}) as scene:
        [session] = see(await scene.service.list_sessions(LOOK))["sessions"]
        assert [workspace["name"] for workspace in session["workspaces"]] == ["Mine", None]
        [session] = see(await scene.service.list_sessions(LIST))["sessions"]
        assert session["workspaces"] == OWN_SESSION["workspaces"]


@pytest.mark.parametrize("answer", [500, 401, 404, {"accounts": None}, {"accounts": [{"id": 5}]}])
async def test_a_look_that_fails(answer: object) -> None:
    """The peer's text quotes nothing of the answer."""
    async with open_scene(make_record(), {ACCOUNTS: answer}) as scene:
        with pytest.raises(RequestFailed, match=r"^Failed to fetch workspace metadata$"):
            await scene.service.list_sessions(LOOK)


async def test_a_look_has_thirty_seconds(autojump_clock: trio.testing.MockClock) -> None:
    """After them a client is told so."""
    async with open_scene(make_record(), {ACCOUNTS: WORKSPACES}) as scene:
        scene.server.delays = {ACCOUNTS: 31}
        start = trio.current_time()
        with pytest.raises(RequestFailed, match=r"^Workspace metadata request timed out$"):
            await scene.service.list_sessions(LOOK)
        assert trio.current_time() - start == pytest.approx(30)


@pytest.mark.parametrize(
    ("newer", "is_same"),
    [
        (make_record(jti="refreshed"), True),
        (make_record("acct-2", "owner-2", chatgpt_user_id="user-2"), False),
        (make_record(owner="owner-2"), False),
        (api_key_record(Secret("sk")), False),
    ],
    ids=["refreshed", "another account", "another login", "key"],
)
async def test_an_account_that_changes_meanwhile_is_not_mixed_up(newer: AuthRecord, is_same: bool) -> None:
    """What was fetched for one login is told of that one alone; a refresh makes it no other."""
    async with open_scene(make_record(), {SECURITY: NOTICE, ACCOUNTS: WORKSPACES}) as scene:
        scene.server.meanwhile = lambda: scene.world.account.commit(newer, announce=lambda: None)
        assert ((await scene.service.read_security_setup()).notice is not None) == is_same
        await scene.world.account.commit(make_record(), announce=lambda: None)
        if is_same:
            assert (await scene.service.list_sessions(LOOK)).active_session_id == "owner-1"
        else:
            with pytest.raises(RequestFailed, match=r"^Authentication changed while listing account sessions$"):
                await scene.service.list_sessions(LOOK)
