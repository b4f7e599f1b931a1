"""What is made of the backend's answers. The tables say what codex 0.169 was seen to make of them."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.errors import InvalidRequest, RemoteRefused
from accountd.protocol import payloads, rate_limits
from accountd.protocol import usage as wire
from accountd.protocol.thread_id import parse_thread_id

THREAD = "db8e4ae9-01bb-48dd-a77c-64ae6ed0d35a"
WINDOW = {"used_percent": 42, "limit_window_seconds": 18000, "reset_after_seconds": 120, "reset_at": 1000}
LIMIT = {"allowed": True, "limit_reached": False, "primary_window": WINDOW}
CREDIT = {
    "id": "c1",
    "reset_type": "codex_rate_limits",
    "status": "available",
    "granted_at": "2026-01-02T03:04:05Z",
    "expires_at": "2026-02-02T03:04:05.5+02:00",
    "title": "T",
    "description": "D",
}
GROUP = {
    "model": "m",
    "reasoning_effort": "high",
    "speed": "fast",
    "estimated_usage_credits_micros": 1,
    "net_new_input_tokens": 2,
    "cached_input_tokens": 3,
    "input_tokens": 4,
    "output_tokens": 5,
    "total_tokens": 6,
}
THREAD_USAGE = {
    "thread_id": THREAD,
    "estimated_usage_credits_micros": 5,
    "estimated_usage_usd_micros": 6,
    "native_usage_usd_micros": 7,
    "groups": [GROUP],
}
MESSAGE = {
    "message_id": "m1",
    "message_type": "headline",
    "message_body": "b",
    "created_at": "2026-01-02T03:04:05Z",
    "archived_at": "2026-01-02T03:04:06+01:00",
}


def decode(payload: object, wanted: type[Any]) -> Any:
    """Decode as the backend's adapter does."""
    return msgspec.json.decode(json.dumps(payload), type=wanted)


def prune(value: Any) -> Any:
    """Show a message without its nulls."""
    if isinstance(value, msgspec.Struct):
        value = see(value)
    if isinstance(value, dict):
        return {key: prune(member) for key, member in value.items() if member is not None}
    return [prune(member) for member in value] if isinstance(value, list) else value


def see(value: object) -> Any:
    """Show a message as a client sees it."""
    return json.loads(msgspec.json.encode(value))


def read(**usage: object) -> dict[str, Any]:
    """Make the answer about rate limits of a usage payload, which is not the asking account's."""
    payload = decode({"plan_type": "pro"} | usage, rate_limits.UsagePayload)
    answer: dict[str, Any] = prune(rate_limits.render_rate_limits(payload, None, is_owner=False))
    return answer


def snapshot(**usage: object) -> dict[str, Any]:
    """Make the ordinary snapshot of a usage payload."""
    found: dict[str, Any] = read(**usage)["rateLimits"]
    return found


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ("free", "free"),
        ("self_serve_business_usage_based", "self_serve_business_usage_based"),
        ("education", "edu"),
        ("hc", "unknown"),
        ("guest", "unknown"),
        ("free_workspace", "unknown"),
        ("quorum", "unknown"),
        ("k12", "unknown"),
        ("PRO", "unknown"),
        ("tomorrow's", "unknown"),
        ("", "unknown"),
        (None, None),
    ],
)
def test_a_plan_that_clients_do_not_know_is_unknown(plan: str | None, told: str | None) -> None:
    """Of other names only `education` is another plan's, and unlike in a token `hc` is not."""
    assert snapshot(plan_type=plan).get("planType") == told


def test_every_field_is_told_though_it_be_null() -> None:
    """A client finds each member of the schema in an answer that says next to nothing."""
    payload = decode({"plan_type": "pro"}, rate_limits.UsagePayload)
    answer = see(rate_limits.render_rate_limits(payload, None, is_owner=False))
    limits = {
        "limitId": "codex",
        "limitName": None,
        "normalModelSlug": None,
        "primary": None,
        "secondary": None,
        "credits": None,
        "individualLimit": None,
        "spendControlReached": None,
        "planType": "pro",
        "rateLimitReachedType": None,
    }
    assert answer == {
        "rateLimits": limits,
        "rateLimitsByLimitId": {"codex": limits},
        "rateLimitResetCredits": None,
        "accountId": None,
        "ordinaryUsageAllowed": None,
        "rateLimitUpsell": None,
    }


@pytest.mark.parametrize(
    ("seconds", "minutes"),
    [
        (18000, 300),
        (1, 1),
        (60, 1),
        (61, 2),
        (119, 2),
        (2147483647, 35791395),
        (0, None),
        (-5, None),
        (None, None),
    ],
)
def test_a_window_is_as_long_as_its_minutes_rounded_up(seconds: int | None, minutes: int | None) -> None:
    """A window without a length, or with one that makes no sense, has none."""
    limit = LIMIT | {"primary_window": WINDOW | {"limit_window_seconds": seconds}}
    assert snapshot(rate_limit=limit)["primary"].get("windowDurationMins") == minutes


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        ({"rate_limit": None, "credits": None, "additional_rate_limits": None, "spend_control": None}, {}),
        ({"rate_limit": LIMIT | {"primary_window": None, "secondary_window": None}}, {}),
        (
            {"rate_limit": {"secondary_window": {"used_percent": 150}}},
            {"secondary": {"usedPercent": 150}},
        ),
        (
            {"rate_limit": {"primary_window": WINDOW | {"used_percent": -5, "reset_at": 0}}},
            {"primary": {"usedPercent": -5, "windowDurationMins": 300, "resetsAt": 0}},
        ),
        (
            {"credits": {"has_credits": True, "unlimited": False, "balance": "9.5", "approx_local_messages": [1]}},
            {"credits": {"hasCredits": True, "unlimited": False, "balance": "9.5"}},
        ),
        (
            {"credits": {"has_credits": True, "unlimited": True}},
            {"credits": {"hasCredits": True, "unlimited": True}},
        ),
        ({"spend_control": {"reached": False, "individual_limit": None}}, {"spendControlReached": False}),
        (
            {
                "spend_control": {
                    "reached": True,
                    "individual_limit": {
                        "limit": "100",
                        "used": "20",
                        "remaining": "80",
                        "remaining_percent": 80,
                        "reset_at": 5,
                    },
                }
            },
            {
                "spendControlReached": True,
                "individualLimit": {"limit": "100", "used": "20", "remainingPercent": 80, "resetsAt": 5},
            },
        ),
        (
            {"rate_limit_reached_type": {"type": "workspace_member_usage_limit_reached", "details": "x"}},
            {"rateLimitReachedType": "workspace_member_usage_limit_reached"},
        ),
        ({"rate_limit_reached_type": {"type": "something_new"}}, {}),
        ({"normal_model_slug": "only of additional limits"}, {}),
    ],
)
def test_the_ordinary_snapshot(usage: dict[str, object], told: dict[str, object]) -> None:
    """Windows, credits, spending and what stands in the way are told; what is unknown is null."""
    assert snapshot(**usage) == {"limitId": "codex", "planType": "pro"} | told


def test_other_limits_have_snapshots_of_their_own() -> None:
    """They are found by the feature that is metered, and have windows and a name and nothing else."""
    other = {"limit_name": "Five", "metered_feature": "five", "normal_model_slug": "m", "rate_limit": LIMIT}
    answer = read(
        rate_limit=LIMIT,
        credits={"has_credits": True, "unlimited": False},
        rate_limit_reached_type={"type": "rate_limit_reached"},
        additional_rate_limits=[other, {"metered_feature": "six"}],
    )
    assert answer["rateLimits"] == answer["rateLimitsByLimitId"].pop("codex")
    assert answer["rateLimitsByLimitId"] == {
        "five": {
            "limitId": "five",
            "limitName": "Five",
            "normalModelSlug": "m",
            "planType": "pro",
            "primary": {"usedPercent": 42, "windowDurationMins": 300, "resetsAt": 1000},
        },
        "six": {"limitId": "six", "planType": "pro"},
    }


def test_of_two_limits_with_one_name_the_later_is_found() -> None:
    """One that calls itself `codex` is found by that name, and yet is not the ordinary one."""
    answer = read(additional_rate_limits=[{"metered_feature": "codex", "limit_name": name} for name in "ab"])
    assert "limitName" not in answer["rateLimits"]
    assert answer["rateLimitsByLimitId"]["codex"]["limitName"] == "b"


@pytest.mark.parametrize(
    ("limit", "allowed"),
    [
        (LIMIT, True),
        (LIMIT | {"limit_reached": True}, True),
        (LIMIT | {"allowed": False}, False),
        (LIMIT | {"allowed": None}, None),
        (None, None),
    ],
)
def test_only_the_owner_is_told_what_steers_a_client(limit: object, allowed: bool | None) -> None:
    """Whether ordinary usage goes on, and the upsell as it came, are for the account that asked."""
    upsell = {"snake_case": [1, {"kept": None}]}
    usage: dict[str, Any] = {"account_id": "a", "rate_limit": limit, "rate_limit_upsell": upsell}
    payload = decode(usage, rate_limits.UsagePayload)
    answer = rate_limits.render_rate_limits(payload, None, is_owner=True)
    assert (answer.ordinary_usage_allowed, answer.rate_limit_upsell) == (allowed, upsell)
    answer = rate_limits.render_rate_limits(payload, None, is_owner=False)
    assert (answer.account_id, answer.ordinary_usage_allowed, answer.rate_limit_upsell) == ("a", None, None)


def test_reset_credits_are_told_in_detail_or_counted() -> None:
    """Details go before the usage's own count, whatever that is; without them there is the count."""
    payload = decode({"rate_limit_reset_credits": {"available_count": 2}}, rate_limits.UsagePayload)
    details = decode({"available_count": 1, "credits": [CREDIT]}, rate_limits.ResetCreditsPayload)
    resets = rate_limits.render_reset_credits(details)
    assert see(resets) == {
        "availableCount": 1,
        "credits": [
            {
                "id": "c1",
                "resetType": "codexRateLimits",
                "status": "available",
                "grantedAt": 1767323045,
                "expiresAt": 1769994245,
                "title": "T",
                "description": "D",
            }
        ],
    }
    answer = rate_limits.render_rate_limits(payload, resets, is_owner=False)
    assert answer.rate_limit_reset_credits == resets
    answer = rate_limits.render_rate_limits(payload, None, is_owner=False)
    assert answer.rate_limit_reset_credits == wire.RateLimitResetCreditsSummary(2, None)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"reset_type": "another"}, {"resetType": "unknown"}),
        ({"reset_type": "codexRateLimits"}, {"resetType": "unknown"}),
        ({"status": "redeeming"}, {"status": "redeeming"}),
        ({"status": "AVAILABLE"}, {"status": "unknown"}),
        ({"expires_at": None, "title": None, "description": None}, {}),
    ],
)
def test_words_of_a_reset_credit_that_clients_do_not_know(
    change: dict[str, object], told: dict[str, object]
) -> None:
    """Kinds and states are told by the clients' own words, or as unknown."""
    payload = decode({"available_count": 1, "credits": [CREDIT | change]}, rate_limits.ResetCreditsPayload)
    [credit] = prune(rate_limits.render_reset_credits(payload))["credits"]
    assert credit.items() >= told.items()
    assert {"title", "description", "expiresAt"}.isdisjoint(credit) == ("title" in change)


@pytest.mark.parametrize("code", ["reset", "nothing_to_reset", "no_credit", "already_redeemed"])
def test_every_outcome_of_a_reset_has_a_word(code: str) -> None:
    """Each code of the backend is one of the outcomes that clients know, in their spelling."""
    payload = decode({"code": code, "windows_reset": 1}, rate_limits.ConsumePayload)
    words = code.split("_")
    assert rate_limits.OUTCOMES[payload.code] == words[0] + "".join(word.title() for word in words[1:])


def test_token_usage_is_told_as_far_as_it_is_known() -> None:
    """Each total may be missing; no days are something else than days that are not told."""
    stats = {
        "lifetime_tokens": 1 << 40,
        "peak_daily_tokens": 2,
        "longest_running_turn_sec": 3,
        "current_streak_days": 4,
        "longest_streak_days": None,
        "daily_usage_buckets": [{"start_date": "any text", "tokens": 7}],
        "unknown": [],
    }
    answer = payloads.render_token_usage(decode({"stats": stats}, payloads.ProfilePayload))
    assert see(answer) == {
        "summary": {
            "lifetimeTokens": 1 << 40,
            "peakDailyTokens": 2,
            "longestRunningTurnSec": 3,
            "currentStreakDays": 4,
            "longestStreakDays": None,
        },
        "dailyUsageBuckets": [{"startDate": "any text", "tokens": 7}],
        "threadUsage": None,
    }
    nothing = payloads.render_token_usage(decode({"stats": {}}, payloads.ProfilePayload))
    assert prune(nothing) == {"summary": {}}
    no_days = decode({"stats": {"daily_usage_buckets": []}}, payloads.ProfilePayload)
    assert payloads.render_token_usage(no_days).daily_usage_buckets == ()


def test_the_usage_of_a_thread() -> None:
    """Costs are told in millionths, and by the ways of running."""
    answer = payloads.render_thread_usage(decode({"threads": [THREAD_USAGE]}, payloads.ThreadsPayload), THREAD)
    assert see(answer) == {
        "threadId": THREAD,
        "estimatedUsageCreditsMicros": 5,
        "estimatedUsageUsdMicros": 6,
        "nativeUsageUsdMicros": 7,
        "groups": [
            {
                "model": "m",
                "reasoningEffort": "high",
                "speed": "fast",
                "estimatedUsageCreditsMicros": 1,
                "netNewInputTokens": 2,
                "cachedInputTokens": 3,
                "inputTokens": 4,
                "outputTokens": 5,
                "totalTokens": 6,
            }
        ],
    }
    bare = {"thread_id": THREAD, "estimated_usage_credits_micros": 0, "groups": None}
    answer = payloads.render_thread_usage(decode({"threads": [bare]}, payloads.ThreadsPayload), THREAD)
    assert prune(answer) == {"threadId": THREAD, "estimatedUsageCreditsMicros": 0, "groups": []}


@pytest.mark.parametrize(
    ("threads", "text"),
    [
        ([], "thread usage response omitted requested thread"),
        (
            [THREAD_USAGE | {"estimated_usage_credits_micros": None}],
            "thread usage response omitted requested thread",
        ),
        ([THREAD_USAGE, THREAD_USAGE], "thread usage returned unexpected threads"),
        ([THREAD_USAGE, THREAD_USAGE | {"thread_id": "another"}], "thread usage returned unexpected threads"),
        ([THREAD_USAGE | {"thread_id": THREAD.upper()}], "thread usage returned unexpected threads"),
    ],
)
def test_the_thread_that_was_asked_for_and_no_other(threads: list[object], text: str) -> None:
    """Exactly the thread that was asked for is taken, spelled as it was asked."""
    with pytest.raises(RemoteRefused) as caught:
        payloads.render_thread_usage(decode({"threads": threads}, payloads.ThreadsPayload), THREAD)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "text", [THREAD, THREAD.upper(), THREAD.replace("-", ""), "{" + THREAD + "}", "urn:uuid:" + THREAD]
)
def test_a_thread_is_asked_for_in_one_spelling(text: str) -> None:
    """Capitals, braces, a URN and leaving out the hyphens are the same id."""
    assert parse_thread_id(text) == THREAD


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x", "character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `x` at 1"),
        (
            THREAD.replace("-", "_"),
            "character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `_` at 9",
        ),
        (
            "{" + THREAD,
            "character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `{` at 1",
        ),
        (
            "{" + THREAD[:-1] + "é}",
            "character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `é` at 36",
        ),
        ("", "length: expected length 32 for simple format, found 0"),
        ("a" * 33, "length: expected length 32 for simple format, found 33"),
        (THREAD[:-1], "group length in group 4: expected 12, found 11"),
        ("d" + THREAD, "group length in group 0: expected 8, found 9"),
        ("db8e4ae9-01bb48dd-a77c-64ae6ed0d35a-", "group length in group 1: expected 4, found 8"),
        ("db8e4ae9-01bb-48dd-a77c64ae6ed0d35a", "group count: expected 5, found 4"),
        ("{" + THREAD.replace("-", "") + "}", "group count: expected 5, found 1"),
    ],
)
def test_what_is_no_id_of_a_thread_is_told_why(text: str, reason: str) -> None:
    """The first fault is named, with what was found there."""
    with pytest.raises(InvalidRequest) as caught:
        parse_thread_id(text)
    assert str(caught.value) == f"invalid thread id: invalid {reason}"


@given(st.text(alphabet="aF0-{}urn:idg", max_size=50))
def test_an_id_is_spelled_well_or_refused(text: str) -> None:
    """Whatever is asked for, it is a well-spelled id or an InvalidRequest."""
    try:
        spelled = parse_thread_id(text)
    except InvalidRequest:
        return
    assert [len(group) for group in spelled.split("-")] == [8, 4, 4, 4, 12]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, {}),
        ({"message_type": "announcement"}, {"messageType": "announcement"}),
        ({"message_type": "Headline"}, {"messageType": "unknown"}),
        ({"created_at": None, "archived_at": None}, {"createdAt": None, "archivedAt": None}),
        ({"created_at": "2026-01-02 03:04:05.999Z"}, {}),
        ({"created_at": "1969-12-31T23:59:59.5Z"}, {"createdAt": -1}),
    ],
)
def test_messages_have_times_in_seconds(change: dict[str, object], told: dict[str, object]) -> None:
    """Times are told as Unix seconds, rounded down, and kinds by the clients' own words."""
    answer = payloads.render_messages(decode({"messages": [MESSAGE | change]}, payloads.MessagesPayload))
    usual = {
        "messageId": "m1",
        "messageType": "headline",
        "messageBody": "b",
        "createdAt": 1767323045,
        "archivedAt": 1767319446,
    }
    assert see(answer) == {"featureEnabled": True, "messages": [usual | told]}


@pytest.mark.parametrize("payload", [{}, {"messages": []}, {"messages": None}, {"items": [MESSAGE]}])
def test_no_messages_are_no_fault(payload: dict[str, object]) -> None:
    """A workspace may have nothing to say."""
    answer = payloads.render_messages(decode(payload, payloads.MessagesPayload))
    assert answer == wire.GetWorkspaceMessagesResponse(feature_enabled=True)


@pytest.mark.parametrize("text", ["", "soon", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z"])
def test_a_time_that_is_none_is_quoted(text: str) -> None:
    """A time needs a date, a time of day and an offset."""
    with pytest.raises(RemoteRefused, match=rf"^`{text}`: "):
        payloads.parse_time(text)


LISTED: list[object] = [{"id": "a", "name": "A", "structure": "personal"}, {"id": "b", "structure": "team"}]


@pytest.mark.parametrize(
    ("payload", "ids"),
    [
        ({"accounts": LISTED}, ["a", "b"]),
        ({"accounts": LISTED, "account_ordering": ["b", "gone", "a"]}, ["b", "a"]),
        ({"accounts": LISTED, "account_ordering": ["b", "b"]}, ["b", "a"]),
        ({"accounts": [{"name": "nameless"}]}, []),
        ({}, []),
        (
            {
                "accounts": {key: {"account": {"account_id": key}} for key in "abc"},
                "account_ordering": ["c", "gone", "a"],
            },
            ["c", "a"],
        ),
        ({"accounts": {"key": {"account": {"account_id": "a"}}}, "account_ordering": ["key"]}, ["a"]),
        ({"accounts": {"a": {"account": {"id": "a"}}}, "account_ordering": ["a"]}, []),
        ({"accounts": {"a": {"account": {"account_id": "a"}}}}, []),
    ],
)
def test_workspaces_come_in_the_backends_order(payload: dict[str, object], ids: list[str]) -> None:
    """A list has all of them, those that are ordered first; a map has those alone that are ordered."""
    workspaces = payloads.render_workspaces(decode(payload, payloads.AccountsPayload))
    assert [workspace.account_id for workspace in workspaces] == ids


def test_a_workspace_is_told_with_name_picture_and_kind() -> None:
    """A structure that is neither a person's nor a workspace's is no kind."""
    picture = "https://pictures.example/a.png"
    listed = [{"id": "a", "name": "A", "structure": "personal", "profile_picture_url": picture}, LISTED[1]]
    workspaces = payloads.render_workspaces(decode({"accounts": listed}, payloads.AccountsPayload))
    assert see(workspaces) == [
        {"accountId": "a", "name": "A", "imageUrl": picture, "kind": "personal"},
        {"accountId": "b", "name": None, "imageUrl": None, "kind": None},
    ]


@pytest.mark.parametrize(
    ("payload", "wanted"),
    [
        ({"rate_limit": {"primary_window": {}}}, rate_limits.UsagePayload),
        ({"rate_limit": {"primary_window": {"used_percent": 1.5}}}, rate_limits.UsagePayload),
        ({"rate_limit": {"primary_window": {"used_percent": 1 << 31}}}, rate_limits.UsagePayload),
        ({"credits": {"has_credits": True}}, rate_limits.UsagePayload),
        ({"rate_limit_reset_credits": {}}, rate_limits.UsagePayload),
        ({"available_count": 1}, rate_limits.ResetCreditsPayload),
        ({"code": "something_new"}, rate_limits.ConsumePayload),
        ({}, payloads.ProfilePayload),
        ({"stats": {"lifetime_tokens": 1 << 63}}, payloads.ProfilePayload),
        ({"threads": [{"groups": [{}]}]}, payloads.ThreadsPayload),
        ({"messages": [{"message_id": "m"}]}, payloads.MessagesPayload),
        ({"notice": {"title": "T", "description": "D"}}, payloads.SecuritySetupPayload),
        ({"accounts": "all"}, payloads.AccountsPayload),
    ],
)
def test_what_a_message_cannot_do_without_is_required(payload: object, wanted: type[Any]) -> None:
    """Where a client's type needs a value, an answer without it is not understood; nor is one that does not fit."""
    with pytest.raises(msgspec.ValidationError):
        decode(payload, wanted)


WHOLE: dict[type[Any], Any] = {
    rate_limits.UsagePayload: {
        "plan_type": "pro",
        "account_id": "a",
        "user_id": "u",
        "rate_limit": LIMIT | {"secondary_window": WINDOW},
        "credits": {"has_credits": True, "unlimited": False, "balance": "1"},
        "spend_control": {
            "reached": True,
            "individual_limit": {"limit": "1", "used": "0", "remaining_percent": 100, "reset_at": 5},
        },
        "rate_limit_reached_type": {"type": "rate_limit_reached"},
        "additional_rate_limits": [{"metered_feature": "five", "limit_name": "Five", "rate_limit": LIMIT}],
        "rate_limit_reset_credits": {"available_count": 1},
        "rate_limit_upsell": {"any": ["thing"]},
    },
    rate_limits.ResetCreditsPayload: {"available_count": 1, "credits": [CREDIT, CREDIT]},
    payloads.ProfilePayload: {
        "stats": {"lifetime_tokens": 1, "daily_usage_buckets": [{"start_date": "d", "tokens": 1}]}
    },
    payloads.ThreadsPayload: {"threads": [THREAD_USAGE]},
    payloads.MessagesPayload: {"messages": [MESSAGE, MESSAGE]},
    payloads.AccountsPayload: {"accounts": LISTED, "account_ordering": ["b", "a"]},
}
RENDER: dict[type[Any], Callable[[Any], object]] = {
    rate_limits.UsagePayload: lambda usage: rate_limits.render_rate_limits(usage, None, is_owner=True),
    rate_limits.ResetCreditsPayload: rate_limits.render_reset_credits,
    payloads.ProfilePayload: payloads.render_token_usage,
    payloads.ThreadsPayload: lambda threads: payloads.render_thread_usage(threads, THREAD),
    payloads.MessagesPayload: payloads.render_messages,
    payloads.AccountsPayload: payloads.render_workspaces,
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def spoiled(draw: st.DrawFn, value: Any) -> Any:
    """Put anything in one place of a whole payload, however deep."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value)))
        return value | {key: draw(spoiled(value[key]))}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], draw(spoiled(value[place])), *value[place + 1 :]]
    return draw(ANYTHING)


@pytest.mark.parametrize("wanted", list(WHOLE), ids=lambda wanted: wanted.__name__)
@given(st.data())
def test_any_payload_is_told_or_refused(wanted: type[Any], data: st.DataObject) -> None:
    """Whatever stands anywhere in an answer, it becomes one line of JSON, or it is a foreseen refusal."""
    try:
        payload = decode(data.draw(spoiled(WHOLE[wanted])), wanted)
        answer = RENDER[wanted](payload)
    except (msgspec.ValidationError, RemoteRefused):
        return
    assert b"\n" not in msgspec.json.encode(answer)


@given(st.datetimes(), st.sampled_from(["Z", "+14:00", "-14:00", "+23:59", ""]), st.text(max_size=2))
def test_any_time_is_a_number_or_refused(time: datetime.datetime, offset: str, tail: str) -> None:
    """From the first year to the last, with any offset, nothing overflows."""
    with contextlib.suppress(RemoteRefused):
        assert isinstance(payloads.parse_time(f"{time.isoformat()}{offset}{tail}"), int)
