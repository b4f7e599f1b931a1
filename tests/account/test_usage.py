"""What the backend knows of the account: who may ask, what is told, and in which words it fails."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from accountd.errors import InvalidRequest, RequestFailed
from accountd.oauth.claims import parse_claims
from accountd.protocol import usage as wire
from accountd.sandbox import Fault, Script
from accountd.secret import Secret
from accountd.storage.base import AuthRecord, ChatgptLogin, api_key_record
from fakes.payloads import THREAD, see
from fakes.usage import CONSUME, MESSAGES, NUDGE, PROFILE, THREADS, USAGE, make_record, open_scene

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from accountd.account.usage import UsageService

    Read = Callable[[UsageService], Awaitable[Any]]

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
        await scene.world.services.accounts.log_in(AuthRecord("chatgpt", chatgpt=login), announce=lambda: None)
        scene.world.clock.jump(3600)
        with contextlib.suppress(RequestFailed):  # of a backend that has none of it
            await READS[name][0](scene.service)
        sent = {request.headers["authorization"].removeprefix("Bearer ") for request in scene.server.seen}
    assert [request.path for request in scene.world.sandbox.requests] == ["/oauth/token"]
    assert (sent == {issued.access_token.reveal()}) == (status is not None)


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


FAILED = "failed: 500 Internal Server Error; content-type=application/json; error=no"


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
