"""Every knob of the script, and how changes to it are read."""

from __future__ import annotations

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from accountd.errors import ConfigError
from accountd.sandbox import Claims, ConnectionDropped, Fault, Script
from accountd.sandbox.script import merge_script
from sandbox.caller import DEVICE, Caller, Clock, error_code, read


async def test_logins_approve_themselves_after_so_many_polls(caller: Caller) -> None:
    """With approve_after_polls 2 two polls are pending and the third is approved."""
    caller.sandbox.script = Script(approve_after_polls=2)
    login = await caller.start_login()
    statuses = [(await caller.poll(login)).status for _ in range(3)]
    assert statuses == [403, 403, 200]


@pytest.mark.parametrize(
    ("script", "code"),
    [(Script(deny=True), "access_denied"), (Script(expire=True), "expired_token")],
)
async def test_logins_end_themselves(caller: Caller, script: Script, code: str) -> None:
    """`deny` and `expire` decide at the first poll, or after approve_after_polls."""
    caller.sandbox.script = script
    assert error_code(await caller.poll(await caller.start_login())) == code
    caller.sandbox.script = msgspec.structs.replace(script, approve_after_polls=1)
    login = await caller.start_login()
    assert error_code(await caller.poll(login)) == "deviceauth_authorization_pending"
    assert error_code(await caller.poll(login)) == code


async def test_a_script_does_not_undo_a_decision(caller: Caller) -> None:
    """What a person has approved stays approved when the script says deny."""
    login = await caller.start_login()
    caller.sandbox.decide(login["user_code"], approve=True)
    caller.sandbox.script = Script(deny=True)
    assert (await caller.poll(login)).status == 200


async def test_device_codes_can_be_disabled(caller: Caller) -> None:
    """`disabled` answers 404 to the request for a code."""
    caller.sandbox.script = Script(disabled=True)
    assert (await caller.post(f"{DEVICE}/usercode", {"client_id": "x"})).status == 404


@pytest.mark.parametrize("interval", ["5", "0.5", "soon", 7, None])
async def test_the_interval_is_sent_as_it_is(caller: Caller, interval: str | int | None) -> None:
    """Text stays text and a number a number; null leaves the field out."""
    caller.sandbox.script = Script(interval=interval)
    assert (await caller.start_login()).get("interval") == interval


async def test_a_code_lives_as_long_as_the_script_says(caller: Caller, clock: Clock) -> None:
    """`code_lifetime` is for codes issued after it was set."""
    caller.sandbox.script = Script(code_lifetime=10)
    login = await caller.start_login()
    clock.time += 10
    assert error_code(await caller.poll(login)) == "expired_token"


async def test_every_answer_takes_the_delay(caller: Caller, autojump_clock: trio.testing.MockClock) -> None:
    """`delay` is waited for before a request takes effect; the control endpoints know none."""
    caller.sandbox.script = Script(delay=30)
    begin = trio.current_time()
    await caller.start_login()
    assert trio.current_time() - begin == pytest.approx(30)
    await caller.get("/sandbox/script")
    assert trio.current_time() - begin == pytest.approx(30)


async def test_a_fault_hits_the_nth_request_alone(caller: Caller) -> None:
    """The second request to a path gets the fault's status and body; its neighbours and other paths do not."""
    fault = Fault(path=f"{DEVICE}/usercode", nth=2, status=503, body={"error": {"code": "busy"}})
    caller.sandbox.script = Script(faults=(fault,))
    await caller.start_login()
    answer = await caller.post(f"{DEVICE}/usercode", {"client_id": "x"})
    assert (answer.status, error_code(answer)) == (503, "busy")
    await caller.start_login()


@pytest.mark.parametrize(
    ("body", "sent"),
    [("<html>", b"<html>"), (None, b"null"), ([1], b"[1]")],
)
async def test_a_fault_says_what_the_script_says(caller: Caller, body: object, sent: bytes) -> None:
    """Text is sent as it is, so that an answer can be no JSON; anything else as JSON."""
    caller.sandbox.script = Script(faults=(Fault(path="/", nth=1, status=200, body=body),))
    assert (await caller.get("/")).body == sent


async def test_a_fault_without_a_body_has_an_errors(caller: Caller) -> None:
    """A fault that names a status only is answered with an error of that status."""
    caller.sandbox.script = Script(faults=(Fault(path="/", nth=1, status=500),))
    assert read(await caller.get("/"), 500)["error"] == "sandbox_fault"


async def test_status_0_drops_the_connection(caller: Caller) -> None:
    """A fault of status 0 raises ConnectionDropped, and is logged with 0."""
    caller.sandbox.script = Script(faults=(Fault(path="/", nth=1, status=0),))
    with pytest.raises(ConnectionDropped):
        await caller.get("/")
    assert [entry.status for entry in caller.sandbox.requests] == [0]


async def test_a_request_can_take_effect_and_its_answer_be_lost(caller: Caller) -> None:
    """With `after`, a refresh spends its token although nobody hears of the new one."""
    tokens = await caller.log_in()
    caller.sandbox.script = Script(faults=(Fault(path="/oauth/token", nth=1, status=0, after=True),))
    with pytest.raises(ConnectionDropped):
        await caller.refresh(tokens["refresh_token"])
    assert error_code(await caller.refresh(tokens["refresh_token"])) == "refresh_token_reused"


async def test_a_fault_without_after_has_no_effect(caller: Caller) -> None:
    """A refresh that is dropped at once can be made again."""
    tokens = await caller.log_in()
    caller.sandbox.script = Script(faults=(Fault(path="/oauth/token", nth=1, status=0),))
    with pytest.raises(ConnectionDropped):
        await caller.refresh(tokens["refresh_token"])
    read(await caller.refresh(tokens["refresh_token"]))


def test_changes_are_merged() -> None:
    """What a change does not name stays as it was, inside `claims` too; null takes a value away."""
    script = Script(deny=True, approve_after_polls=3, claims=Claims(email="a@b", plan="free"))
    merged = merge_script(script, b'{"approve_after_polls": null, "claims": {"plan": "pro"}}')
    assert merged == Script(deny=True, claims=Claims(email="a@b", plan="pro"))


def test_faults_survive_a_change_of_something_else() -> None:
    """A fault comes through a merge as it was, with and without a body."""
    faults = (Fault(path="/a", nth=1, status=0), Fault(path="/b", nth=2, status=500, body={"x": [1]}, after=True))
    assert merge_script(Script(faults=faults), b'{"deny": true}') == Script(faults=faults, deny=True)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (b'{"denny": true}', "denny"),
        (b'{"deny": "yes"}', "$.deny"),
        (b'{"deny": null}', "$.deny"),
        (b'{"approve_after_polls": -1}', "$.approve_after_polls"),
        (b'{"approve_after_polls": 1.5}', "$.approve_after_polls"),
        (b'{"authorize": "perhaps"}', "$.authorize"),
        (b'{"delay": -1}', "$.delay"),
        (b'{"delay": 1e300}', "$.delay"),
        (b'{"interval": []}', "$.interval"),
        (b'{"claims": {"mail": "x"}}', "mail"),
        (b'{"claims": {"email": 5}}', "$.claims.email"),
        (b'{"claims": 5}', "$.claims"),
        (b'{"faults": {}}', "$.faults"),
        (b'{"faults": [{"path": "/"}]}', "nth"),
        (b'{"faults": [{"path": "/", "nth": 0, "status": 500}]}', "nth"),
        (b'{"faults": [{"path": "/", "nth": 1, "status": 100}]}', "status"),
        (b'{"faults": [{"path": "/", "nth": 1, "status": 600}]}', "status"),
        (b"[]", "object"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"faults": ' + b"[" * 100_000, "nested"),
    ],
)
def test_a_wrong_change_is_named(changes: bytes, named: str) -> None:
    """A wrong key, type or value raises ConfigError with its name."""
    with pytest.raises(ConfigError, match=r"^script: ") as caught:
        merge_script(Script(), changes)
    assert named in str(caught.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_no_value_breaks_the_script(value: object) -> None:
    """Whatever JSON value stands at whatever key, the script is valid or a ConfigError says that it is not."""
    for key in Script.__struct_fields__:
        try:
            merged = merge_script(Script(), msgspec.json.encode({key: value}))
        except ConfigError:
            continue
        assert merge_script(merged, b"{}") == merged
