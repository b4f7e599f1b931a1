"""Each switcher's files, as they lie on a disk; and what is read of nothing that only looks like them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from accountd.storage.document import render_record
from accountd.switchers.formats import find_sources
from fakes.records import log_in

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

ONE, TWO = render_record(log_in("user-1", "acct-1")), render_record(log_in("user-2", "acct-2"))


def switcher_file() -> bytes:
    """Write both as codex-switcher does, with an account that has no tokens."""
    tokens = [json.loads(document)["tokens"] for document in (ONE, TWO)]
    kept = [{name: text for name, text in each.items() if isinstance(text, str)} for each in tokens]
    data = [{"auth_data": {"type": "chat_g_p_t"} | each} for each in kept]
    return json.dumps({"version": 1, "accounts": [*data, {"auth_data": {"type": "chat_g_p_t"}}]}).encode()


LAYOUTS: list[tuple[str, str, dict[str, bytes]]] = [
    ("auth.json", "Codex", {"auth.json": ONE}),
    ("", "Codex", {"auth.json": ONE}),
    (
        "accounts",
        "codex-auth",
        {"accounts/registry.json": b"", "accounts/a.auth.json": ONE, "accounts/b.auth.json": TWO},
    ),
    ("accounts/registry.json", "codex-auth", {"accounts/registry.json": b"{}", "accounts/a.auth.json": ONE}),
    (".codex-switcher", "codex-switcher", {".codex-switcher/accounts.json": switcher_file()}),
    ("caam", "caam", {"caam/vault/codex/a/auth.json": ONE, "caam/vault/codex/b/auth.json": TWO}),
    ("vault/codex", "caam", {"vault/codex/a/auth.json": ONE}),
    (".codex-switch", "codex-switch", {".codex-switch/home.json": ONE, ".codex-switch/config.json": b"[]"}),
    (".codex-accounts", "codex-accounts", {".codex-accounts/a/auth.json": ONE, ".codex-accounts/b/auth.json": TWO}),
    ("homes", "multi-codex", {"homes/a/auth.json": ONE}),
    ("s", "Codex", {"s/account-sessions.json": b"{}", "s/account-sessions/1.json": ONE}),
]


@pytest.mark.parametrize(("named", "tool", "files"), LAYOUTS, ids=[layout[0] or "a home" for layout in LAYOUTS])
def test_the_logins_of_each_tool_are_found(named: str, tool: str, files: dict[str, bytes], tmp_path: Path) -> None:
    """With the tool's name, and with every token as it is."""
    for name, document in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(document)
    found = find_sources(tmp_path / named if named else tmp_path)
    wanted = sum(document.count(b'"refresh_token"') for document in files.values())
    records = [each.record for each in found if each.record is not None]
    assert len(records) == wanted
    assert {each.tool for each in found} == {tool}
    assert all(record.chatgpt is not None and record.chatgpt.tokens.refresh_token for record in records)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("ln -s other auth.json", "cannot be read"),
        ("head -c 1048577 /dev/zero > auth.json", "cannot be read"),
        ("mkfifo auth.json", "cannot be read"),
        ("echo '{\"tokens\": 1}' > auth.json", "no credential"),
        ("printf 'SQLite format 3\\000' > auth.json", "cc-switch"),
        ("cp other auth.json; chown 12345 auth.json", "ermission denied"),
    ],
)
def test_what_is_no_plain_credential_of_this_user_is_not_read(harm: str, words: str, tmp_path: Path) -> None:
    """It is told by name, with the reason."""
    (tmp_path / "other").write_bytes(ONE)
    if "chown" in harm and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    assert os.system(f"cd '{tmp_path}' && {harm}") == 0
    [found] = find_sources(tmp_path / "auth.json")
    assert found.record is None
    assert words in (found.problem or "")


@pytest.mark.parametrize("name", [".cc-switch/cc-switch.db", ".antigravity_cockpit/codex_accounts.json", "nothing"])
def test_what_cannot_be_read_is_declined(name: str, tmp_path: Path) -> None:
    """By the name of the tool, where one is known."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    [found] = find_sources(tmp_path / name)
    assert found.problem
