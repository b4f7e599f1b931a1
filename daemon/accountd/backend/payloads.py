"""What the backend answers, and how the messages of `usage` are made of it; `rate_limits` has a module of its own.

A field is required here only if the message cannot be made without it: unknown ones are ignored, and most others
may be missing or null. Whole numbers keep to the bits that clients have for them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, get_args

import msgspec

from accountd.errors import RemoteRefused
from accountd.protocol import usage as wire
from accountd.protocol.sessions import AccountSessionWorkspace, WorkspaceKind
from accountd.redaction import quote

Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Percent = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


# profiles/me, usage/thread_usage/query


class DailyBucketPayload(msgspec.Struct):
    """The tokens of one day."""

    start_date: str
    tokens: Int


class StatsPayload(msgspec.Struct):
    """Records and totals."""

    lifetime_tokens: Int | None = None
    peak_daily_tokens: Int | None = None
    longest_running_turn_sec: Int | None = None
    current_streak_days: Int | None = None
    longest_streak_days: Int | None = None
    daily_usage_buckets: list[DailyBucketPayload] | None = None


class ProfilePayload(msgspec.Struct):
    """`profiles/me`."""

    stats: StatsPayload


class UsageGroupPayload(msgspec.Struct):
    """The part of a thread's usage that one way of running had."""

    estimated_usage_credits_micros: Int
    model: str | None = None
    reasoning_effort: str | None = None
    speed: str | None = None
    net_new_input_tokens: Int | None = None
    cached_input_tokens: Int | None = None
    input_tokens: Int | None = None
    output_tokens: Int | None = None
    total_tokens: Int | None = None


class ThreadPayload(msgspec.Struct):
    """What one thread has cost; null credits mean that nothing is known of it."""

    thread_id: str
    estimated_usage_credits_micros: Int | None = None
    estimated_usage_usd_micros: Int | None = None
    native_usage_usd_micros: Int | None = None
    groups: list[UsageGroupPayload] | None = None


class ThreadsPayload(msgspec.Struct):
    """`usage/thread_usage/query`."""

    threads: list[ThreadPayload]


def render_token_usage(payload: ProfilePayload) -> wire.GetAccountTokenUsageResponse:
    """Make the answer about the account."""
    stats = msgspec.structs.asdict(payload.stats)
    days: list[DailyBucketPayload] | None = stats.pop("daily_usage_buckets")
    return wire.GetAccountTokenUsageResponse(
        wire.AccountTokenUsageSummary(**stats),
        None if days is None else tuple(wire.AccountTokenUsageDailyBucket(d.start_date, d.tokens) for d in days),
    )


def render_thread_usage(payload: ThreadsPayload, thread_id: str) -> wire.ThreadUsage:
    """Make the answer about the one thread that was asked for. Raises RemoteRefused in the peer's words."""
    ids = [thread.thread_id for thread in payload.threads]
    if ids not in ([], [thread_id]):
        raise RemoteRefused("thread usage returned unexpected threads", 0)
    if not ids or payload.threads[0].estimated_usage_credits_micros is None:
        raise RemoteRefused("thread usage response omitted requested thread", 0)
    fields = msgspec.structs.asdict(payload.threads[0])
    groups = (wire.ThreadUsageBreakdownGroup(**msgspec.structs.asdict(g)) for g in fields.pop("groups") or ())
    return wire.ThreadUsage(**fields, groups=tuple(groups))


# workspace-messages, security-setup


class MessagePayload(msgspec.Struct):
    """One message. Times are RFC 3339."""

    message_id: str
    message_type: str
    message_body: str
    created_at: str | None = None
    archived_at: str | None = None


class MessagesPayload(msgspec.Struct):
    """`workspace-messages`."""

    messages: list[MessagePayload] | None = None


class ActionPayload(msgspec.Struct):
    """What can be done."""

    label: str
    url: str


class NoticePayload(msgspec.Struct):
    """What to remind of."""

    title: str
    description: str
    action: ActionPayload


class SecuritySetupPayload(msgspec.Struct):
    """`security-setup`."""

    notice: NoticePayload | None = None


def render_messages(payload: MessagesPayload) -> wire.GetWorkspaceMessagesResponse:
    """Make the answer. Raises RemoteRefused for a time that is none, which spoils all of it."""
    return wire.GetWorkspaceMessagesResponse(
        True,
        tuple(
            wire.WorkspaceMessage(
                message.message_id,
                parse_word(message.message_type, wire.MessageType, "unknown"),
                message.message_body,
                None if message.created_at is None else parse_time(message.created_at),
                None if message.archived_at is None else parse_time(message.archived_at),
            )
            for message in payload.messages or ()
        ),
    )


def render_notice(notice: NoticePayload, account_id: str, user_id: str) -> wire.AccountSecuritySetupNotice:
    """Address a notice to whom it was fetched for."""
    action = wire.AccountSecuritySetupAction(notice.action.label, notice.action.url)
    return wire.AccountSecuritySetupNotice(account_id, user_id, notice.title, notice.description, action)


# accounts/check


class AccountPayload(msgspec.Struct):
    """One workspace that the account's person has. Where it stands decides which of the two ids it has.

    `can_access_with_session`: it can be had without a sign-in of its own, which else is at `sso_connection_name`.
    """

    id: str | None = None
    account_id: str | None = None
    name: str | None = None
    structure: str | None = None
    profile_picture_url: str | None = None
    workspace_backend_origin: str | None = None
    account_routing_override: str | None = None
    is_deactivated: bool | None = None
    is_fedramp_compliant_workspace: bool | None = None
    can_access_with_session: bool | None = None
    sso_connection_name: str | None = None


class HeldAccountPayload(msgspec.Struct):
    """A workspace in a map."""

    account: AccountPayload


class AccountsPayload(msgspec.Struct):
    """`accounts/check`: a list of workspaces, or a map of those that `account_ordering` names."""

    accounts: list[AccountPayload] | dict[str, HeldAccountPayload] = []
    account_ordering: list[str] = []


class ExchangePayload(msgspec.Struct):
    """`accounts/switch-workspace-token`."""

    access_token: str


def order_accounts(payload: AccountsPayload) -> list[tuple[str, AccountPayload]]:
    """List the workspaces with their ids: first those that the ordering names, as it names them."""
    ordering = list(dict.fromkeys(payload.account_ordering))
    if isinstance(payload.accounts, dict):
        held = [payload.accounts[key].account for key in ordering if key in payload.accounts]
        return [(account.account_id, account) for account in held if account.account_id is not None]
    found = [(account.id, account) for account in payload.accounts if account.id is not None]
    places = {account_id: place for place, account_id in enumerate(ordering)}
    return sorted(found, key=lambda pair: places.get(pair[0], len(places)))


def render_workspaces(payload: AccountsPayload) -> tuple[AccountSessionWorkspace, ...]:
    """Make the list of workspaces that a session shows."""
    return tuple(
        AccountSessionWorkspace(
            account_id,
            account.name,
            account.profile_picture_url,
            parse_word(account.structure, WorkspaceKind, None),
        )
        for account_id, account in order_accounts(payload)
    )


# what they have in common


def parse_time(text: str) -> int:
    """Read an RFC 3339 time as Unix seconds, rounded down. Raises RemoteRefused, quoting it."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return (moment - _EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError):
        pass
    raise RemoteRefused(f"`{quote(text)}`: not a time as in RFC 3339", 0)


def parse_word(word: str | None, words: Any, otherwise: Any) -> Any:
    """Take a word that the Literal `words` has, or else what stands for all others."""
    return word if word in get_args(words) else otherwise
