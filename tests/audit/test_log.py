"""What the audit log has of each event, and of who was behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from accountd.audit.log import GUESTS_HAND_OUTS, AuditLog
from accountd.logs import bind_fields
from accountd.sandbox import Fault, Script
from fakes.client import Client, open_client
from fakes.world import World, open_world

if TYPE_CHECKING:
    import trio.testing

APPROVED = Script(approve_after_polls=0, token_lifetime=3600)
DEVICE = {"type": "chatgptDeviceCode"}
TOKEN = "/oauth/token"


def events(world: World) -> list[str]:
    """Give the names of what was noted."""
    return [event["event"] for event in world.audited]


async def log_in(world: World, client: Client) -> str:
    """Log in by device code and give the login's id."""
    await client.send({"id": 1, "method": "account/login/start", "params": DEVICE})
    login_id: str = (await client.receive())["result"]["loginId"]
    await world.wait_completion(login_id)
    while (await client.receive())["method"] != "account/updated":
        pass
    return login_id


async def test_a_login_is_noted_from_its_beginning_to_its_end(autojump_clock: trio.testing.MockClock) -> None:
    """The lines have the same id, and who began it; the time is RFC 3339."""
    async with open_world(APPROVED) as world, open_client(world.services) as client:
        login_id = await log_in(world, client)
        who = {"client": "a test", "request": 2, "login": login_id, "method": "chatgptDeviceCode"}
        times = [event.pop("time") for event in world.audited]
        assert world.audited == [{"event": "login.started", **who}, {"event": "login.completed", **who}]
        assert all(time.startswith("2027-01-15T") and time.endswith("Z") for time in times)


async def test_who_cancels_is_noted_and_what_came_of_it(autojump_clock: trio.testing.MockClock) -> None:
    """The request to cancel is one event, of the client that asked; the end of the login is another."""
    async with open_world() as world, open_client(world.services) as client, open_client(world.services) as other:
        login_id = (await client.call("account/login/start", DEVICE))["result"]["loginId"]
        await other.call("account/login/cancel", {"loginId": login_id}, 7)
        await world.wait_completion(login_id)
        assert events(world) == ["login.started", "login.cancel", "login.cancelled"]
        assert world.audited[1]["outcome"] == "cancelled"
        assert world.audited[1]["login"] == login_id


async def test_a_failure_is_noted_by_its_kind(autojump_clock: trio.testing.MockClock) -> None:
    """The kind is a word of ours; the issuer's text, in which anything may be, is not there."""
    script = Script(approve_after_polls=0, faults=(Fault(TOKEN, 1, 500, '{"error": "canary-5f0c"}'),))
    async with open_world(script) as world, open_client(world.services):
        await world.wait_completion(await world.start_device_login())
        assert events(world) == ["login.started", "login.failed"]
        assert world.audited[1]["reason"] == "LoginFailed"
        assert "canary" not in json.dumps(world.audited)


async def test_a_hand_out_is_noted_with_what_was_asked(autojump_clock: trio.testing.MockClock) -> None:
    """Both methods that give a token are noted; those that give none are not."""
    async with (
        open_world(APPROVED) as world,
        open_client(world.services, extensions={"accountd": {}}) as client,
    ):
        await client.call("account/token/read", {})  # of nobody
        await log_in(world, client)
        world.audited.clear()
        await client.call("account/read", {})
        await client.call("getAuthStatus", {"includeToken": False})
        assert world.audited == []
        await client.call("getAuthStatus", {"includeToken": True})
        await client.call("account/token/read", {"minValidSeconds": 60})
        assert [(event["event"], event["mode"], event.get("minValidSeconds")) for event in world.audited] == [
            ("token.handedOut", "chatgpt", None),
            ("token.handedOut", "chatgpt", 60),
        ]
        assert {event["client"] for event in world.audited} == {"a test"}


async def test_a_refresh_is_noted_with_its_reason_and_outcome(autojump_clock: trio.testing.MockClock) -> None:
    """One that somebody asked for has that client, one that the daemon makes by itself has nobody."""
    script = Script(approve_after_polls=0, token_lifetime=3600, faults=(Fault(TOKEN, 3, 500),))
    async with open_world(script) as world, open_client(world.services) as client:
        await log_in(world, client)
        world.audited.clear()
        await client.call("account/read", {"refreshToken": True})
        await client.call("account/read", {"refreshToken": True})
        told = [(event["event"], event["reason"], event["outcome"]) for event in world.audited]
        assert told == [("refresh", "forced", "done"), ("refresh", "forced", "failed")]
        assert {event["client"] for event in world.audited} == {"a test"}
        world.audited.clear()
        await world.refresher._sleep_until(world.clock.now() + 3700, world.credential.changed)
        assert world.audited[0]["reason"] == "proactive_expiry"
        assert "client" not in world.audited[0]


async def test_logouts_and_what_clients_supply_are_noted() -> None:
    """An API key, tokens of a client and a logout are an event each; a logout tells of what."""
    quiet = ["account/login/completed", "account/updated"]
    async with open_world() as world, open_client(world.services, optOutNotificationMethods=quiet) as client:
        await client.call("account/login/start", {"type": "apiKey", "apiKey": "sk-canary-5f0c"})
        await client.call("account/logout")
        assert [(event["event"], event.get("method"), event.get("mode")) for event in world.audited] == [
            ("login.completed", "apiKey", None),
            ("logout", None, "apikey"),
        ]
        assert "canary" not in json.dumps(world.audited)


def test_a_line_is_one_object_and_its_texts_are_short() -> None:
    """Whatever a client calls itself, it is one line of ASCII, and not a long one."""
    lines: list[bytes] = []
    with bind_fields(client="a\nb\u2028" + "x" * 1000, connection=1, pid=2, uid=3, secret="no"):
        AuditLog(lines.append, lambda: 0.0).note("logout", mode=None)
    [line] = lines
    assert line.isascii()
    assert line.count(b"\n") == 1
    event: dict[str, Any] = json.loads(line)
    assert event.pop("client") == "a b " + "x" * 95 + "…"
    assert event == {"time": "1970-01-01T00:00:00.000Z", "event": "logout", "pid": 2, "uid": 3, "connection": 1}


def test_one_that_is_turned_off_notes_nothing() -> None:
    """Without a place to write to, a note is nothing."""
    AuditLog().note("logout")


def test_guests_rotate_nothing_away() -> None:
    """What they cause is elsewhere, says so, and of their hand-outs has the first of each minute, and a number."""
    now, ours, theirs = [1_800_000_000.0], list[bytes](), list[bytes]()
    audit = AuditLog(ours.append, lambda: now[0], append_of_guests=theirs.append)
    for _ in range(3):
        with bind_fields(door="token", pid=7):
            for _ in range(1000):
                audit.note("token.handedOut", mode="chatgpt")
            audit.note("refresh", reason="forced")
        audit.note("token.handedOut", mode="chatgpt")
        now[0] += 60
    audit.close()
    audit.close()
    assert [json.loads(line)["event"] for line in ours] == ["token.handedOut"] * 3
    told = [json.loads(line) for line in theirs]
    minute = ["token.handedOut"] * GUESTS_HAND_OUTS + ["refresh", "token.omitted"]
    assert [event["event"] for event in told] == minute * 3
    assert {(event["door"], event["pid"]) for event in told if event["event"] != "token.omitted"} == {("token", 7)}
    omitted = [event for event in told if event["event"] == "token.omitted"]
    assert {event["count"] for event in omitted} == {1000 - GUESTS_HAND_OUTS}
    assert omitted[1]["since"] == "2027-01-15T08:01:00.000Z"


def test_a_clock_that_is_set_back_ends_the_minute() -> None:
    """Else guests would have no room for as long as it was set back."""
    now, theirs = [1_800_000_000.0], list[bytes]()
    audit = AuditLog(None, lambda: now[0], append_of_guests=theirs.append)
    with bind_fields(door="token"):
        for _ in range(2):
            for _ in range(GUESTS_HAND_OUTS):
                audit.note("token.handedOut")
            now[0] -= 3600
    assert len(theirs) == 2 * GUESTS_HAND_OUTS


def test_what_a_client_says_of_itself_is_no_secret() -> None:
    """A name is one short printable line, and an id that is none is not told: both could be a token."""
    lines: list[bytes] = []
    with bind_fields(client="sk-canary-5f0c\n" + "x " * 100):
        AuditLog(lines.append).note("token.supplied", account="eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln")
        AuditLog(lines.append).note("token.supplied", account="a b")
        AuditLog(lines.append).note("token.supplied", account="123e4567-e89b-12d3-a456-426614174000")
    events = [json.loads(line) for line in lines]
    assert [event["account"] for event in events] == [
        "not an id",
        "not an id",
        "123e4567-e89b-12d3-a456-426614174000",
    ]
    assert all(event["client"].startswith("... x x") and len(event["client"]) <= 100 for event in events)
