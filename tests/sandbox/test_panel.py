"""`/sandbox`: what a person who plays along sees and does there."""

from __future__ import annotations

import pytest

from accountd.sandbox import ConnectionDropped, Fault, Sandbox, Script
from accountd.sandbox.switches import BY_NAME, SWITCHES
from sandbox.caller import CLIENT_ID, DEVICE, Caller, Clock
from sandbox.page import Page

PAGE = "/sandbox"


async def switched_on(caller: Caller) -> set[str | None]:
    """Name what is on, as the page says."""
    buttons = Page(await caller.get(PAGE)).find("button")
    return {button["value"] for button in buttons if button.get("aria-checked") == "true"}


async def press(caller: Caller, name: str) -> None:
    """Press a switch, and follow where the browser is sent."""
    answer = await caller.post_form("/sandbox/switch", name=name)
    assert (answer.status, answer.headers["location"]) == (303, PAGE)


@pytest.mark.parametrize(("decision", "status"), [("approve", 200), ("deny", 403)])
async def test_a_login_that_waits_is_decided_there(caller: Caller, decision: str, status: int) -> None:
    """Its code is shown as long as it waits; a press that comes too late changes nothing."""
    started = await caller.start_login()
    code = started["user_code"]
    assert code in Page(await caller.get(PAGE)).text
    for choice in (decision, "approve"):
        answer = await caller.post_form("/sandbox/decision", user_code=code, decision=choice)
        assert (answer.status, answer.headers["location"]) == (303, PAGE)
    assert code not in Page(await caller.get(PAGE)).text
    assert (await caller.poll(started)).status == status


async def test_a_code_that_has_expired_waits_no_more(caller: Caller, clock: Clock) -> None:
    """Though nobody has asked for it since."""
    await caller.start_login()
    clock.time += 900
    assert "Nobody." in Page(await caller.get(PAGE)).text


@pytest.mark.parametrize("name", BY_NAME)
async def test_a_switch_goes_on_and_off(name: str) -> None:
    """And leaves the script as it was."""
    caller = Caller(Sandbox())
    await press(caller, name)
    assert caller.sandbox.script != Script()
    assert await switched_on(caller) == {name}
    await press(caller, name)
    assert caller.sandbox.script == Script()
    assert await switched_on(caller) == set()


async def test_a_fault_happens_once_and_its_switch_is_off() -> None:
    """Others that are pressed before or after neither repeat nor forget it; one of the same request replaces it."""
    caller = Caller(Sandbox())
    for name in ("no-code", "lost-tokens", "no-tokens"):
        await press(caller, name)
    assert await switched_on(caller) == {"no-code", "no-tokens"}
    assert (await caller.post(f"{DEVICE}/usercode", {"client_id": CLIENT_ID})).status == 500
    assert await switched_on(caller) == {"no-tokens"}
    await press(caller, "lost-poll")
    started = await caller.start_login()
    with pytest.raises(ConnectionDropped):
        await caller.poll(started)
    assert await switched_on(caller) == {"no-tokens"}
    assert "dropped" in Page(await caller.get(PAGE)).text


async def test_the_page_is_neither_held_up_nor_counted(caller: Caller) -> None:
    """It is no part of what is tried: no delay, no fault, no line in what was asked."""
    caller.sandbox.script = Script(delay=60, faults=(Fault(PAGE, 1, 500),))
    assert (await caller.get(PAGE)).status == 200
    assert caller.sandbox.requests == []


async def test_a_switch_that_is_none_is_an_error(caller: Caller) -> None:
    """With those that there are."""
    answer = await caller.post_form("/sandbox/switch", name="perhaps")
    assert answer.status == 400
    assert b"lost-tokens" in answer.body
    assert sum(map(len, SWITCHES.values())) == len(BY_NAME)
