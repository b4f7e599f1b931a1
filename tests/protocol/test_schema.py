"""The schema that we publish: that it is one, that it is complete, and that it tells the truth about us."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from jsonschema import Draft7Validator

from accountd.protocol.methods import METHODS, NOTIFICATIONS, SERVER_REQUESTS, parse_params
from accountd.protocol.schema import BUNDLE, render_files
from fakes.conversation import hold_conversation
from fakes.from_schema import values_of
from fakes.instances import as_json, instances_of

if TYPE_CHECKING:
    import trio.testing

FILES = {path: json.loads(text) for path, text in render_files().items()}
REQUESTS = {each["properties"]["method"]["enum"][0]: each for each in FILES["ClientRequest.json"]["oneOf"]}


MAPS = {"accountd/Methods.json", "accountd/Notifications.json", "accountd/ServerRequests.json"}


def result_of(method: str) -> Any:
    """Give the schema of a method's result, by the way that a reader of the folder takes."""
    maps = FILES["accountd/Methods.json"]
    return {**maps["properties"][method]["properties"]["result"], "definitions": maps["definitions"]}


@pytest.mark.parametrize("path", FILES)
def test_every_file_is_a_schema_that_stands_alone(path: str) -> None:
    """It is good draft-07, is called what its file is called, and refers to nothing that is not in it."""
    Draft7Validator.check_schema(FILES[path])
    if path != BUNDLE:
        assert FILES[path]["title"] == PurePosixPath(path).stem
    references = re.findall(r'"\$ref": "([^"]*)"', json.dumps(FILES[path]))
    definitions = FILES[path].get("definitions", {})
    assert {reference.removeprefix("#/definitions/") for reference in references} <= definitions.keys()
    if path != BUNDLE:  # which says all, whoever asks for it
        assert len(definitions) == len(set(references))


def test_every_file_ends_its_last_line() -> None:
    """The files are text, fit to be kept in a repository."""
    assert all(text.endswith(b"}\n") and text.decode() for text in render_files().values())


def test_the_envelopes_hold_the_tables() -> None:
    """Every method, notification and question is there once, and the bundle has all that the files have."""
    told = [each["properties"]["method"]["enum"][0] for each in FILES["ServerNotification.json"]["oneOf"]]
    asked = [each["properties"]["method"]["enum"][0] for each in FILES["ServerRequest.json"]["oneOf"]]
    assert list(REQUESTS) == list(METHODS)
    assert told == list(NOTIFICATIONS.values())
    assert asked == [question.method for question in SERVER_REQUESTS]
    names = {FILES[path]["title"].removeprefix("Nullable") for path in FILES if path != BUNDLE}
    assert names <= FILES[BUNDLE]["definitions"].keys()


def test_what_is_ours_or_experimental_says_so() -> None:
    """By the capability that it needs, in the envelope and in the files; and nothing else says so."""
    needs = {method: each["$comment"] for method, each in REQUESTS.items() if "$comment" in each}
    assert needs == {
        **{name: "capability: extensions.accountd" for name, method in METHODS.items() if method.extension},
        "accountSession/list": "capability: experimentalApi",
        "accountSession/switch": "capability: experimentalApi",
    }
    for path, schema in FILES.items():
        if path.startswith("accountd/") and path not in MAPS:
            assert schema["$comment"] == "capability: extensions.accountd"
            assert schema["description"].endswith("Only with the capability `extensions.accountd`.")
    tokens = FILES["v2/LoginAccountParams.json"]["definitions"]["ExternalTokensLogin"]
    assert tokens["$comment"] == "capability: experimentalApi"
    marked = {path for path, schema in FILES.items() if "$comment" in schema and not path.startswith("accountd/")}
    assert marked == {
        "v2/AccountSessionsListParams.json",
        "v2/AccountSessionsResponse.json",
        "v2/AccountSessionsSwitchParams.json",
        "v2/AccountSessionsSwitchResponse.json",
    }


def test_descriptions_call_members_by_their_names_on_the_wire() -> None:
    """What a docstring says of `auth_token`, a schema says of `authToken`; and it is not indented."""
    told = FILES["v2/AccountLoginCompletedNotification.json"]["description"]
    assert "`loginId` is null" in told
    for name, schema in FILES[BUNDLE]["definitions"].items():
        members = schema.get("properties", {})
        words = re.findall(r"`(\w+_\w+)`", schema.get("description", ""))
        assert not [word for word in words if word.replace("_", "") in map(str.lower, members)], name
        assert "\n " not in schema.get("description", "")


@pytest.mark.parametrize("method", [name for name, each in METHODS.items() if each.params is not None])
def test_what_the_schema_allows_to_be_asked_is_accepted(method: str) -> None:
    """Whoever keeps to the params of the schema is never told that they are wrong."""
    schema = {**REQUESTS[method]["properties"]["params"], "definitions": FILES["ClientRequest.json"]["definitions"]}

    @given(values_of(schema))
    def accept(params: Any) -> None:
        parse_params(method, msgspec.Raw(msgspec.json.encode(params)))

    accept()


@pytest.mark.parametrize("method", METHODS)
def test_whatever_is_answered_is_as_the_schema_says(method: str) -> None:
    """No result that the types allow is against the schema."""
    schema = Draft7Validator(result_of(method))

    @given(instances_of(METHODS[method].result))
    def send(result: Any) -> None:
        schema.validate(as_json(result))

    send()


async def test_what_is_really_said_is_as_the_schema_says(
    loopback: None, autojump_clock: trio.testing.MockClock
) -> None:
    """A client that uses everything hears what it was told it would; and of every member that it was told of."""
    talker = await hold_conversation()
    assert {each.method for each in talker.results} == METHODS.keys()
    for each in talker.results:
        Draft7Validator(result_of(each.method)).validate(each.body)
        Draft7Validator(FILES["JSONRPCResponse.json"]).validate(each.message)
    for each in talker.notifications:
        Draft7Validator(FILES["ServerNotification.json"]).validate(each.message)
    assert talker.questions
    for each in talker.questions:
        Draft7Validator(FILES["ServerRequest.json"]).validate(each.message)


@pytest.mark.parametrize("missing", ["userId", "account", "requiresOpenaiAuth", "workspaceRouting"])
def test_a_member_that_is_missing_is_against_the_schema(missing: str) -> None:
    """All members of what is sent are promised, those too that the type has a default for."""
    answer = {"account": None, "userId": None, "requiresOpenaiAuth": True, "workspaceRouting": None}
    schema = Draft7Validator(result_of("account/read"))
    assert schema.is_valid(answer)
    del answer[missing]
    assert not schema.is_valid(answer)
