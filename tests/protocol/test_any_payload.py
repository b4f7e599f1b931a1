"""Whatever the backend answers, it is understood or it is refused."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.backend import payloads, rate_limits
from accountd.errors import RemoteRefused
from fakes.payloads import CREDIT, LIMIT, LISTED, MESSAGE, THREAD, THREAD_USAGE, WINDOW, decode

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable


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
