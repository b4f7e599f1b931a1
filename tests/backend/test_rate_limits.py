"""What is made of the backend's limits and reset credits. The tables are what codex 0.169 was seen to do."""

from __future__ import annotations

from typing import Any

import pytest

from accountd.backend import rate_limits
from accountd.protocol import usage as wire
from fakes.payloads import CREDIT, LIMIT, WINDOW, decode, prune, see


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
