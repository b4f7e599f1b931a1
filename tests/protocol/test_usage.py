"""What is made of the backend's usage, messages and workspaces. The tables are what codex 0.169 was seen to do."""

from __future__ import annotations

import pytest

from accountd.backend import payloads
from accountd.errors import RemoteRefused
from accountd.protocol import usage as wire
from fakes.payloads import LISTED, MESSAGE, THREAD, THREAD_USAGE, decode, prune, see


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
