"""The table of methods: what each takes, and in which words it refuses the rest."""

from __future__ import annotations

import contextlib
import inspect
import json
import re
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.errors import InvalidRequest
from accountd.protocol import account
from accountd.protocol.jsonrpc import Request, parse_message
from accountd.protocol.methods import (
    METHODS,
    NOTIFICATIONS,
    experimental_reason,
    find_method,
    is_in_turn,
    parse_params,
)

START = "account/login/start"
NINES = "9" * 40
TYPES = "`apiKey`, `chatgpt`, `chatgptDeviceCode`, `chatgptAuthTokens`"


def params_of(text: str) -> msgspec.Raw | msgspec.UnsetType:
    """Take the params through the envelope, as they come from a client; the empty text is no params."""
    message = parse_message(b'{"id":1,"method":"m"%b}' % (f',"params":{text}'.encode() if text else b""))
    assert isinstance(message, Request)
    return message.params


def refusal(method: str, text: str) -> str:
    """Give the text in which params are refused."""
    with pytest.raises(InvalidRequest) as caught:
        parse_params(method, params_of(text))
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("account/read", "{}", account.GetAccountParams()),
        ("account/read", '{"refreshToken":true,"unknown":[1]}', account.GetAccountParams(refresh_token=True)),
        ("getAuthStatus", '{"includeToken":null}', account.GetAuthStatusParams()),
        ("getAuthStatus", '{"includeToken":true,"refreshToken":false}', account.GetAuthStatusParams(True, False)),
        ("account/login/cancel", '{"loginId":"x"}', account.CancelLoginAccountParams("x")),
        ("account/login/start", '{"type":"apiKey","apiKey":""}', account.ApiKeyLogin("")),
        ("account/login/start", '{"type":"chatgptDeviceCode"}', account.DeviceCodeLogin()),
        ("account/login/start", '{"type":"chatgpt","appBrand":null}', account.BrowserLogin()),
        (
            "account/login/start",
            '{"appBrand":"chatgpt","codexStreamlinedLogin":true,"useHostedLoginSuccessPage":true,"type":"chatgpt"}',
            account.BrowserLogin(True, True, "chatgpt"),
        ),
        (
            "account/login/start",
            '{"type":"chatgptAuthTokens","accessToken":"a","chatgptAccountId":"b"}',
            account.ExternalTokensLogin("a", "b"),
        ),
        (
            "initialize",
            '{"clientInfo":{"name":"n","version":"v","title":null},"capabilities":null}',
            account.InitializeParams(account.ClientInfo("n", "v")),
        ),
        (
            "initialize",
            '{"clientInfo":{"name":"n","version":"v"},"capabilities":{"experimentalApi":true,'
            '"optOutNotificationMethods":["a"],"extensions":{"accountd":{"x":1},"other":5},"requestAttestation":1}}',
            account.InitializeParams(
                account.ClientInfo("n", "v"),
                account.Capabilities(True, ("a",), account.Extensions(account.AccountdExtension())),
            ),
        ),
        ("account/logout", "", None),
        ("account/logout", "null", None),
        ("account/logout", "{}", None),
        ("account/logout", '{"unknown":1}', None),
    ],
)
def test_params_become_their_struct(method: str, params: str, expected: object) -> None:
    """Good params are read, unknown members are ignored, and logout takes nothing however that is written."""
    assert parse_params(method, params_of(params)) == expected


@pytest.mark.parametrize(
    ("method", "params", "text"),
    [
        # Seen on the real server.
        ("account/read", "5", "invalid type: integer `5`, expected struct GetAccountParams"),
        ("account/read", '{"refreshToken":"yes"}', 'invalid type: string "yes", expected a boolean'),
        ("account/read", '{"refreshToken":null}', "invalid type: null, expected a boolean"),
        ("account/login/start", '{"type":"apiKey"}', "missing field `apiKey`"),
        ("account/login/start", '{"type":"apiKey","apiKey":5}', "invalid type: integer `5`, expected a string"),
        ("account/login/start", '{"type":"bogus"}', f"unknown variant `bogus`, expected one of {TYPES}"),
        ("account/login/start", "{}", "missing field `type`"),
        ("account/login/cancel", "{}", "missing field `loginId`"),
        ("account/read", "", "missing field `params`"),
        ("account/read", "null", "missing field `params`"),
        ("account/login/start", " null ", "missing field `params`"),
        # In the same words.
        (START, '{"type":"chatgpt","appBrand":"x"}', "unknown variant `x`, expected `codex` or `chatgpt`"),
        (START, '{"type":"chatgpt","appBrand":5}', "invalid type: integer `5`, expected variant identifier"),
        ("account/login/start", '{"type":5}', "invalid type: integer `5`, expected variant identifier"),
        ("account/login/start", '{"type":null}', "invalid type: null, expected variant identifier"),
        ("account/login/start", '{"type":"apiKey","type":"chatgpt"}', "duplicate field `type`"),
        ("account/login/start", "[]", "invalid type: sequence, expected a map"),
        ("account/login/cancel", '"x"', 'invalid type: string "x", expected struct CancelLoginAccountParams'),
        ("account/login/cancel", '{"loginId":"a","loginId":{}}', "invalid type: map, expected a string"),
        ("account/login/cancel", '{"loginId":[1]}', "invalid type: sequence, expected a string"),
        ("account/login/cancel", '{"loginId":false}', "invalid type: boolean `false`, expected a string"),
        ("account/login/cancel", '{"loginId":1.5}', "invalid type: floating point `1.5`, expected a string"),
        ("account/login/cancel", f'{{"loginId":-{NINES}}}', f"invalid type: integer `-{NINES}`, expected a string"),
        ("getAuthStatus", '{"includeToken":"a\\"\\n"}', 'invalid type: string "a\\"\\n", expected a boolean'),
        ("initialize", '{"clientInfo":5}', "invalid type: integer `5`, expected struct ClientInfo"),
        ("initialize", '{"clientInfo":{"name":5},"clientInfo":6}', "invalid type: integer `6`, expected a string"),
        ("initialize", '{"clientInfo":{"name":"n"}}', "missing field `version`"),
        ("initialize", '{"clientInfo":{"name":5,"version":""}}', "invalid type: integer `5`, expected a string"),
        (
            "initialize",
            '{"clientInfo":{"name":"","version":""},"capabilities":{"optOutNotificationMethods":"x"}}',
            'invalid type: string "x", expected a sequence',
        ),
        (
            "initialize",
            '{"clientInfo":{"name":"","version":""},"capabilities":{"optOutNotificationMethods":["a",5]}}',
            "invalid type: integer `5`, expected a string",
        ),
        (
            "initialize",
            '{"clientInfo":{"name":"","version":""},"capabilities":{"extensions":{"accountd":true}}}',
            "invalid type: boolean `true`, expected struct AccountdExtension",
        ),
        # Nothing is read but the value that is wrong; where that fails, the first complaint stands.
        ("account/login/cancel", '{"loginId":5,"x":1e400}', "invalid type: integer `5`, expected a string"),
        ("account/login/cancel", f'{{"loginId":{[1] * 20_000}}}', "invalid type: sequence, expected a string"),
        ("account/login/cancel", f'{{"loginId":{[1] * 30_000}}}', "expected `str`, got `array` - at `$.loginId`"),
        ("account/login/cancel", '{"loginId":1e400}', "number out of range - at `$.loginId`"),
        # What a message quotes is not taken for the message.
        (
            "account/login/start",
            '{"type":"Object missing required field `x`"}',
            f"unknown variant `Object missing required field `x``, expected one of {TYPES}",
        ),
    ],
)  # fmt: skip
def test_bad_params_are_refused_in_the_words_of_codex(method: str, params: str, text: str) -> None:
    """Each fault is named as the real server's JSON library names it, with `Invalid request: ` before it."""
    assert refusal(method, params) == f"Invalid request: {text}"


def test_params_nested_to_any_depth_are_read_or_refused() -> None:
    """No depth gets another exception out of parsing, also where the envelope could just be read."""
    for depth in range(0, sys.getrecursionlimit(), 7):
        message = parse_message(
            b'{"id":1,"method":"m","params":{"loginId":5,"x":%b%b}}' % (b"[" * depth, b"]" * depth)
        )
        if isinstance(message, Request):
            with pytest.raises(InvalidRequest):
                _deeper(message.params, 20)


def _deeper(params: msgspec.Raw | msgspec.UnsetType, calls: int) -> None:
    if calls:
        _deeper(params, calls - 1)
    else:
        parse_params("account/login/cancel", params)


def test_params_that_skipped_the_envelope_are_refused_as_well() -> None:
    """Bytes that are no JSON are no exception of another kind, whoever hands them over."""
    for raw in (b"\xff", b'{"loginId":"\xff"}', b'{"loginId":"\\ud800"}', b"[" * 100_000, b"{"):
        with pytest.raises(InvalidRequest, match=r"^Invalid request: "):
            parse_params("account/login/cancel", msgspec.Raw(raw))


FIELDS = ["type", "apiKey", "appBrand", "loginId", "refreshToken", "clientInfo", "name", "version", "capabilities"]
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(METHODS)), ANY)
def test_any_params_are_taken_or_refused(method: str, params: object) -> None:
    """Nothing but InvalidRequest is raised, whatever stands where."""
    with contextlib.suppress(InvalidRequest):
        parse_params(method, params_of(json.dumps(params)))


def test_an_unknown_method_is_told_the_known_ones() -> None:
    """The text begins as the real server's does, and lists what would have been understood."""
    with pytest.raises(InvalidRequest) as caught:
        find_method("no/such/method", extension=True)
    text = str(caught.value)
    assert text.startswith(
        "Invalid request: unknown variant `no/such/method`, expected one of `initialize`, `account/"
    )
    assert all(f"`{method}`" in text for method in METHODS)


def test_a_known_method_is_found() -> None:
    """Only initialize opens a connection; what changes the account is done in turn."""
    assert [name for name in METHODS if find_method(name, extension=True).before_initialize] == ["initialize"]
    assert {name for name in METHODS if find_method(name, extension=True).in_turn} == {
        "initialize",
        "account/login/start",
        "account/login/cancel",
        "account/login/submitCallback",
        "account/forget",
        "accountd/accounts/select",
        "accountd/accounts/switch",
        "accountd/accounts/rename",
        "accountd/accounts/remove",
        "accountd/accounts/import",
        "accountd/pins/write",
        "account/logout",
        "accountSession/switch",
        "accountd/tokenSocket/open",
        "accountd/tokenSocket/close",
    }


def test_an_unknown_method_waits_for_nothing() -> None:
    """The order of requests can be told before it is known whether there is such a method."""
    assert is_in_turn("account/logout")
    assert not is_in_turn("account/read")
    assert not is_in_turn("no/such/method")


def test_external_tokens_are_experimental() -> None:
    """Of all logins one needs the capability, and it is named as the real server names it."""
    tokens = account.ExternalTokensLogin("a", "b")
    assert experimental_reason("account/login/start", tokens) == "account/login/start.chatgptAuthTokens"
    for login in (account.ApiKeyLogin("k"), account.BrowserLogin(), account.DeviceCodeLogin()):
        assert experimental_reason("account/login/start", login) is None
    assert experimental_reason("account/logout", None) is None


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (account.LogoutAccountResponse(), {}),
        (
            account.InitializeResponse("a", "/h", "unix", "linux"),
            {"userAgent": "a", "codexHome": "/h", "platformFamily": "unix", "platformOs": "linux"},
        ),
        (account.ApiKeyLoginDone(), {"type": "apiKey"}),
        (
            account.DeviceCodeLoginStarted("i", "u", "c"),
            {"type": "chatgptDeviceCode", "loginId": "i", "verificationUrl": "u", "userCode": "c"},
        ),
        (account.CancelLoginAccountResponse("notFound"), {"status": "notFound"}),
        (
            account.GetAccountResponse(None),
            {"account": None, "userId": None, "requiresOpenaiAuth": True, "workspaceRouting": None},
        ),
        (
            account.GetAccountResponse(
                account.ChatgptAccount(None, "pro", None),
                "u",
                True,
                account.WorkspaceRouting("a", "https://b", "us"),
            ),
            {
                "account": {"type": "chatgpt", "email": None, "planType": "pro", "workspaceName": None},
                "userId": "u",
                "requiresOpenaiAuth": True,
                "workspaceRouting": {
                    "chatgptAccountId": "a",
                    "backendOrigin": "https://b",
                    "accountRoutingOverride": "us",
                },
            },
        ),
        (
            account.GetAccountResponse(account.ApiKeyAccount()),
            {"account": {"type": "apiKey"}, "userId": None, "requiresOpenaiAuth": True, "workspaceRouting": None},
        ),
        (account.GetAuthStatusResponse(), {"authMethod": None, "authToken": None, "requiresOpenaiAuth": True}),
        (
            account.AccountLoginCompleted(None, True),
            {"loginId": None, "success": True, "error": None, "onboardingEntrypoint": None},
        ),
        (account.AccountUpdated(None, None), {"authMode": None, "planType": None, "reason": None}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_sent_has_exactly_these_members(value: msgspec.Struct, wire: dict[str, object]) -> None:
    """Names are camelCase, and what is not known is null, never absent."""
    assert json.loads(msgspec.json.encode(value)) == wire


def test_every_body_is_frozen_and_camel_case() -> None:
    """A body can be shared between connections, because nobody can change it; no name has an underscore."""
    bodies = [body for _, body in inspect.getmembers(account, inspect.isclass) if issubclass(body, account.Wire)]
    assert len(bodies) > 20
    for body in bodies:
        assert body.__struct_config__.frozen, body
        assert not any("_" in name for name in body.__struct_encode_fields__), body


def test_no_message_has_a_place_for_a_refresh_token() -> None:
    """Neither a result nor a notification, however deep: their schemas name no such member."""
    for sent in (*(method.result for method in METHODS.values()), *NOTIFICATIONS):
        names = re.findall(r'"(\w+)": ', json.dumps(msgspec.json.schema(sent)))
        assert not [name for name in names if re.search("refresh_?token", name, re.IGNORECASE)], sent


def test_every_notification_has_its_method() -> None:
    """The notifications of the account, and ours, are sent under the names that clients opt out of."""
    assert {body.__name__: method for body, method in NOTIFICATIONS.items()} == {
        "AccountLoginCompleted": "account/login/completed",
        "AccountLoginProgress": "account/login/progress",
        "AccountUpdated": "account/updated",
        "AccountTokenChanged": "account/token/changed",
        "AccountsChanged": "accountd/accounts/changed",
    }


@pytest.mark.parametrize("name", ["account/rateLimits/read", "account/usage/read"])
@pytest.mark.parametrize("params", [msgspec.UNSET, msgspec.Raw(b"null"), msgspec.Raw(b"{}")])
def test_optional_params_may_be_left_out(name: str, params: msgspec.Raw | msgspec.UnsetType) -> None:
    """Absent, null and empty are the same: everything as usual."""
    assert parse_params(name, params) == parse_params(name, msgspec.Raw(b"{}"))


def test_a_whole_method_can_be_experimental() -> None:
    """It is named by its name, where a variant of one is named by both."""
    params = parse_params("accountSession/list", msgspec.Raw(b"{}"))
    assert experimental_reason("accountSession/list", params) == "accountSession/list"


@pytest.mark.parametrize(("seconds", "bound"), [(90_000, "<= 86400"), (-1, ">= 0")])
def test_a_number_out_of_range_is_told_with_the_range(seconds: int, bound: str) -> None:
    """What was sent, and what may be."""
    with pytest.raises(InvalidRequest) as caught:
        parse_params("account/token/read", msgspec.Raw(b'{"minValidSeconds":%d}' % seconds))
    assert str(caught.value) == (
        f"Invalid request: invalid value: integer `{seconds}`, expected an integer {bound}"
    )
