"""The document that other programs read and write as well."""

from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.errors import MalformedRecord
from accountd.files.read import MAX_FILE
from accountd.oauth.claims import parse_claims
from accountd.oauth.refresh import Refreshed
from accountd.oauth.tokens import TokenSet
from accountd.secret import Secret
from accountd.storage.base import (
    AuthRecord,
    Provenance,
    api_key_record,
    chatgpt_record,
    has_other_tokens,
    is_same_account,
    refreshed_record,
    render_time,
)
from accountd.storage.document import parse_record, render_record

CANARY = "canary-in-the-document"


def make_jwt(**claims: object) -> str:
    """Make an unsigned JWT."""
    parts = ({"alg": "none"}, claims, "signature")
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)


ID_TOKEN = make_jwt(
    email="ada@example.com",
    **{"https://api.openai.com/auth": {"chatgpt_account_id": "acct-1", "chatgpt_plan_type": "pro"}},
)
TOKENS = {"id_token": ID_TOKEN, "access_token": "at", "refresh_token": "rt"}


def parse(document: object) -> AuthRecord:
    """Parse a document given as a value."""
    return parse_record(json.dumps(document).encode())


def test_a_login_is_written_as_codex_writes_it() -> None:
    """All fields of the peer, in its order, with two spaces of indentation."""
    tokens = TokenSet(Secret(ID_TOKEN), Secret("at"), Secret("rt"))
    claims = parse_claims(tokens.id_token)
    record = chatgpt_record(tokens, claims, Provenance("https://i.example", "app_1"), 1_795_351_305_812_286_324)
    document = json.loads(render_record(record))
    assert list(document) == ["auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh"]
    assert document["auth_mode"] == "chatgpt"
    assert document["OPENAI_API_KEY"] is None
    assert list(document["tokens"]) == [
        "id_token",
        "access_token",
        "refresh_token",
        "oauth_provenance",
        "login_owner_id",
        "account_id",
    ]
    assert document["tokens"]["oauth_provenance"] == {"issuer": "https://i.example", "client_id": "app_1"}
    assert document["tokens"]["account_id"] == "acct-1"
    assert re.fullmatch(r"[\w-]{43}", document["tokens"]["login_owner_id"])
    assert document["last_refresh"] == "2026-11-22T12:41:45.812286324Z"
    assert render_record(record).startswith(b'{\n  "auth_mode": "chatgpt",\n  "OPENAI_API_KEY": null,\n  "tok')


def test_every_login_has_an_owner_id_of_its_own() -> None:
    """Two logins with the same tokens are told apart."""
    tokens = TokenSet(Secret(ID_TOKEN), Secret("at"), Secret("rt"))
    claims, provenance = parse_claims(tokens.id_token), Provenance("i", "c")
    first, second = (chatgpt_record(tokens, claims, provenance, 0) for _ in range(2))
    assert first.chatgpt is not None
    assert second.chatgpt is not None
    assert first.chatgpt.login_owner_id != second.chatgpt.login_owner_id


def test_an_access_token_that_is_empty_has_expired() -> None:
    """No request could carry it, so a refresh is due at once, however short a time ago the last one was."""
    tokens = {"id_token": ID_TOKEN, "access_token": "", "refresh_token": "rt"}
    login = parse_record(json.dumps({"tokens": tokens}).encode()).chatgpt
    assert login is not None
    assert login.expires_at == 0


def test_a_time_keeps_its_zeros() -> None:
    """Nanoseconds are nine digits, always."""
    assert render_time(1_000_000_005) == "1970-01-01T00:00:01.000000005Z"


def test_an_empty_key_is_written_as_one() -> None:
    """The peer takes an empty key, and so do we; it is not null."""
    assert json.loads(render_record(api_key_record(Secret(""))))["OPENAI_API_KEY"] == ""


def test_an_api_key_is_written_without_tokens() -> None:
    """The peer writes a key with its mode and nothing else."""
    assert json.loads(render_record(api_key_record(Secret("sk-1")))) == {
        "auth_mode": "apikey",
        "OPENAI_API_KEY": "sk-1",
    }


@pytest.mark.parametrize(
    ("document", "mode"),
    [
        ({"OPENAI_API_KEY": "sk"}, "apikey"),
        ({"OPENAI_API_KEY": "sk", "tokens": TOKENS}, "apikey"),
        ({"OPENAI_API_KEY": None, "tokens": TOKENS}, "chatgpt"),
        ({"tokens": TOKENS}, "chatgpt"),
        ({"auth_mode": "chatgpt", "OPENAI_API_KEY": "sk", "tokens": TOKENS}, "chatgpt"),
        ({"auth_mode": "apikey", "OPENAI_API_KEY": "sk", "tokens": TOKENS}, "apikey"),
        ({"auth_mode": "apikey"}, None),
        ({"auth_mode": "chatgpt", "OPENAI_API_KEY": "sk"}, None),
        ({"auth_mode": "bogus", "OPENAI_API_KEY": "sk"}, None),
        ({"personal_access_token": "at-1", "OPENAI_API_KEY": "sk"}, None),
        ({"bedrock_api_key": {"key": "k"}}, None),
        ({}, None),
    ],
)
def test_the_mode_decides_which_credential_counts(document: dict[str, object], mode: str | None) -> None:
    """With `auth_mode` it is that one; without, a key goes before tokens, and others before both.

    Written again it is the same: what could not be used does not come back as what can.
    """
    record = parse(document)
    assert record.mode == mode
    assert parse_record(render_record(record)) == record


@given(
    st.dictionaries(
        st.text().filter(lambda key: key not in {"auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh"}),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    ),
    st.dictionaries(st.sampled_from(["new_member", "another"]), st.integers() | st.text()),
    st.dictionaries(st.sampled_from(["scope", "another"]), st.integers() | st.text()),
)
def test_what_is_not_known_is_kept(
    outer: dict[str, object], inner: dict[str, object], provenance: dict[str, object]
) -> None:
    """Reading and writing a document changes none of its members, whoever added them and wherever."""
    known = {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {
            **TOKENS,
            "account_id": "acct-1",
            "oauth_provenance": {"issuer": "i", "client_id": "c", **provenance},
            **inner,
        },
        "last_refresh": "2026-01-01T00:00:00Z",
    }
    document = known | outer
    assert json.loads(render_record(parse(document))) == document


@pytest.mark.parametrize("value", ["1e308", "1.00", "1e999", "9" * 5000, '"\\u00e9"', '[{"a":-0.0}]'])
def test_what_is_not_known_is_not_even_read(value: str) -> None:
    """It is kept to the letter, but for blanks: numbers that no float holds, or that take long, among it."""
    document = f'{{"OPENAI_API_KEY": "sk", "other":  {value}}}'.encode()
    record = parse_record(document)
    assert f'"other":{value}'.encode() in render_record(record, compact=True)
    assert parse_record(render_record(record)) == record


@pytest.mark.parametrize(
    "document",
    [
        b'{"OPENAI_API_KEY": "sk", "other": "' + b"x" * MAX_FILE + b'"}',
        b'{"OPENAI_API_KEY": "sk", "other": "\xff"}',
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"OPENAI_API_KEY": 5}',
        b'{"tokens": {}}',
        b'{"tokens": {"id_token": "not a jwt", "access_token": "a", "refresh_token": "r"}}',
        b'{"tokens": {"id_token": {"raw": "x"}, "access_token": "a", "refresh_token": "r"}}',
    ],
)
def test_what_codex_could_not_have_written_is_malformed(document: bytes) -> None:
    """Torn, foreign and hostile documents are one error, and no other exception."""
    with pytest.raises(MalformedRecord):
        parse_record(document)


@given(st.binary() | st.recursive(st.none() | st.text(), st.lists).map(lambda value: json.dumps(value).encode()))
def test_no_document_raises_anything_else(document: bytes) -> None:
    """Whatever is in the file, it is a record or it is malformed."""
    try:
        parse_record(document)
    except MalformedRecord:
        return


def test_no_part_of_a_document_is_shown() -> None:
    """Neither a record nor the error about one shows what is in it, known or not."""
    document = {
        "OPENAI_API_KEY": CANARY,
        "agent_identity": CANARY,
        CANARY: "as a name",
        "tokens": {**TOKENS, "access_token": CANARY, "refresh_token": CANARY, "other": CANARY},
    }
    assert CANARY not in repr(parse(document))
    assert "Unknown(2)" in repr(parse(document))
    with pytest.raises(MalformedRecord) as caught:
        parse({"tokens": {"id_token": CANARY, "access_token": CANARY, "refresh_token": CANARY}})
    error: BaseException | None = caught.value
    assert CANARY not in str(error)
    assert caught.value.__suppress_context__


def test_a_refresh_is_written_with_its_time_and_what_can_be_read_of_it() -> None:
    """An ID token that cannot be read is left; one who stored it could not read the document again."""
    record = parse({"auth_mode": "chatgpt", "tokens": TOKENS, "last_refresh": "2026-01-02T03:04:05Z"})
    assert record.chatgpt is not None
    refreshed = Refreshed(Secret("no jwt"), Secret("at-2"), Secret("rt-2"))
    after = refreshed_record(record, record.chatgpt, refreshed, 1_795_351_305_812_286_324)
    document = json.loads(render_record(after))
    assert document["last_refresh"] == render_time(1_795_351_305_812_286_324)
    told = {name: document["tokens"][name] for name in TOKENS}
    assert told == {"id_token": ID_TOKEN, "access_token": "at-2", "refresh_token": "rt-2"}


def test_a_refresh_is_of_the_same_account_and_in_use() -> None:
    """Not another account's tokens, not those that lie beside an API key, and not the very same ones."""
    ours = parse({"auth_mode": "chatgpt", "tokens": TOKENS | {"account_id": "acct-1"}})
    newer = TOKENS | {"refresh_token": "rt-2"}
    login = ours.chatgpt
    assert login is not None
    refreshed = parse({"auth_mode": "chatgpt", "tokens": newer | {"account_id": "acct-1"}})
    theirs = parse({"auth_mode": "chatgpt", "tokens": newer | {"account_id": "acct-2"}})
    beside = parse({"auth_mode": "apikey", "OPENAI_API_KEY": "sk", "tokens": newer | {"account_id": "acct-1"}})
    assert [has_other_tokens(record, login) for record in (refreshed, ours, theirs, beside)] == [
        True,
        False,
        False,
        False,
    ]
    assert [is_same_account(record, login) for record in (refreshed, ours, theirs, beside)] == [
        True,
        True,
        False,
        False,
    ]


def test_another_person_of_the_same_workspace_is_another_account() -> None:
    """Where both say who they are; a token that does not, is the same account's."""

    def by(user: str | None) -> AuthRecord:
        claims = {"https://api.openai.com/auth": {"chatgpt_account_id": "acct-1", "chatgpt_user_id": user}}
        tokens = {"id_token": make_jwt(**claims), "access_token": make_jwt(**claims), "refresh_token": f"rt-{user}"}
        return parse({"auth_mode": "chatgpt", "tokens": tokens | {"account_id": "acct-1"}})

    ours = by("user-1").chatgpt
    assert ours is not None
    assert [is_same_account(by(user), ours) for user in ("user-1", "user-2", None)] == [True, False, True]


@pytest.mark.parametrize(
    ("identity", "access", "told"),
    [
        (("acct-1", "pro"), ("acct-1", "plus"), "pro"),  # an ordinary login
        (("acct-0", "pro"), ("acct-1", "plus"), "plus"),  # after a switch of workspaces
        (("acct-0", "pro"), ("acct-0", "plus"), "pro"),  # the access token is not this workspace's either
        (("acct-0", "pro"), ("acct-1", "plus", "user-2"), "pro"),  # nor this person's
        (("acct-0", "pro"), None, "pro"),  # no JWT
    ],
)
def test_the_plan_is_that_of_the_workspace_in_use(
    identity: tuple[str, ...], access: tuple[str, ...] | None, told: str
) -> None:
    """The ID token goes on naming the workspace of the login, and its plan."""

    def token(account: str, plan: str, user: str = "user-1") -> str:
        auth = {"chatgpt_account_id": account, "chatgpt_plan_type": plan, "chatgpt_user_id": user}
        return make_jwt(**{"https://api.openai.com/auth": auth})

    tokens = {
        "id_token": token(*identity),
        "access_token": token(*access) if access else "at",
        "refresh_token": "rt",
    }
    login = parse({"auth_mode": "chatgpt", "tokens": tokens | {"account_id": "acct-1"}}).chatgpt
    assert login is not None
    assert login.plan == told
