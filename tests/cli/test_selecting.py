"""Which account a verb means: what goes before what, and that nobody is taken for somebody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from accountd.cli import exits, main
from accountd.cli.selecting import Wish, decide, find_pin
from fakes.accounts import HOME, SHOP, WORK, script_accounts
from fakes.app_server import AppServer, Message, Refusal, Script

if TYPE_CHECKING:
    from pathlib import Path

PINS = {"/a": "home", "/a/b": "work"}

TOKEN: Message = {"authMode": "chatgpt", "token": "t", "expiresAt": None, "chatgptAccountId": "ws"}


@pytest.mark.parametrize(
    ("option", "variable", "folder", "wish"),
    [
        ("shop", "work", "/a/b", Wish("option", "shop")),
        ("", "work", "/a/b", Wish("option", "")),
        (None, " work ", "/a", Wish("environment", "work")),
        (None, "", "/a/b/c", Wish("folder", "work", "/a/b")),
        (None, " ", "/a/x", Wish("folder", "home", "/a")),
        (None, "", "/b", Wish("active")),
        (None, "", None, Wish("active")),
    ],
)
def test_option_environment_folder_active(
    option: str | None, variable: str, folder: str | None, wish: Wish
) -> None:
    """In this order; a name is whatever was said, though it is empty, and a variable that is empty says nothing."""
    assert decide(option, variable, folder, PINS) == wish


@pytest.mark.parametrize(
    ("folder", "found"),
    [("/a/b/c", "/a/b"), ("/a/bc", "/a"), ("/a", "/a"), ("/", None), ("/x/a/b", None)],
)
def test_the_nearest_folder_above_counts(folder: str, found: str | None) -> None:
    """By whole names of folders."""
    assert find_pin(PINS, folder) == found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder below one, by a link to it."""
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path / "link" / "below")
    return (tmp_path / "real").resolve()


@pytest.mark.parametrize(
    "said",
    [
        ([], "", {"id": WORK["id"], "alias": "work", "because": "folder"}),
        ([], "home", {"id": HOME["id"], "alias": "home", "because": "environment"}),
        (["--account", "shop"], "home", {"id": SHOP["id"], "alias": "shop", "because": "option"}),
    ],
)
def test_a_verb_means_it_and_says_why(
    path: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    said: tuple[list[str], str, Message],
) -> None:
    """The connection is that account's from then on, by the folder's real path; a person and a program are told."""
    arguments, variable, account = said
    monkeypatch.setenv("ACCOUNTD_ACCOUNT", variable)
    script = script_accounts(HOME, {**WORK, "pins": [str(folder)]}, SHOP)
    script |= {"account/read": {"account": {"type": "apiKey"}}, "getAuthStatus": {"authMethod": "apikey"}}
    with AppServer(path, script | {"account/token/read": TOKEN}) as server:
        assert main(["status", "--json", *arguments]) == 0
        assert json.loads(capsys.readouterr().out)["account"] == account
        assert server.methods[:2] == ["accountd/accounts/list", "accountd/accounts/select"]
        assert main(["status", *arguments]) == 0
        where = {"folder": f"folder {folder}", "environment": "ACCOUNTD_ACCOUNT", "option": "--account"}
        assert f"Account     {account['alias']} ({where[account['because']]})" in capsys.readouterr().out
        assert main(["token", "--format", "env", *arguments]) == 0
        assert f"export ACCOUNTD_ACCOUNT={account['id']}" in capsys.readouterr().out


def test_with_one_account_nothing_is_said_of_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is any selected: who has one need not know that there could be others."""
    script = script_accounts(HOME) | {"account/token/read": TOKEN}
    with AppServer(path, script) as server:
        assert main(["token", "--format", "env"]) == 0
        assert server.methods == ["accountd/accounts/list", "account/token/read"]
    assert "ACCOUNTD_ACCOUNT" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "nobody",
    [
        (
            "wrok",
            'no account is called "wrok"; `accountd accounts` lists those there are',
            {"code": "unknown", "candidates": []},
        ),
        (
            "ada@example.com",
            '"ada@example.com" may be home, work',
            {"code": "ambiguous", "candidates": ["home", "work"]},
        ),
    ],
)
@pytest.mark.parametrize("verb", ["token --format json", "usage --json", "status --json"])
def test_a_name_of_nobody_is_an_error(
    path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    nobody: tuple[str, str, Message],
) -> None:
    """Exit code 6, in words and in JSON, wherever it was said; nothing is asked of any account."""
    name, error, told = nobody
    with AppServer(path, script_accounts(HOME, WORK)) as server:
        assert main([*verb.split(), "--account", name]) == exits.NO_ACCOUNT
        assert server.methods == ["accountd/accounts/list", "accountd/accounts/select"]
        out, err = capsys.readouterr()
        assert (json.loads(out), err) == ({"error": told}, f"accountd: {error}\n")
        monkeypatch.setenv("ACCOUNTD_ACCOUNT", name)
        assert main(["logout"]) == exits.NO_ACCOUNT
        assert capsys.readouterr() == ("", f"accountd: ACCOUNTD_ACCOUNT: {error}\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [([], exits.OK), (["--account", "work"], exits.ERROR)],
)
def test_a_daemon_without_a_list_has_one_account(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    """That of an older version: whoever names none is served, and whoever names one is told why not."""
    with AppServer(path, {"account/token/read": TOKEN}):
        assert main(["token", *arguments]) == code
    assert ("older version" in capsys.readouterr().err) == (code == exits.ERROR)


def test_a_list_that_cannot_be_read_is_not_taken_for_none(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its pins may say another account than the active one."""
    script: Script = {"accountd/accounts/list": Refusal(-32603, "the accounts are not known: no")}
    with AppServer(path, script | {"account/token/read": TOKEN}) as server:
        assert main(["token"]) == exits.ERROR
        assert "account/token/read" not in server.methods
    assert capsys.readouterr() == ("", "accountd: the accounts are not known: no\n")


def test_who_has_to_log_in_again_is_told_as_whom(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit codes 3 and 4 are of the account that is meant, and the command logs that one in."""
    refused = Refusal(-32603, "no", "refreshRefused")
    with AppServer(path, script_accounts(HOME, SHOP) | {"account/token/read": refused}):
        assert main(["token", "--account", "shop"]) == exits.NEEDS_LOGIN
    assert capsys.readouterr().err == (
        "accountd: shop (--account): not logged in: the login that is stored here is no longer accepted. "
        "Log in again with `accountd login --account shop`.\n"
    )
