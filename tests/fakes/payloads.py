"""Answers of the backend, as it may give them, and ways to see what is made of them."""

from __future__ import annotations

import json
from typing import Any

import msgspec

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

LISTED: list[object] = [{"id": "a", "name": "A", "structure": "personal"}, {"id": "b", "structure": "team"}]


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
