"""The sandbox's model: what it does when it is told to, and for whom."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from accountd.sandbox import Response, Sandbox
from accountd.sandbox.server import serve_connection
from sandbox.caller import Caller, Clock, error_code, read
from sandbox.page import Page

MODEL = "/backend-api/codex"
TOOLS = [{"name": "exec_command", "type": "function"}, {"name": "apply_patch", "type": "custom"}]


def said_by_person(*texts: str) -> dict[str, Any]:
    """Write what a client sends of a person's message."""
    return {"role": "user", "content": [{"type": "input_text", "text": text} for text in texts]}


async def ask(caller: Caller, *items: dict[str, Any], token: str | None = None, tools: Any = TOOLS) -> Response:
    """Ask the model."""
    token = token or caller.sandbox.issue_tokens().access_token.reveal()
    body = {"model": "sandbox", "stream": True, "input": items, "tools": tools}
    return await caller.post(f"{MODEL}/responses", body, authorization=f"Bearer {token}")


def read_events(answer: Response) -> list[dict[str, Any]]:
    """Give what an answer streams."""
    assert answer.status == 200, answer.body
    events = []
    for piece in answer.pieces or ():
        event, data, *rest = piece.decode().split("\n")
        events.append(msgspec.json.decode(data.removeprefix("data: ")))
        assert event == f"event: {events[-1]['type']}"
        assert rest == ["", ""]
    assert [events[0]["type"], events[-1]["type"]] == ["response.created", "response.completed"]
    return events[1:-1]


@pytest.mark.parametrize(
    ("items", "deltas"),
    [
        ([said_by_person("say two words")], ["two ", "words"]),
        ([said_by_person("deltas 3")], ["0 ", "1 ", "2 "]),
        ([said_by_person("how are you?")], ["You said: ", "how are you?"]),
        ([], ["You said: ", ""]),
        ([said_by_person("say yes"), said_by_person("<environment_context>")], ["yes"]),
        ([said_by_person("<image name=[Image #1]>", "say seen", "</image>")], ["seen"]),
        (
            [said_by_person("run x"), {"type": "function_call_output", "output": "y"}],
            ["The tool has answered: ", "y"],
        ),
    ],
)
async def test_it_says_what_it_is_told(caller: Caller, items: list[dict[str, Any]], deltas: list[str]) -> None:
    """The last text of the person counts, or what a tool has answered since; what is said is said whole as well."""
    events = read_events(await ask(caller, *items))
    assert [event["delta"] for event in events[1:-1]] == deltas
    assert events[-1]["item"]["content"][0]["text"] == "".join(deltas)


async def test_each_piece_may_be_its_time(caller: Caller) -> None:
    """Of the clock that all processes of a machine share."""
    begun = time.monotonic_ns()
    events = read_events(await ask(caller, said_by_person("times 3")))
    times = [int(event["delta"]) for event in events if "delta" in event]
    assert len(times) == 3
    assert begun <= times[0] <= times[1] <= times[2] <= time.monotonic_ns()


@pytest.mark.parametrize(
    ("text", "tool", "member", "value"),
    [
        ("run ls -l", "exec_command", "arguments", '{"cmd":"ls -l"}'),
        ("run ls -l", "shell_command", "arguments", '{"command":"ls -l"}'),
        ("patch a.txt", "apply_patch", "input", "*** Begin Patch\n*** Add File: a.txt\n+hello\n*** End Patch\n"),
    ],
)
async def test_it_calls_the_tool_that_it_is_offered(
    caller: Caller, text: str, tool: str, member: str, value: str
) -> None:
    """Commands and patches go to the client's own tool, whichever that is; without one it only talks."""
    [event] = read_events(await ask(caller, said_by_person(text), tools=[{"name": tool}]))
    assert (event["item"]["name"], event["item"][member]) == (tool, value)
    assert read_events(await ask(caller, said_by_person(text), tools=[]))[1]["delta"] == "You said: "


async def test_it_is_for_whoever_is_logged_in(caller: Caller, clock: Clock) -> None:
    """A token that is revoked or expired, and none, get 401; an API key of any kind is good."""
    order = said_by_person("say hello")
    revoked, old = (caller.sandbox.issue_tokens() for _ in range(2))
    await caller.post_form("/oauth/revoke", token=revoked.refresh_token.reveal())
    assert (await ask(caller, order, token=revoked.access_token.reveal())).status == 401
    assert (await caller.get(f"{MODEL}/models")).status == 401
    assert (await ask(caller, order, token="sk-x")).status == 200
    assert read(await caller.get(f"{MODEL}/models", authorization="Bearer sk-x"))["models"][0]["slug"] == "sandbox"
    clock.time += 3600
    assert (await ask(caller, order, token=old.access_token.reveal())).status == 401


async def test_it_fails_as_it_is_told(caller: Caller) -> None:
    """A status is answered as it stands in the text; what is no request of a turn is refused."""
    assert (await ask(caller, said_by_person("fail 503"))).status == 503
    wrong = await caller.post(f"{MODEL}/responses", {"input": "say hello"}, authorization="Bearer sk-x")
    assert (wrong.status, error_code(wrong)) == (400, "invalid_request")


async def test_its_page_shows_what_it_was_asked(caller: Caller) -> None:
    """The newest first, with who asked and the status, and without a token."""
    assert "Nothing yet" in Page(await caller.get("/model")).text
    await ask(caller, said_by_person("say hello"))
    await ask(caller, said_by_person("fail 500"), token="sk-secret")
    text = Page(await caller.get("/model")).text
    assert text.index("fail 500") < text.index("say hello")
    assert "ada@example.com · 08:00:00 UTC · 200" in text
    assert "an API key · 08:00:00 UTC · 500" in text
    assert "sk-secret" not in text


async def test_an_answer_is_streamed_at_its_pace(autojump_clock: trio.testing.MockClock) -> None:
    """On a connection each piece comes by itself, as far apart as it was asked for, and then the next request."""
    ours, theirs = trio.testing.memory_stream_pair()
    body = msgspec.json.encode({"input": [said_by_person("deltas 3 500")], "x": "y" * (2 << 20)})
    head = b"POST /backend-api/codex/responses HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer sk-x\r\n"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, Sandbox(), theirs)
        await ours.send_all(head + b"content-length: %d\r\n\r\n%s" % (len(body), body))
        received, begun = b"", trio.current_time()
        seen: dict[bytes, float] = {}
        while b"\r\n0\r\n\r\n" not in received:
            received += await ours.receive_some()
            for number in (b"0 ", b"1 ", b"2 "):
                if b'"delta":"%s"' % number in received:
                    seen.setdefault(number, trio.current_time() - begun)
        assert [round(at, 3) for at in seen.values()] == [1.0, 1.5, 2.0]
        await ours.send_all(b"GET /backend-api/codex/models HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert (await ours.receive_some()).startswith(b"HTTP/1.1 401")
        await ours.aclose()
