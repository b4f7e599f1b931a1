"""What the blocking client gives back, for the type checker: the protocol's JSON objects, as they come.

The same as the Structs of `protocol`, which the client on trio gives; these are dicts, because whoever blocks has
the standard library alone. Times are Unix seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from accountd.codex.plans import PlanType
    from accountd.protocol.account import AuthMode, RoutingOverride
    from accountd.protocol.accounts import ImportOutcome, State
    from accountd.protocol.sessions import WorkspaceKind


class ApiKeyAccount(TypedDict):
    """See protocol.account.ApiKeyAccount."""

    type: Literal["apiKey"]


class ChatgptAccount(TypedDict):
    """See protocol.account.ChatgptAccount."""

    type: Literal["chatgpt"]
    email: str | None
    planType: PlanType
    workspaceName: str | None


class WorkspaceRouting(TypedDict):
    """See protocol.account.WorkspaceRouting."""

    chatgptAccountId: str
    backendOrigin: str
    accountRoutingOverride: RoutingOverride


class GetAccountResponse(TypedDict):
    """See protocol.account.GetAccountResponse."""

    account: ApiKeyAccount | ChatgptAccount | None
    userId: str | None
    requiresOpenaiAuth: bool
    workspaceRouting: WorkspaceRouting | None


class GetAuthStatusResponse(TypedDict):
    """See protocol.account.GetAuthStatusResponse."""

    authMethod: Literal["apikey", "chatgpt", "chatgptAuthTokens"] | None
    authToken: str | None
    requiresOpenaiAuth: bool


class ReadStoreResponse(TypedDict):
    """See protocol.account.ReadStoreResponse."""

    kind: Literal["file", "keyring", "memory"]
    location: str
    note: str | None


class ReadTokenResponse(TypedDict):
    """See protocol.account.ReadTokenResponse."""

    authMode: Literal["apikey", "chatgpt", "chatgptAuthTokens"]
    token: str
    expiresAt: float | None
    chatgptAccountId: str | None
    planType: PlanType | None
    accountId: str | None


class AccountLoginProgress(TypedDict):
    """See protocol.account.AccountLoginProgress."""

    loginId: str
    type: Literal["chatgpt", "chatgptDeviceCode"]
    state: Literal["waiting", "exchanging", "committing"]
    startedAt: float
    expiresAt: float
    retries: int
    retryCause: str | None


class BrowserLoginStarted(TypedDict):
    """See protocol.account.BrowserLoginStarted."""

    type: Literal["chatgpt"]
    loginId: str
    authUrl: str


class DeviceCodeLoginStarted(TypedDict):
    """See protocol.account.DeviceCodeLoginStarted."""

    type: Literal["chatgptDeviceCode"]
    loginId: str
    verificationUrl: str
    userCode: str


class LoginWishes(TypedDict, total=False):
    """See protocol.account.LoginWishes."""

    activate: bool
    alias: str | None
    account: str | None


class LoginUnderWay(TypedDict):
    """See protocol.account.LoginUnderWay."""

    progress: AccountLoginProgress
    started: BrowserLoginStarted | DeviceCodeLoginStarted


class RateLimitWindow(TypedDict):
    """See protocol.usage.RateLimitWindow."""

    usedPercent: int
    windowDurationMins: int | None
    resetsAt: int | None


class CreditsSnapshot(TypedDict):
    """See protocol.usage.CreditsSnapshot."""

    hasCredits: bool
    unlimited: bool
    balance: str | None


class SpendControlLimitSnapshot(TypedDict):
    """See protocol.usage.SpendControlLimitSnapshot."""

    limit: str
    used: str
    remainingPercent: int
    resetsAt: int


class RateLimitSnapshot(TypedDict):
    """See protocol.usage.RateLimitSnapshot."""

    limitId: str
    planType: PlanType | None
    limitName: str | None
    normalModelSlug: str | None
    primary: RateLimitWindow | None
    secondary: RateLimitWindow | None
    credits: CreditsSnapshot | None
    individualLimit: SpendControlLimitSnapshot | None
    spendControlReached: bool | None
    rateLimitReachedType: (
        Literal[
            "rate_limit_reached",
            "workspace_owner_credits_depleted",
            "workspace_member_credits_depleted",
            "workspace_owner_usage_limit_reached",
            "workspace_member_usage_limit_reached",
        ]
        | None
    )


class RateLimitResetCredit(TypedDict):
    """See protocol.usage.RateLimitResetCredit."""

    id: str
    resetType: Literal["codexRateLimits", "unknown"]
    status: Literal["available", "redeeming", "redeemed", "unknown"]
    grantedAt: int
    expiresAt: int | None
    title: str | None
    description: str | None


class RateLimitResetCreditsSummary(TypedDict):
    """See protocol.usage.RateLimitResetCreditsSummary."""

    availableCount: int
    credits: list[RateLimitResetCredit] | None


class GetAccountRateLimitsResponse(TypedDict):
    """See protocol.usage.GetAccountRateLimitsResponse."""

    rateLimits: RateLimitSnapshot
    rateLimitsByLimitId: dict[str, RateLimitSnapshot]
    rateLimitResetCredits: RateLimitResetCreditsSummary | None
    accountId: str | None
    ordinaryUsageAllowed: bool | None
    rateLimitUpsell: Any


class AccountTokenUsageSummary(TypedDict):
    """See protocol.usage.AccountTokenUsageSummary."""

    lifetimeTokens: int | None
    peakDailyTokens: int | None
    longestRunningTurnSec: int | None
    currentStreakDays: int | None
    longestStreakDays: int | None


class AccountTokenUsageDailyBucket(TypedDict):
    """See protocol.usage.AccountTokenUsageDailyBucket."""

    startDate: str
    tokens: int


class ThreadUsageBreakdownGroup(TypedDict):
    """See protocol.usage.ThreadUsageBreakdownGroup."""

    estimatedUsageCreditsMicros: int
    model: str | None
    reasoningEffort: str | None
    speed: str | None
    netNewInputTokens: int | None
    cachedInputTokens: int | None
    inputTokens: int | None
    outputTokens: int | None
    totalTokens: int | None


class ThreadUsage(TypedDict):
    """See protocol.usage.ThreadUsage."""

    threadId: str
    estimatedUsageCreditsMicros: int
    estimatedUsageUsdMicros: int | None
    nativeUsageUsdMicros: int | None
    groups: list[ThreadUsageBreakdownGroup]


class GetAccountTokenUsageResponse(TypedDict):
    """See protocol.usage.GetAccountTokenUsageResponse."""

    summary: AccountTokenUsageSummary
    dailyUsageBuckets: list[AccountTokenUsageDailyBucket] | None
    threadUsage: ThreadUsage | None


class Workspace(TypedDict):
    """See protocol.accounts.Workspace."""

    id: str | None
    name: str | None
    kind: str | None


class ListedAccount(TypedDict):
    """See protocol.accounts.ListedAccount."""

    id: str
    alias: str | None
    authMode: AuthMode
    email: str | None
    userId: str | None
    workspace: Workspace
    planType: PlanType | None
    state: State
    permitted: bool
    needsLogin: bool
    expiresAt: float | None
    lastRefresh: str | None
    addedAt: float
    lastUsedAt: float | None
    pins: list[str]


class ImportedAccount(TypedDict):
    """See protocol.accounts.ImportedAccount."""

    path: str
    tool: str
    email: str | None
    workspaceId: str | None
    outcome: ImportOutcome
    id: str | None
    why: str | None
    alsoIn: list[str]


class ListAccountsResponse(TypedDict):
    """See protocol.accounts.ListAccountsResponse."""

    activeId: str | None
    selectedId: str | None
    followers: int
    revision: int
    accounts: list[ListedAccount]


class SwitchAccountResponse(TypedDict):
    """See protocol.accounts.SwitchAccountResponse."""

    activeId: str | None
    revision: int


class AccountSessionWorkspace(TypedDict):
    """See protocol.sessions.AccountSessionWorkspace."""

    accountId: str
    name: str | None
    imageUrl: str | None
    kind: WorkspaceKind | None


class AccountSession(TypedDict):
    """See protocol.sessions.AccountSession."""

    sessionId: str
    email: str | None
    userId: str | None
    lastUsedAt: int
    selectedWorkspaceAccountId: str | None
    workspaces: list[AccountSessionWorkspace]
    isActive: bool
    displayName: str | None
    imageUrl: str | None
