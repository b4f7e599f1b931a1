"""Claims: where each stands in a token, what is none, and that no more is decoded than is read."""

from __future__ import annotations

import base64
import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.codex.plans import parse_plan
from accountd.oauth.claims import MAX_CLAIMS, Claims, MalformedToken, parse_claims, read_claims
from accountd.secret import Secret

AUTH, PROFILE = "https://api.openai.com/auth", "https://api.openai.com/profile"
NO_TIMES: list[object] = [None, "soon", True, [], {}, -1, 1e12, 10**400]
NOTHING = Claims(email=None, plan="unknown", user_id=None, account_id=None)


def jwt(payload: object) -> Secret:
    """Make a token of these claims, or of these bytes; head and signature are nothing."""
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Secret(f"e30.{base64.urlsafe_b64encode(text).decode().rstrip('=')}.sig")


@pytest.mark.parametrize(
    ("payload", "claims"),
    [
        (
            {
                "email": "a@b",
                PROFILE: {"email": "other"},
                AUTH: {
                    "chatgpt_plan_type": "pro",
                    "chatgpt_user_id": "u",
                    "user_id": "v",
                    "chatgpt_account_id": "w",
                },
            },
            Claims("a@b", "pro", "u", "w"),
        ),
        ({PROFILE: {"email": "c@d"}, AUTH: {"user_id": "v"}}, Claims("c@d", "unknown", "v", None)),
        ({AUTH: {"chatgpt_account_is_fedramp": True}}, Claims(None, "unknown", None, None, is_fedramp=True)),
        ({AUTH: {"chatgpt_account_is_fedramp": "true"}}, NOTHING),
        ({"email": "", PROFILE: {"email": "c@d"}}, Claims("c@d", "unknown", None, None)),
        ({AUTH: {"chatgpt_user_id": "", "user_id": "v"}}, Claims(None, "unknown", "v", None)),
        ({"email": "", PROFILE: {"email": ""}, AUTH: {"user_id": "", "chatgpt_account_id": ""}}, NOTHING),
        ({}, NOTHING),
        ({"email": 5, PROFILE: "x", AUTH: ["x"]}, NOTHING),
        ({"email": None, PROFILE: None, AUTH: {"chatgpt_plan_type": 5, "chatgpt_user_id": {}}}, NOTHING),
        ({"email": "é\U0001f600>>>???"}, Claims("é\U0001f600>>>???", "unknown", None, None)),
        ({"email": "x" * 10_000}, Claims("x" * 10_000, "unknown", None, None)),
        ({"exp": 1_900_000_000}, Claims(None, "unknown", None, None, expires_at=1_900_000_000.0)),
        ({"exp": 10_000.5}, Claims(None, "unknown", None, None, expires_at=10_000.5)),
        *(({"exp": wrong}, NOTHING) for wrong in NO_TIMES),
    ],
)
def test_claims_are_read_where_they_stand(payload: object, claims: Claims) -> None:
    """Each has its place and its second place; of the wrong type or empty, it counts as absent."""
    assert parse_claims(jwt(payload)) == claims


@pytest.mark.parametrize(
    ("claim", "plan"),
    [
        ("free", "free"),
        ("enterprise_cbp_usage_based", "enterprise_cbp_usage_based"),
        ("sci_plus", "sci_plus"),
        ("hc", "enterprise"),
        ("education", "edu"),
        ("unknown", "unknown"),
        ("guest", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_plan_has_a_name_that_clients_know(claim: str | None, plan: str) -> None:
    """Two plans have another name in tokens; what clients cannot know is `unknown`."""
    assert parse_plan(claim) == plan


MALFORMED = [
    "",
    "a",
    "a.b",
    "a.b.c.d",
    "a.e30",
    "a.e30.c.d",
    "..",
    "a..c",
    ".e30.c",
    "a.e30.",
    "a.A.c",
    "a.!!!!.c",
    "a.é.c",
    "a.\ud800.c",
    "a.e30 .c",
    "a.e30!!!!.c",
    jwt(b"").reveal(),
    jwt(b"no json").reveal(),
    jwt([]).reveal(),
    jwt("text").reveal(),
    jwt(b"\xff").reveal(),
    jwt(b'{"email":"\xff"}').reveal(),
    jwt(b'{"email":"\\ud800"}').reveal(),
    jwt(b"[" * 5000).reveal(),
    jwt(b'{"a":' * 3000).reveal(),
]


@pytest.mark.parametrize("token", MALFORMED, ids=lambda token: ascii(token[:24]))
def test_what_is_no_token_is_refused_in_the_words_of_codex(token: str) -> None:
    """Three parts with an object in the middle, or else the one text."""
    with pytest.raises(MalformedToken, match=r"^invalid ID token format$"):
        parse_claims(Secret(token))


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda payload: jwt(payload).reveal()))
def test_any_text_is_claims_or_malformed(token: str) -> None:
    """Nothing but MalformedToken is raised."""
    with contextlib.suppress(MalformedToken):
        assert parse_claims(Secret(token)).plan


@pytest.mark.parametrize("name", ["email", "exp", "anything", AUTH, PROFILE])
def test_numbers_that_take_long_are_not_decoded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Msgspec takes a thousand times as long for a large exponent as for its text; none is looked at but `exp`."""
    decoded = list[object]()
    decode = msgspec.json.decode

    def watch(text: object, *, type: object) -> object:  # noqa: A002 - its name there
        decoded.append(type)
        return decode(text, type=type)  # type: ignore[call-overload]  # of any type

    monkeypatch.setattr(msgspec.json, "decode", watch)
    claims = read_claims(jwt(b'{"%b":[%b1]}' % (name.encode(), b"1e308," * 2000)))
    assert claims == NOTHING
    assert object not in decoded
    assert len(decoded) <= 12


def test_what_is_no_jwt_has_no_claims() -> None:
    """An access token may be opaque, and as good as any other."""
    assert read_claims(Secret("opaque")) is None


def test_claims_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer ones are refused by their length alone."""
    assert parse_claims(jwt(b"{%b}" % (b" " * (MAX_CLAIMS - 2)))) == NOTHING
    monkeypatch.setattr(base64, "b64decode", lambda *_, **__: pytest.fail("it was decoded"))
    with pytest.raises(MalformedToken, match=f"longer than {MAX_CLAIMS} bytes"):
        parse_claims(jwt(b"{%b}" % (b" " * (MAX_CLAIMS + 2))))
