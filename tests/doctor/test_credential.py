"""The store and the credential in it: what is told of each state, and never a token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from accountd.doctor import credential
from accountd.doctor.credential import check_credential, check_leftovers, check_store
from accountd.errors import KeyringAbsent, KeyringLocked
from accountd.oauth.claims import parse_claims
from accountd.sandbox import Sandbox
from accountd.secret import Secret
from accountd.storage.base import Provenance, api_key_record, chatgpt_record
from accountd.storage.document import render_record
from fakes.surroundings import NOW, daemon_with, surroundings

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.errors import KeyringError
    from accountd.storage.base import AuthRecord


def chatgpt_login(now: float) -> AuthRecord:
    """Make a login whose token is good for an hour from then."""
    tokens = Sandbox(now=lambda: now).issue_tokens()
    return chatgpt_record(tokens, parse_claims(tokens.id_token), Provenance("i", "c"), int(now * 1e9))


async def test_a_file_is_read(tmp_path: Path) -> None:
    """With a login or without; one that cannot be read is a failure, and its content is not told."""
    assert (await check_store(surroundings(tmp_path))).summary.endswith("holds no login")
    (tmp_path / "auth.json").write_bytes(render_record(api_key_record(Secret("sk-canary"))))
    found = await check_store(surroundings(tmp_path))
    assert (found.verdict, found.summary) == ("ok", f"file ({tmp_path}/auth.json) holds a login")
    (tmp_path / "auth.json").write_text('{"OPENAI_API_KEY": sk-canary')
    found = await check_store(surroundings(tmp_path))
    assert found.verdict == "fail"
    assert "sk-canary" not in repr(found)
    assert "accountd login" in (found.remedy or "")


async def test_a_file_that_may_not_be_read_is_a_failure(tmp_path: Path) -> None:
    """The system's word is told; here that it is a folder, which root cannot read either."""
    (tmp_path / "auth.json").mkdir()
    found = await check_store(surroundings(tmp_path))
    assert (found.verdict, "Is a directory" in found.summary) == ("fail", True)


@pytest.mark.parametrize(
    ("problem", "summary", "remedy"),
    [
        (KeyringLocked(), "the keyring is locked", "unlock it, or set "),
        (KeyringAbsent("there is no session bus", "start one"), "there is no session bus", "start one, or set "),
    ],
)
async def test_a_keyring_that_is_locked_or_absent_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: KeyringError, summary: str, remedy: str
) -> None:
    """Its problem is the summary, and what the person can do the remedy."""

    class Broken:
        async def load(self) -> None:
            raise problem

    monkeypatch.setattr(credential, "open_store", lambda _: Broken())
    found = await check_store(surroundings(tmp_path))
    assert (found.verdict, found.summary) == ("fail", summary)
    assert (found.remedy or "").startswith(remedy)


async def test_memory_is_not_looked_into(tmp_path: Path) -> None:
    """An ephemeral login is in the daemon alone."""
    (tmp_path / "config.toml").write_text('cli_auth_credentials_store = "ephemeral"\n')
    assert (await check_store(surroundings(tmp_path))).verdict == "ok"


def status(**members: object) -> dict[str, Any]:
    """Write what a daemon says of its credential."""
    return {"credential": {"mode": "chatgpt", "needsLogin": False, "expiresAt": NOW + 3600} | members}


FAILED = {"outcome": "failed", "at": NOW - 60, "error": "no route."}


@pytest.mark.parametrize(
    ("said", "verdict", "text"),
    [
        (status(), "ok", "logged in (chatgpt); the token is good for 60 min"),
        (status(expiresAt=NOW + 86_400), "ok", "logged in (chatgpt); the token is good for 24 h"),
        (status(mode="apikey", expiresAt=None), "ok", "logged in (apikey), with what does not expire"),
        (status(mode=None, reason="notLoggedIn"), "warn", "not logged in. Log in with `accountd login`."),
        (
            status(mode=None, reason="workspaceForbidden", unusedBecause="no."),
            "fail",
            "not logged in: what is stored is not permitted here. no.",
        ),
        (
            status(workspaceError="no: 503"),
            "warn",
            "logged in, but the workspace is not known: no: 503",
        ),
        (
            status(expiresAt=NOW - 600),
            "ok",
            "logged in (chatgpt); the token expired 10 min ago, and the next use refreshes it",
        ),
        (
            status(reason="refreshRefused", unusedBecause="spent."),
            "fail",
            "not logged in: the login that is stored here is no longer accepted (spent). Log in again with "
            "`accountd login`.",
        ),
        (
            {**status(), "lastRefresh": FAILED},
            "warn",
            "the last refresh failed: no route; the token is good for 60 min",
        ),
        (
            status(expiresAt=NOW - 5, reason="issuerUnreachable", unusedBecause="no route"),
            "fail",
            "the access token has expired, and the issuer cannot be reached: no route",
        ),
        (
            {**status(), "lastRefresh": {**FAILED, "outcome": "done"}},
            "ok",
            "logged in (chatgpt); the token is good for 60 min",
        ),
    ],
)
async def test_the_daemon_knows_how_the_login_is(
    tmp_path: Path, said: dict[str, Any], verdict: str, text: str
) -> None:
    """Who is there to be asked is asked: its expiry, its last refresh, and whether it is refused."""
    found = await check_credential(surroundings(tmp_path, daemon=daemon_with(tmp_path, **said)))
    assert (found.verdict, found.summary) == (verdict, text)
    assert (found.remedy is None) == (verdict == "ok")


async def test_without_a_daemon_the_store_is_read(tmp_path: Path) -> None:
    """The expiry is the token's own; neither token is told."""
    assert (
        await check_credential(surroundings(tmp_path))
    ).summary == "not logged in. Log in with `accountd login`."
    record = chatgpt_login(NOW)
    assert record.chatgpt is not None
    (tmp_path / "auth.json").write_bytes(render_record(record))
    found = await check_credential(surroundings(tmp_path))
    assert (found.verdict, found.summary) == ("ok", "logged in (chatgpt); the token is good for 60 min")
    assert not re.search(r"eyJ|rt_", repr(found))
    assert record.chatgpt.tokens.refresh_token.reveal() not in repr(found)
    (tmp_path / "config.toml").write_text('forced_login_method = "api"')
    found = await check_credential(surroundings(tmp_path))
    assert (found.verdict, "ChatGPT login is disabled" in found.summary) == ("fail", True)


async def test_files_that_may_hold_tokens_are_told_of(home: Path) -> None:
    """By name, for whoever looks after the folder; a home that is not there has none."""
    assert (await check_leftovers(surroundings(home / "new"))).verdict == "ok"
    assert (await check_leftovers(surroundings(home))).verdict == "ok"
    names = [".auth.json.0123456789abcdef.tmp", "auth.json.corrupt-20270115T080000"]
    for name in names:
        (home / name).touch()
    found = await check_leftovers(surroundings(home))
    assert found.verdict == "warn"
    assert all(f"{home}/{name}" in found.summary for name in names)
