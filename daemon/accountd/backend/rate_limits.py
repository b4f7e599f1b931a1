"""What the backend answers about rate limits, and how `account/rateLimits/read` is made of it."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from accountd.backend.payloads import Int, Percent, parse_time, parse_word
from accountd.codex.plans import PlanType, parse_plan
from accountd.protocol import usage as wire

_CODEX: Final = "codex"


class WindowPayload(msgspec.Struct):
    """A stretch of time."""

    used_percent: Percent
    limit_window_seconds: Int | None = None
    reset_at: Int | None = None


class RateLimitPayload(msgspec.Struct):
    """The windows of one limit. `allowed`: whether ordinary usage goes on."""

    allowed: bool | None = None
    primary_window: WindowPayload | None = None
    secondary_window: WindowPayload | None = None


class AdditionalLimitPayload(msgspec.Struct):
    """A limit of its own for one feature."""

    metered_feature: str
    limit_name: str | None = None
    normal_model_slug: str | None = None
    rate_limit: RateLimitPayload | None = None


class CreditsPayload(msgspec.Struct):
    """What was bought beside the plan."""

    has_credits: bool
    unlimited: bool
    balance: str | None = None


class IndividualLimitPayload(msgspec.Struct):
    """What an organisation lets this person spend."""

    limit: str
    used: str
    remaining_percent: Percent
    reset_at: Int


class SpendControlPayload(msgspec.Struct):
    """Whether that is spent."""

    reached: bool | None = None
    individual_limit: IndividualLimitPayload | None = None


class ReachedTypePayload(msgspec.Struct):
    """Which limit stands in the way."""

    type: str | None = None


class ResetCreditsCountPayload(msgspec.Struct):
    """How many reset credits there are, without the credits."""

    available_count: Int


class UsagePayload(msgspec.Struct):
    """`usage`."""

    plan_type: str | None = None
    account_id: str | None = None
    user_id: str | None = None
    rate_limit: RateLimitPayload | None = None
    credits: CreditsPayload | None = None
    spend_control: SpendControlPayload | None = None
    rate_limit_reached_type: ReachedTypePayload | None = None
    additional_rate_limits: list[AdditionalLimitPayload] | None = None
    rate_limit_reset_credits: ResetCreditsCountPayload | None = None
    rate_limit_upsell: Any = None


class ResetCreditPayload(msgspec.Struct):
    """One reset credit. Times are RFC 3339."""

    id: str
    reset_type: str
    status: str
    granted_at: str
    expires_at: str | None = None
    title: str | None = None
    description: str | None = None


class ResetCreditsPayload(msgspec.Struct):
    """`rate-limit-reset-credits`."""

    available_count: Int
    credits: list[ResetCreditPayload]


class ConsumePayload(msgspec.Struct):
    """`rate-limit-reset-credits/consume`."""

    code: Literal["reset", "nothing_to_reset", "no_credit", "already_redeemed"]


OUTCOMES: Final[dict[str, wire.ResetOutcome]] = {
    "reset": "reset",
    "nothing_to_reset": "nothingToReset",
    "no_credit": "noCredit",
    "already_redeemed": "alreadyRedeemed",
}
"""What a client is told for each code of a ConsumePayload."""


def render_rate_limits(
    usage: UsagePayload, resets: wire.RateLimitResetCreditsSummary | None, *, is_owner: bool
) -> wire.GetAccountRateLimitsResponse:
    """Make the answer. `resets` are the reset credits in detail, if they are known.

    `is_owner`: the usage is that of the account which asked, and may steer what its clients offer.
    """
    plan = _name_plan(usage.plan_type)
    spend = usage.spend_control or SpendControlPayload()
    reached = usage.rate_limit_reached_type or ReachedTypePayload()
    ordinary = wire.RateLimitSnapshot(
        _CODEX,
        plan,
        **_render_windows(usage.rate_limit),
        credits=_render_credits(usage.credits),
        individual_limit=_render_individual_limit(spend.individual_limit),
        spend_control_reached=spend.reached,
        rate_limit_reached_type=parse_word(reached.type, wire.ReachedType, None),
    )
    others = [
        wire.RateLimitSnapshot(
            limit.metered_feature,
            plan,
            limit.limit_name,
            limit.normal_model_slug,
            **_render_windows(limit.rate_limit),
        )
        for limit in usage.additional_rate_limits or ()
    ]
    if resets is None and usage.rate_limit_reset_credits is not None:
        resets = wire.RateLimitResetCreditsSummary(usage.rate_limit_reset_credits.available_count)
    return wire.GetAccountRateLimitsResponse(
        rate_limits=ordinary,
        rate_limits_by_limit_id={limit.limit_id: limit for limit in (ordinary, *others)},
        rate_limit_reset_credits=resets,
        account_id=usage.account_id,
        ordinary_usage_allowed=usage.rate_limit.allowed if is_owner and usage.rate_limit else None,
        rate_limit_upsell=usage.rate_limit_upsell if is_owner else None,
    )


def _name_plan(plan: str | None) -> PlanType | None:
    # Of a token's claim Codex makes `hc` an enterprise; of the same word in a usage answer it makes nothing.
    return None if plan is None else parse_plan(plan if plan != "hc" else None)


def _render_windows(limit: RateLimitPayload | None) -> dict[str, Any]:
    if limit is None:
        return {}
    return {"primary": _render_window(limit.primary_window), "secondary": _render_window(limit.secondary_window)}


def _render_window(window: WindowPayload | None) -> wire.RateLimitWindow | None:
    if window is None:
        return None
    seconds = window.limit_window_seconds or 0
    return wire.RateLimitWindow(window.used_percent, -(-seconds // 60) if seconds > 0 else None, window.reset_at)


def _render_credits(bought: CreditsPayload | None) -> wire.CreditsSnapshot | None:
    if bought is None:
        return None
    return wire.CreditsSnapshot(bought.has_credits, bought.unlimited, bought.balance)


def _render_individual_limit(limit: IndividualLimitPayload | None) -> wire.SpendControlLimitSnapshot | None:
    if limit is None:
        return None
    return wire.SpendControlLimitSnapshot(limit.limit, limit.used, limit.remaining_percent, limit.reset_at)


def render_reset_credits(payload: ResetCreditsPayload) -> wire.RateLimitResetCreditsSummary:
    """Make the details of the reset credits. Raises RemoteRefused for a time that is none."""
    return wire.RateLimitResetCreditsSummary(
        payload.available_count,
        tuple(
            wire.RateLimitResetCredit(
                id=credit.id,
                reset_type="codexRateLimits" if credit.reset_type == "codex_rate_limits" else "unknown",
                status=parse_word(credit.status, wire.ResetStatus, "unknown"),
                granted_at=parse_time(credit.granted_at),
                expires_at=None if credit.expires_at is None else parse_time(credit.expires_at),
                title=credit.title,
                description=credit.description,
            )
            for credit in payload.credits
        ),
    )
