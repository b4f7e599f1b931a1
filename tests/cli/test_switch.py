"""`accountd switch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from accountd.cli import exits, main
from accountd.system import foreign_servers
from accountd.system.foreign_servers import ForeignServer
from fakes.accounts import HOME, WORK, list_account, script_accounts
from fakes.app_server import AppServer, Message, Refusal, Script

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.app_server import Answer

IN_USE = "Now in use: work@example.com in Work (team), as `work`."


def script(*others: Message, followers: int = 0) -> Script:
    """Write the answers of a daemon that has home active, and work after a switch."""
    answers = script_accounts(HOME, WORK, *others)
    more = {"followers": followers}
    switched = script_accounts({**HOME, "state": "stored"}, {**WORK, "state": "active"}, *others)

    def switch(params: Message) -> Answer:
        answers["accountd/accounts/list"] = {**cast("Message", switched["accountd/accounts/list"]), **more}
        return {"activeId": WORK["id"], "revision": 8}

    told: Script = {"accountd/accounts/switch": switch, "accountSession/switch": switch}
    answers.update(told | {"accountSession/list": {"sessions": [SESSION]}})
    return answers


@pytest.mark.parametrize(
    ("followers", "told"),
    [(0, ""), (1, " 1 connected client has been told."), (2, " 2 connected clients have been told.")],
)
def test_it_says_who_is_in_use_and_who_has_heard(
    path: Path, capsys: pytest.CaptureFixture[str], followers: int, told: str
) -> None:
    """The account by its id, whatever it was called; neither a folder nor a variable makes a difference."""
    with AppServer(path, script(followers=followers)) as server:
        assert main(["switch", "work"]) == 0
        assert server.params("accountd/accounts/switch") == {"account": WORK["id"]}
    assert capsys.readouterr() == (f"{IN_USE}{told}\n", "")


def test_it_names_who_keeps_the_account_before(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Codex has read auth.json, and does not hear of it."""
    home, found = "/home/someone/.codex", [ForeignServer(4711, "terminal"), ForeignServer(5, "daemon")]
    monkeypatch.setattr(foreign_servers, "find_foreign_servers", {home: found}.__getitem__)
    with AppServer(path, script()):
        assert main(["switch", "work"]) == 0
        who = "codex in a terminal, pid 4711; Codex's own daemon, pid 5"
        told = f"Programs that read auth.json themselves keep the old account until they restart ({who})."
        assert capsys.readouterr().out == f"{IN_USE}\n{told}\n"
        assert main(["switch", "work"]) == 0  # it is in use already
        assert capsys.readouterr().out == f"{IN_USE}\n"


def test_it_wants_a_name_that_is_somebodys(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two accounts do not toggle; and nothing is switched for the name of nobody."""
    with AppServer(path, script()) as server:
        assert main(["switch"]) == exits.USAGE
        assert main(["switch", "wrok"]) == exits.NO_ACCOUNT
        assert "accountd/accounts/switch" not in server.methods
    assert 'no account is called "wrok"' in capsys.readouterr().err


def test_a_refusal_is_told_in_the_daemons_words(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Such as that of a login that waits."""
    text = "Finish or cancel the current login before switching accounts"
    with AppServer(path, script() | {"accountd/accounts/switch": Refusal(-32600, text, "invalidRequest")}):
        assert main(["switch", "work"]) == exits.ERROR
    assert capsys.readouterr() == ("", f"accountd: {text}\n")


SESSION = {
    "sessionId": "s",
    "userId": WORK["userId"],
    "selectedWorkspaceAccountId": WORK["workspace"]["id"],
    "workspaces": [{"accountId": WORK["workspace"]["id"], "name": "Work"}, {"accountId": "ws-2", "name": "Bank"}],
}


@pytest.mark.parametrize("name", ["Bank", "ws-2"])
def test_another_workspace_of_the_login(path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """The account's login goes on there, and is the active one, all in one step."""
    with AppServer(path, script()) as server:
        assert main(["switch", "work", "--workspace", name]) == 0
        assert server.params("accountSession/switch") == {"sessionId": "s", "accountId": "ws-2"}
        assert "accountd/accounts/switch" not in server.methods
    assert capsys.readouterr().out == f"{IN_USE}\n"


def test_a_workspace_that_has_a_login_of_its_own_is_that_account(path: Path) -> None:
    """Nothing is exchanged."""
    bank = {"id": "ws-2", "name": "Bank", "kind": None}
    other = list_account("dddddd", "bank", email=WORK["email"], userId=WORK["userId"], workspace=bank)
    with AppServer(path, script(other)) as server:
        assert main(["switch", "work", "--workspace", "Bank"]) == 0
        assert server.params("accountd/accounts/switch") == {"account": "dddddd"}
        assert "accountSession/list" not in server.methods


def test_a_workspace_that_is_not_there(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is switched, and those that there are are named."""
    with AppServer(path, script()) as server:
        assert main(["switch", "work", "--workspace", "Bnk"]) == exits.NO_ACCOUNT
        assert not [each for each in server.methods if each.endswith("/switch")]
    assert "none is called so: Work, Bank" in capsys.readouterr().err
