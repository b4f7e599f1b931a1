"""`accountd accounts`: the list at every width, which account is meant here, and what changes the list."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from accountd.cli import exits, main
from accountd.cli.accounts.table import render_table
from accountd.cli.terminal import Screen, count_columns
from fakes.accounts import HOME, SHOP, WORK, list_account, script_accounts
from fakes.app_server import AppServer, Message, Script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_796_000_000.0  # 30 November 2026, at 00:53 UTC
ADA = {"email": "ada@example.com", "planType": "plus"}
ACCOUNTS = [
    list_account("aaaaaa", "home", "active", **ADA, workspace={"id": "1", "name": "Personal", "kind": None}),
    list_account(
        "bbbbbb",
        "work",
        email="ada@example.com",
        planType="team",
        workspace={"id": "2", "name": "Acme", "kind": None},
        expiresAt=NOW + 3 * 86400,
    ),
    list_account(
        "cccccc",
        "shop",
        "needsLogin",
        email="ada@shop.example",
        planType="pro",
        workspace={"id": "3", "name": "Shop", "kind": None},
    ),
]

TABLE = """\
  NAME      WHO                      WORKSPACE   PLAN   STATE
* home      ada@example.com          Personal    plus   active
  work      ada@example.com          Acme        team   stored, token until 3 Dec
  shop      ada@shop.example         Shop        pro    log in again: accountd login --account shop
"""


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have days begin where the test thinks that they do."""
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def lines(width: int, accounts: list[Message] = ACCOUNTS) -> list[str]:
    """Render the list for a terminal of so many columns."""
    return render_table(accounts, NOW, Screen(True, width))  # type: ignore[arg-type]  # as from the daemon


def test_the_list_is_a_table() -> None:
    """In the order of the list, the active one with a star; with what there is to do about one."""
    assert lines(120) == TABLE.splitlines()


@pytest.mark.parametrize("width", [100, 80, 40])
def test_the_list_fits(width: int) -> None:
    """Where the table does not, there are a few lines for each; a command to copy is whole in any case."""
    shown = lines(width)
    assert max(map(count_columns, shown)) <= width
    assert any(line.endswith("accountd login --account shop") for line in shown)
    assert "`" not in "".join(shown)


@pytest.mark.parametrize(
    ("account", "state"),
    [
        (list_account("x", state="active", needsLogin=True), "active, log in again: accountd login --account x"),
        (list_account("x", state="signedOut"), "signed out; log in again: accountd login --account x"),
        (list_account("x", state="forbidden"), "not permitted here"),
        (list_account("x", state="doubtful", expiresAt=NOW - 1), "stored, may be in use elsewhere, token expired"),
        (list_account("x", expiresAt=NOW + 60), "stored, token until 00:54"),
        (list_account("x", expiresAt=NOW + 500 * 86400), "stored, token until 13 Apr 2028"),
        (list_account("x", expiresAt=1e300), "stored"),
        (list_account("x", authMode="apikey", email=None), "stored"),
    ],
)
def test_every_state_has_its_words(account: Message, state: str) -> None:
    """And what to do, if there is something."""
    assert lines(200, [account])[1].endswith(f"   {state}")


def test_what_others_have_written_cannot_steer_the_terminal() -> None:
    """An email and a workspace's name are text."""
    odd = list_account("x", email="a\x1b[2J\n@b", workspace={"id": "1", "name": "\x9b31m", "kind": None})
    assert all(line.isprintable() for width in (200, 40) for line in lines(width, [odd]))


def test_it_says_what_is_meant_here(
    path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pinned folder, and in JSON besides all that the daemon says."""
    monkeypatch.chdir(tmp_path)
    work = {**WORK, "pins": [os.path.realpath(tmp_path)]}
    with AppServer(path, script_accounts(HOME, work)) as server:
        assert main(["accounts"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == f"Here: work (folder {os.path.realpath(tmp_path)})"
        assert main(["accounts", "--json", "--refresh"]) == 0
        assert server.params("accountd/accounts/list") == {"refreshWorkspaces": True}
    here = {"id": WORK["id"], "because": "folder", "folder": os.path.realpath(tmp_path)}
    told = {"version": 1, "activeId": HOME["id"], "revision": 7, "here": here, "accounts": [HOME, work]}
    assert json.loads(capsys.readouterr().out) == told


def test_a_variable_that_names_nobody_is_told_below_the_list(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is where a person finds the name; the exit code is that of any verb."""
    monkeypatch.setenv("ACCOUNTD_ACCOUNT", "wrok")
    with AppServer(path, script_accounts(HOME, WORK)):
        assert main(["accounts"]) == exits.NO_ACCOUNT
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == 3
        assert err.startswith('accountd: ACCOUNTD_ACCOUNT: no account is called "wrok"')
        assert main(["accounts", "--json"]) == exits.NO_ACCOUNT
    told = json.loads(capsys.readouterr().out)
    assert (told["here"], told["error"]["code"], len(told["accounts"])) == (None, "unknown", 2)


def test_without_an_account_there_is_what_to_do(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no failure."""
    with AppServer(path, script_accounts()):
        assert main(["accounts"]) == 0
    assert capsys.readouterr().out == "There is no account. `accountd login` adds one.\n"


DONE: Script = {
    "accountd/accounts/rename": {},
    "accountd/accounts/remove": {},
    "accountd/pins/write": {},
    "accountd/pins/read": {"pins": {"/srv/acme": WORK["id"]}},
}


@pytest.mark.parametrize(
    "change",
    [
        (
            ["rename", "work", "Acme"],
            "accountd/accounts/rename",
            {"account": WORK["id"], "alias": "Acme"},
            "work@example.com in Work is called `acme` now.",
        ),
        (
            ["remove", "shop"],
            "accountd/accounts/remove",
            {"account": SHOP["id"], "revoke": False},
            "Removed shop@example.com in Shop, `shop`. Its login was not revoked.",
        ),
        (
            ["remove", "work", "--revoke"],
            "accountd/accounts/remove",
            {"account": WORK["id"], "revoke": True},
            "Removed work@example.com in Work, `work`. No folder means it any more: /srv/acme.",
        ),
        (
            ["pin", "work", "/usr"],
            "accountd/pins/write",
            {"folder": "/usr", "account": WORK["id"]},
            "/usr, and all below it, means work@example.com in Work, `work`.",
        ),
        (
            ["unpin", "/srv/acme/../acme"],
            "accountd/pins/write",
            {"folder": "/srv/acme", "account": None},
            "/srv/acme means no account of its own any more.",
        ),
        (["pins"], "accountd/accounts/list", {"refreshWorkspaces": False}, "/srv/acme  work"),
    ],
)
def test_the_list_is_changed(
    path: Path, capsys: pytest.CaptureFixture[str], change: tuple[list[str], str, Message, str]
) -> None:
    """By the id of the account that was named, and said in words."""
    arguments, method, params, words = change
    script = script_accounts(HOME, {**WORK, "pins": ["/srv/acme"]}, SHOP)
    with AppServer(path, script | DONE) as server:
        assert main(["accounts", *arguments]) == 0
        assert server.params(method) == params
    assert capsys.readouterr() == (f"{words}\n", "")


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["rename", "nobody", "x"], exits.NO_ACCOUNT, 'no account is called "nobody"'),
        (["remove", "ada@example.com"], exits.NO_ACCOUNT, '"ada@example.com" may be home, work'),
        (["remove", "home"], exits.ERROR, "the active account, which is not removed: `accountd logout --forget`"),
        (["pin", "work", "/nowhere/at/all"], exits.ERROR, "/nowhere/at/all is no folder"),
        (["unpin", "/usr"], exits.ERROR, "/usr is not pinned"),
        (["rename", "work"], exits.USAGE, "`accountd help accounts` explains it."),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, error: str
) -> None:
    """And it is said why."""
    with AppServer(path, script_accounts(HOME, WORK) | DONE) as server:
        assert main(["accounts", *arguments]) == code
        assert not {"accountd/accounts/rename", "accountd/accounts/remove", "accountd/pins/write"} & {
            *server.methods
        }
    assert error in capsys.readouterr().err


def test_options_may_stand_before_the_action(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is said there is not taken back by what the action leaves out."""
    with AppServer(home / "other", script_accounts(HOME) | DONE):
        assert main(["accounts", "--socket", str(home / "other"), "--no-start", "pins"]) == 0
    assert "No folder is pinned" in capsys.readouterr().out


def test_what_has_become_of_each_login_is_told(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With who holds it as well, and what follows from that; it has failed if nothing was taken."""
    one = {"path": "/x/a.json", "tool": "caam", "email": "ada@example.com", "workspaceId": "1", "id": "aaaaaa"}
    bad: Message = {
        **one,
        "path": "/x/b.json",
        "email": None,
        "outcome": "unreadable",
        "why": "it is a pipe",
        "alsoIn": [],
    }
    found = [{**one, "outcome": "added", "why": None, "alsoIn": ["codex-switch"]}, bad]
    with AppServer(path, {"accountd/accounts/import": {"found": found}}) as server:
        assert main(["accounts", "import", "/x"]) == 0
        assert server.params("accountd/accounts/import") == {"path": "/x", "dryRun": False, "move": False}
        told = capsys.readouterr().out.splitlines()
    assert told[:-1] == [
        "/x/a.json: ada@example.com, added; codex-switch holds it as well",
        "/x/b.json: no login, not read: it is a pipe",
    ]
    assert "in two places now" in told[-1]
    with AppServer(path, {"accountd/accounts/import": {"found": [bad]}}):
        assert main(["accounts", "import", "/x", "--move"]) == 1
