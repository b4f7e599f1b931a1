"""The account's limits and reset credits: how they are asked for, and who is told what of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from accountd.errors import RequestFailed
from accountd.protocol import usage as wire
from accountd.storage.base import external_record
from fakes.usage import OWN_USAGE, RESETS, USAGE, make_jwt, make_opaque_record, make_record, open_scene

if TYPE_CHECKING:
    from accountd.storage.base import AuthRecord

CREDIT = {"id": "c", "reset_type": "x", "status": "x", "granted_at": "2026-01-02T03:04:05Z"}


async def test_rate_limits_are_asked_for_together_with_the_reset_credits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Two requests go out at once, and take as long as the longer."""
    answers: dict[str, object] = {USAGE: OWN_USAGE, RESETS: {"available_count": 1, "credits": [CREDIT]}}
    async with open_scene(make_record(), answers) as scene:
        scene.server.delays = {USAGE: 2, RESETS: 3}
        start = trio.current_time()
        answer = await scene.service.read_rate_limits(wire.GetAccountRateLimitsParams())
        assert trio.current_time() - start == pytest.approx(3)
        assert sorted(scene.server.paths()) == sorted([USAGE, RESETS])
    assert answer.rate_limit_reset_credits is not None
    assert answer.rate_limit_reset_credits.available_count == 1
    assert answer.rate_limit_reset_credits.credits is not None
    assert (answer.account_id, answer.ordinary_usage_allowed, answer.rate_limit_upsell) == (
        "acct-1",
        True,
        {"a_b": 1},
    )


@pytest.mark.parametrize(
    "details",
    [
        404,
        401,
        500,
        "rubbish",
        {"available_count": 1},
        {"available_count": 1, "credits": [CREDIT | {"granted_at": "x"}]},
    ],
)
async def test_without_their_details_reset_credits_are_counted(details: object) -> None:
    """Whatever is wrong with the details, the usage's own count is told instead."""
    async with open_scene(make_record(), {USAGE: OWN_USAGE, RESETS: details}) as scene:
        answer = await scene.service.read_rate_limits(wire.GetAccountRateLimitsParams())
    assert answer.rate_limit_reset_credits == wire.RateLimitResetCreditsSummary(2, None)


async def test_details_are_not_waited_for_long(autojump_clock: trio.testing.MockClock) -> None:
    """After five seconds the usage's own count is told instead."""
    async with open_scene(make_record(), {USAGE: OWN_USAGE}) as scene:
        scene.server.delays = {RESETS: 50}
        start = trio.current_time()
        answer = await scene.service.read_rate_limits(wire.GetAccountRateLimitsParams())
        assert trio.current_time() - start == pytest.approx(5)
    assert answer.rate_limit_reset_credits == wire.RateLimitResetCreditsSummary(2, None)


async def test_a_client_can_do_without_the_details() -> None:
    """Only the usage is asked for, and says how many there are."""
    async with open_scene(make_record(), {USAGE: OWN_USAGE}) as scene:
        answer = await scene.service.read_rate_limits(
            wire.GetAccountRateLimitsParams(exclude_reset_credit_details=True)
        )
        assert scene.server.paths() == [USAGE]
    assert answer.rate_limit_reset_credits == wire.RateLimitResetCreditsSummary(2, None)


async def test_a_failing_usage_is_told_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """The details of what cannot be told are not waited for; and a refused token is not tried again."""
    async with open_scene(make_record(), {USAGE: 401}) as scene:
        scene.server.delays = {RESETS: 4}
        start = trio.current_time()
        with pytest.raises(RequestFailed) as caught:
            await scene.service.read_rate_limits(wire.GetAccountRateLimitsParams())
        assert trio.current_time() == start
        assert scene.server.paths().count(USAGE) == 1
    assert str(caught.value) == (
        "failed to fetch codex rate limits: GET https://chatgpt.com/backend-api/wham/usage failed: "
        "401 Unauthorized; content-type=application/json; error=no"
    )


async def test_who_leaves_takes_both_requests_along(autojump_clock: trio.testing.MockClock) -> None:
    """A cancelled read ends by cancellation and leaves nothing behind."""
    async with open_scene(make_record(), {USAGE: OWN_USAGE}) as scene:
        scene.server.delays = {USAGE: 4, RESETS: 4}
        with trio.move_on_after(1) as scope:
            await scene.service.read_rate_limits(wire.GetAccountRateLimitsParams())
        assert scope.cancelled_caught


@pytest.mark.parametrize(
    ("record", "change", "is_owner"),
    [
        (make_record(), {}, True),
        (make_record(), {"account_id": "acct-2"}, False),
        (make_record(), {"user_id": "user-2"}, False),
        (make_record(), {"user_id": None}, False),
        (make_record(account_id=None), {"account_id": None}, False),
        (make_record(chatgpt_user_id=None), {"user_id": None}, False),
        (make_record(chatgpt_account_is_fedramp=True), {}, False),
        (make_opaque_record(), {}, True),
        (external_record(make_jwt(), "acct-1", "plus"), {}, True),
        (external_record(make_jwt(chatgpt_account_is_fedramp=True), "acct-1", "plus"), {}, False),
    ],
)
async def test_what_steers_a_client_is_for_the_account_that_asked(
    record: AuthRecord, change: dict[str, object], is_owner: bool
) -> None:
    """Both ids must be known and the same, and the workspace not a government's."""
    async with open_scene(record, {USAGE: OWN_USAGE | change}) as scene:
        answer = await scene.service.read_rate_limits(wire.GetAccountRateLimitsParams())
    assert (answer.ordinary_usage_allowed is not None) == is_owner
    assert (answer.rate_limit_upsell is not None) == is_owner


@pytest.mark.parametrize(
    ("fedramp", "supports", "sent"), [(False, True, "1"), (False, False, None), (True, True, None)]
)
async def test_the_reserve_is_for_clients_that_know_it(fedramp: bool, supports: bool, sent: str | None) -> None:
    """The usage request says so, but never for a government's workspace, which every request names as one."""
    record = make_record(chatgpt_account_is_fedramp=fedramp)
    async with open_scene(record, {USAGE: OWN_USAGE}) as scene:
        params = wire.GetAccountRateLimitsParams(supports_luna_reserve=supports)
        await scene.service.read_rate_limits(params)
        for request in scene.server.seen:
            assert request.headers.get("x-openai-fedramp") == ("true" if fedramp else None)
            reserve = request.headers.get("x-openai-codex-luna-reserve")
            assert reserve == (sent if request.url.path.endswith("/usage") else None)
