"""Target: what the backend answers about an account, and what clients are told of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from accountd.backend.client import parse_workspace
from accountd.backend.payloads import (
    AccountsPayload,
    ExchangePayload,
    MessagesPayload,
    ProfilePayload,
    SecuritySetupPayload,
    ThreadsPayload,
    render_messages,
    render_notice,
    render_thread_usage,
    render_token_usage,
    render_workspaces,
)
from accountd.backend.rate_limits import (
    ResetCreditsPayload,
    UsagePayload,
    render_rate_limits,
    render_reset_credits,
)
from accountd.config.urls import is_loopback
from accountd.errors import RemoteRefused
from accountd.protocol import usage as wire
from accountd.protocol.sessions import AccountSessionWorkspace
from fuzz.pieces import choose

if TYPE_CHECKING:
    from collections.abc import Callable

_ANSWERS: Final[list[tuple[Any, Callable[[Any], Any], Any]]] = [
    (
        UsagePayload,
        lambda payload: render_rate_limits(payload, None, is_owner=True),
        wire.GetAccountRateLimitsResponse,
    ),
    (ResetCreditsPayload, render_reset_credits, wire.RateLimitResetCreditsSummary),
    (ProfilePayload, render_token_usage, wire.GetAccountTokenUsageResponse),
    (ThreadsPayload, lambda payload: render_thread_usage(payload, "t"), wire.ThreadUsage),
    (MessagesPayload, render_messages, wire.GetWorkspaceMessagesResponse),
    (ExchangePayload, lambda payload: payload.access_token, str),
    (AccountsPayload, render_workspaces, tuple[AccountSessionWorkspace, ...]),
    (
        SecuritySetupPayload,
        lambda payload: payload.notice and render_notice(payload.notice, "a", "u"),
        wire.AccountSecuritySetupNotice | None,
    ),
]


def fuzz_payload(data: bytes) -> None:
    """Read an answer of the backend and tell it: what is told can be read by the types that clients have for it."""
    number, body = choose(data, range(len(_ANSWERS) + 1))
    if number == len(_ANSWERS):
        _find_workspace(body)
        return
    payload_type, render, told_type = _ANSWERS[number]
    try:
        payload = msgspec.json.decode(body, type=payload_type)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return  # as `Backend._decode` has it
    try:
        told = render(payload)
    except RemoteRefused as error:
        assert error.status == 0
        assert error.__cause__ is None
        return
    assert msgspec.json.decode(msgspec.json.encode(told), type=told_type) == told


def _find_workspace(body: bytes) -> None:
    try:
        workspace = parse_workspace(body, "w", "https://chatgpt.com/backend-api")
    except RemoteRefused as error:
        assert error.status == 0
        return
    scheme, _, netloc = workspace.backend_origin.partition("://")
    assert scheme == "https" or (scheme == "http" and is_loopback(_host(netloc)))
    assert "@" not in netloc
    assert not set(netloc) & set("/?#")


def _host(netloc: str) -> str:
    bracketed = re.match(r"\[([^]]*)\]", netloc)
    return bracketed[1] if bracketed else netloc.partition(":")[0].lower()
