"""The model: the Responses API over server-sent events, as `codex` asks it. It does as the last text tells it.

    say TEXT            answers with it, a word at a time
    run COMMAND         has the shell tool run it; whether that is approved is the client's affair
    patch FILE          has apply_patch add a file
    deltas N [MS]       answers in N pieces, MS milliseconds apart
    times N [MS]        likewise, each the time at which it leaves, in nanoseconds of the monotonic clock
    fail STATUS         is answered with that status, as often as it is tried

It repeats whatever else it is told, and what a tool has said to it.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from accountd.foreign_json import UNDECODABLE
from accountd.sandbox.backend import authenticate_for_model, render_limit_headers
from accountd.sandbox.message import Refused, Request, Response, render_coded_error, render_json, render_oauth_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from accountd.sandbox.state import State

    Event = dict[str, Any]

LONGEST_PROMPT: Final = 128 << 20
"""Bytes of a request, which has all images of its thread in it, as base64."""

_LONGEST_ECHO: Final = 1000  # characters of a tool's output that are repeated

_MODEL: Final = {
    "slug": "sandbox",
    "display_name": "Sandbox",
    "description": "Does as it is told: say, run, patch, deltas, times, fail",
    "default_reasoning_level": "medium",
    "supported_reasoning_levels": [{"effort": "medium", "description": "It does not think"}],
    "shell_type": "shell_command",
    "visibility": "list",
    "supported_in_api": True,
    "priority": 1,
    "base_instructions": "Do as the last text says.",
    "supports_reasoning_summaries": False,
    "support_verbosity": False,
    "default_verbosity": None,
    "apply_patch_tool_type": "freeform",
    "truncation_policy": {"mode": "bytes", "limit": 10_000},
    "supports_parallel_tool_calls": False,
    "context_window": 272_000,
    "experimental_supported_tools": [],
    "availability_nux": None,
    "upgrade": None,
    "input_modalities": ["text", "image"],
}

_SHELLS: Final[dict[str, Callable[[str], Event]]] = {
    "exec_command": lambda command: {"cmd": command},
    "shell_command": lambda command: {"command": command},
    "shell": lambda command: {"command": ["sh", "-c", command]},
}
"""The tools that run commands, of which a client offers one, and how each is told what to run."""

_PATCH: Final = "*** Begin Patch\n*** Add File: {file}\n+hello\n*** End Patch\n"

_USAGE: Final = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 15,
}


class _Asked(msgspec.Struct):
    input: list[dict[str, Any]]
    tools: list[dict[str, Any]] = []


def list_models(state: State, request: Request) -> Response:
    """GET /backend-api/codex/models: the one that there is."""
    authenticate_for_model(state, request)
    return render_json(200, {"models": [_MODEL]})


def answer(state: State, request: Request) -> Response:
    """POST /backend-api/codex/responses: what the model has to say, as a stream."""
    by = authenticate_for_model(state, request)
    try:
        asked = msgspec.json.decode(request.body, type=_Asked)
    except UNDECODABLE:
        raise Refused(render_oauth_error("invalid_request", "input is not a list of items")) from None
    text, output = _find_order(asked.input)
    failure = re.fullmatch(r"fail ([45]\d\d)", text) if output is None else None
    state.note_prompt(by, text, int(failure[1]) if failure else 200)
    if failure:
        return render_coded_error(int(failure[1]), "sandbox_fault", "as it was told")
    tools = {str(tool.get("name") or tool.get("type")) for tool in asked.tools}
    spoken = _obey(text, tools) if output is None else _say(["The tool has answered: ", output])
    pause = re.fullmatch(r"(?:deltas|times) \d+ (\d{1,5})", text) if output is None else None
    headers = {"content-type": "text/event-stream", "cache-control": "no-store", **render_limit_headers(state)}
    return Response(200, headers, pieces=_render(spoken), pause=int(pause[1]) / 1000 if pause else 0.0)


def _find_order(items: list[dict[str, Any]]) -> tuple[str, str | None]:
    """Give the last text of the person, and what a tool has answered since then.

    Texts that begin with an angle bracket are the client's own: its environment, the names of images.
    """
    output = None
    for item in reversed(items):
        if "output" in item and output is None:
            output = str(item["output"])[:_LONGEST_ECHO]
        if item.get("role") == "user" and isinstance(item.get("content"), list):
            texts = [str(part.get("text") or "").strip() for part in item["content"] if isinstance(part, dict)]
            for text in reversed(texts):
                if text and not text.startswith("<"):
                    return text, output
    return "", output


def _obey(text: str, tools: set[str]) -> Iterator[Event]:
    verb, _, rest = text.partition(" ")
    shell = next((name for name in _SHELLS if name in tools), None)
    if verb == "say":
        return _say(re.findall(r"\S+\s*", rest))
    if verb == "run" and shell is not None:
        arguments = msgspec.json.encode(_SHELLS[shell](rest)).decode()
        return _call("function_call", name=shell, arguments=arguments)
    if verb == "patch" and "apply_patch" in tools:
        return _call("custom_tool_call", name="apply_patch", input=_PATCH.format(file=rest), status="completed")
    if pieces := re.fullmatch(r"(\d{1,6})(?: \d{1,5})?", rest if verb in ("deltas", "times") else ""):
        numbers = range(int(pieces[1]))
        return _say(f"{number if verb == 'deltas' else time.monotonic_ns()} " for number in numbers)
    return _say(["You said: ", text])


def _say(pieces: Iterable[str]) -> Iterator[Event]:
    message = {"type": "message", "role": "assistant", "id": f"msg_{secrets.token_hex(8)}"}
    yield {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**message, "status": "in_progress", "content": []},
    }
    said = []
    for piece in pieces:
        said.append(piece)
        yield {
            "type": "response.output_text.delta",
            "item_id": message["id"],
            "output_index": 0,
            "content_index": 0,
            "delta": piece,
        }
    content = [{"type": "output_text", "text": "".join(said), "annotations": []}]
    yield {
        "type": "response.output_item.done",
        "output_index": 0,
        "item": {**message, "status": "completed", "content": content},
    }


def _call(kind: str, **members: str) -> Iterator[Event]:
    number = secrets.token_hex(8)
    item = {"type": kind, "id": f"item_{number}", "call_id": f"call_{number}", **members}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}


def _render(events: Iterable[Event]) -> Iterator[bytes]:
    """Write a response around what is said, as server-sent events."""
    response = {"id": f"resp_{secrets.token_hex(8)}"}
    yield _render_event({"type": "response.created", "response": response})
    for event in events:
        yield _render_event(event)
    completed = {**response, "object": "response", "status": "completed", "output": [], "usage": _USAGE}
    yield _render_event({"type": "response.completed", "response": completed})


def _render_event(event: Event) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), msgspec.json.encode(event))
