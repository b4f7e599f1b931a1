"""Notifications on their way to many."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from accountd.hub import Hub, Notification
from accountd.protocol.account import AccountLoginCompleted, AccountLoginProgress, AccountUpdated
from accountd.protocol.reasons import ErrorReason

if TYPE_CHECKING:
    import pytest


def test_every_subscription_hears_the_same_in_the_same_order() -> None:
    """A notification is encoded once, stamped in milliseconds, and handed to all."""
    hub = Hub(now_ns=lambda: 1_700_000_000_123_999_999)
    first: list[Notification] = []
    second: list[Notification] = []
    with hub.subscribe(first.append), hub.subscribe(second.append):
        hub.publish(AccountUpdated("chatgpt", "plus"))
        hub.publish(AccountUpdated(None, None))
    assert first == second
    assert first[0].method == "account/updated"
    assert first[0].payload == (
        b'{"method":"account/updated","params":{"authMode":"chatgpt","planType":"plus","reason":null},'
        b'"emittedAtMs":1700000000123}'
    )
    assert first[1].payload.startswith(
        b'{"method":"account/updated","params":{"authMode":null,"planType":null,"reason":null}'
    )


def test_a_subscription_ends_with_its_block() -> None:
    """What is published before and after the block is not heard."""
    hub = Hub()
    heard: list[Notification] = []
    hub.publish(AccountUpdated(None, None))
    with hub.subscribe(heard.append):
        pass
    with suppress(ValueError), hub.subscribe(heard.append):  # however it ends
        raise ValueError
    hub.publish(AccountUpdated(None, None))
    assert heard == []


def test_a_subscription_may_end_while_something_is_published() -> None:
    """One that is cut because it does not read does not keep the next from hearing."""
    hub = Hub()
    heard: list[Notification] = []
    leaving = ExitStack()
    leaving.enter_context(hub.subscribe(lambda _: leaving.close()))
    with hub.subscribe(heard.append):
        hub.publish(AccountUpdated(None, None))
    assert len(heard) == 1


def test_a_notification_of_our_own_kind_is_never_told_to_others() -> None:
    """The table says so, whoever publishes it; of others, whoever publishes one."""
    hub = Hub()
    heard: list[Notification] = []
    with hub.subscribe(heard.append):
        hub.publish(AccountLoginProgress("i", "chatgpt", "waiting", 0, 600))
        hub.publish(AccountUpdated(None, None))
        hub.publish(AccountUpdated(None, None), extension=True)
    assert [notification.extension for notification in heard] == [True, False, True]


def test_a_subscription_that_fails_keeps_nobody_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    """It is a bug, which is logged."""
    hub = Hub()
    heard: list[Notification] = []
    with hub.subscribe(lambda _: heard[0]), hub.subscribe(heard.append):  # type: ignore[arg-type]  # it fails
        hub.publish(AccountUpdated(None, None))
    assert len(heard) == 1
    assert "a notification to one of the clients" in caplog.text


def test_what_is_more_for_some_is_beside_what_is_for_all() -> None:
    """Only where there is more; and whom it is for goes along."""
    hub = Hub()
    heard: list[Notification] = []
    with hub.subscribe(heard.append):
        hub.publish(AccountLoginCompleted("i", success=True), to="an audience")
        hub.publish(AccountLoginCompleted("i", success=False, accountd=ErrorReason("loginDenied")))
    plain, extended = heard
    assert (plain.extended, plain.to) == (None, "an audience")
    assert b"loginDenied" in (extended.extended or b"")
    assert b"loginDenied" not in extended.payload
