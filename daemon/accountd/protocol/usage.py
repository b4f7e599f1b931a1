"""The messages about what the backend knows of the account: a frozen Struct for each params and result.

The names are those of the peer's published schema. How they are made of the backend's own payloads is in
`backend.payloads`. Times are Unix seconds.
"""

from __future__ import annotations

from typing import Any, Literal

from accountd.codex.plans import PlanType
from accountd.protocol.account import Wire

ReachedType = Literal[
    "rate_limit_reached",
    "workspace_owner_credits_depleted",
    "workspace_member_credits_depleted",
    "workspace_owner_usage_limit_reached",
    "workspace_member_usage_limit_reached",
]
ResetType = Literal["codexRateLimits", "unknown"]
ResetStatus = Literal["available", "redeeming", "redeemed", "unknown"]
ResetOutcome = Literal["reset", "nothingToReset", "noCredit", "alreadyRedeemed"]
MessageType = Literal["headline", "announcement", "unknown"]


# account/rateLimits/read


class GetAccountRateLimitsParams(Wire, frozen=True):
    """`account/rateLimits/read`; null means all defaults."""

    exclude_reset_credit_details: bool = False
    supports_luna_reserve: bool = False


class RateLimitWindow(Wire, frozen=True):
    """How much of a stretch of time is used up. Percent may be more than a hundred."""

    used_percent: int
    window_duration_mins: int | None
    resets_at: int | None


class CreditsSnapshot(Wire, frozen=True):
    """What was bought beside the plan. `balance` is a decimal number."""

    has_credits: bool
    unlimited: bool
    balance: str | None


class SpendControlLimitSnapshot(Wire, frozen=True):
    """What an organisation lets this person spend. `limit` and `used` are decimal numbers."""

    limit: str
    used: str
    remaining_percent: int
    resets_at: int


class RateLimitSnapshot(Wire, frozen=True):
    """One limit; the ordinary one is called `codex`."""

    limit_id: str
    plan_type: PlanType | None
    limit_name: str | None = None
    normal_model_slug: str | None = None
    primary: RateLimitWindow | None = None
    secondary: RateLimitWindow | None = None
    credits: CreditsSnapshot | None = None
    individual_limit: SpendControlLimitSnapshot | None = None
    spend_control_reached: bool | None = None
    rate_limit_reached_type: ReachedType | None = None


class RateLimitResetCredit(Wire, frozen=True):
    """A right to have the windows begin anew, once."""

    id: str
    reset_type: ResetType
    status: ResetStatus
    granted_at: int
    expires_at: int | None
    title: str | None
    description: str | None


class RateLimitResetCreditsSummary(Wire, frozen=True):
    """`credits` is null when only their number is known, and may hold fewer than that."""

    available_count: int
    credits: tuple[RateLimitResetCredit, ...] | None = None


class GetAccountRateLimitsResponse(Wire, frozen=True):
    """`account/rateLimits/read`. `rate_limits` is the `codex` snapshot, for clients that know of one alone.

    `rate_limit_upsell` is the backend's own, and passed on as it is.
    """

    rate_limits: RateLimitSnapshot
    rate_limits_by_limit_id: dict[str, RateLimitSnapshot]
    rate_limit_reset_credits: RateLimitResetCreditsSummary | None
    account_id: str | None
    ordinary_usage_allowed: bool | None = None
    rate_limit_upsell: Any = None


# account/rateLimitResetCredit/consume


class ConsumeAccountRateLimitResetCreditParams(Wire, frozen=True):
    """`account/rateLimitResetCredit/consume`: the same key again is the same attempt again."""

    idempotency_key: str
    credit_id: str | None = None


class ConsumeAccountRateLimitResetCreditResponse(Wire, frozen=True):
    """`account/rateLimitResetCredit/consume`."""

    outcome: ResetOutcome


# account/usage/read


class GetAccountTokenUsageParams(Wire, frozen=True):
    """`account/usage/read`, of the account or of one thread; null means of the account."""

    thread_id: str | None = None


class AccountTokenUsageSummary(Wire, frozen=True):
    """Records and totals, as far as they are known."""

    lifetime_tokens: int | None = None
    peak_daily_tokens: int | None = None
    longest_running_turn_sec: int | None = None
    current_streak_days: int | None = None
    longest_streak_days: int | None = None


class AccountTokenUsageDailyBucket(Wire, frozen=True):
    """The tokens of one day."""

    start_date: str
    tokens: int


class ThreadUsageBreakdownGroup(Wire, frozen=True):
    """The part of a thread's usage that one way of running had. Micros are millionths."""

    estimated_usage_credits_micros: int
    model: str | None = None
    reasoning_effort: str | None = None
    speed: str | None = None
    net_new_input_tokens: int | None = None
    cached_input_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None


class ThreadUsage(Wire, frozen=True):
    """What a thread has cost so far. Micros are millionths."""

    thread_id: str
    estimated_usage_credits_micros: int
    estimated_usage_usd_micros: int | None
    native_usage_usd_micros: int | None
    groups: tuple[ThreadUsageBreakdownGroup, ...]


class GetAccountTokenUsageResponse(Wire, frozen=True):
    """`account/usage/read`: of the account, or else `thread_usage`, which is null if the backend keeps none."""

    summary: AccountTokenUsageSummary = AccountTokenUsageSummary()
    daily_usage_buckets: tuple[AccountTokenUsageDailyBucket, ...] | None = None
    thread_usage: ThreadUsage | None = None


# account/workspaceMessages/read


class WorkspaceMessage(Wire, frozen=True):
    """What a workspace's owner wants its people to see."""

    message_id: str
    message_type: MessageType
    message_body: str
    created_at: int | None
    archived_at: int | None


class GetWorkspaceMessagesResponse(Wire, frozen=True):
    """`account/workspaceMessages/read`. `feature_enabled` is false for a backend that has no such thing."""

    feature_enabled: bool
    messages: tuple[WorkspaceMessage, ...] = ()


# account/sendAddCreditsNudgeEmail


class SendAddCreditsNudgeEmailParams(Wire, frozen=True):
    """`account/sendAddCreditsNudgeEmail`: what the workspace's owner is asked for."""

    credit_type: Literal["credits", "usage_limit"]


class SendAddCreditsNudgeEmailResponse(Wire, frozen=True):
    """`account/sendAddCreditsNudgeEmail`."""

    status: Literal["sent", "cooldown_active"]


# account/securitySetup/read


class AccountSecuritySetupAction(Wire, frozen=True):
    """What the person can do about it, and where."""

    label: str
    url: str


class AccountSecuritySetupNotice(Wire, frozen=True):
    """A reminder for exactly this person in this workspace."""

    account_id: str
    user_id: str
    title: str
    description: str
    action: AccountSecuritySetupAction


class GetAccountSecuritySetupResponse(Wire, frozen=True):
    """`account/securitySetup/read`; null where there is nothing to remind of, or no way to know."""

    notice: AccountSecuritySetupNotice | None = None
