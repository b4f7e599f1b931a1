"""`accountd logout`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.cli import main
from accountd.system import foreign_servers
from accountd.system.foreign_servers import ForeignServer
from fakes.accounts import HOME, SHOP, WORK, list_account, script_accounts
from fakes.app_server import AppServer, Message, Refusal

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_it_logs_out(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The daemon is asked, and the person is told."""
    with AppServer(path, {"account/logout": {}}) as server:
        assert main(["logout"]) == 0
        assert server.methods == ["accountd/status", "accountd/accounts/list", "account/logout"]
    assert capsys.readouterr() == ("Logged out.\n", "")


def test_it_forgets(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--forget` the daemon is asked for that instead, and the person is told what was not done."""
    with AppServer(path, {"account/forget": {}}) as server:
        assert main(["logout", "--forget"]) == 0
        assert server.methods == ["accountd/status", "accountd/accounts/list", "account/forget"]
    assert capsys.readouterr() == ("Logged out on this machine; the login was not revoked.\n", "")


def test_a_failure_is_told_in_the_daemons_words(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error response is one line on stderr, and exit code 1."""
    with AppServer(path, {"account/logout": Refusal(-32603, "logout failed: Read-only file system")}):
        assert main(["logout"]) == 1
    assert capsys.readouterr() == ("", "accountd: logout failed: Read-only file system\n")


def test_what_could_not_be_read_is_not_deleted_in_silence(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be somebody's only copy of something."""
    status = {"credential": {"reason": "unreadableRecord", "unusedBecause": "/h/auth.json: Permission denied"}}
    with AppServer(path, {"accountd/status": status, "account/logout": {}}):
        assert main(["logout"]) == 0
    why = "It could not be read, so no login was revoked: /h/auth.json: Permission denied"
    assert capsys.readouterr() == (f"What was stored is deleted. {why}\n", "")


def test_nobody_is_not_said_to_be_logged_out(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The daemon is asked all the same: a login may be waiting."""
    status = {"credential": {"reason": "notLoggedIn", "unusedBecause": None}}
    with AppServer(path, {"accountd/status": status, "account/logout": {}}) as server:
        assert main(["logout"]) == 0
        assert server.methods[-1] == "account/logout"
    assert capsys.readouterr() == ("Nobody was logged in.\n", "")


def test_who_goes_on_with_the_login_is_named(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Codex that has read the login does not hear that it has ended."""
    home, found = "/home/someone/.codex", [ForeignServer(7, "app-server")]
    monkeypatch.setattr(foreign_servers, "find_foreign_servers", {home: found}.__getitem__)
    with AppServer(path, {"account/logout": {}}):
        assert main(["logout"]) == 0
    told = "accountd: warning: an app-server (pid 7) had read the login before, and may go on with that: "
    remedy = "restart the client that has started it, or end it there\n"
    assert capsys.readouterr() == ("Logged out.\n", told + remedy)


def test_it_says_whose_login_has_ended_and_that_nobody_takes_its_place(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The active account, or one that is named; a pinned folder makes no difference."""
    work = {**WORK, "pins": ["/"]}
    with AppServer(path, script_accounts(HOME, work) | {"accountd/status": {}, "account/logout": {}}) as server:
        assert main(["logout"]) == 0
        assert server.params("accountd/accounts/select") == {"account": HOME["id"]}
        assert capsys.readouterr().out.splitlines() == [
            "Logged out. It was home@example.com in Home, home (active).",
            "No other account takes its place; `accountd switch NAME` has one of these in use: work.",
        ]
        monkeypatch.setenv("ACCOUNTD_ACCOUNT", "work")
        assert main(["logout"]) == 0
        assert server.params("accountd/accounts/select") == {"account": "work"}
    assert capsys.readouterr().out == "Logged out. It was work@example.com in Work, work (ACCOUNTD_ACCOUNT).\n"


def test_every_account_is_logged_out(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The active one last, those that are signed out are forgotten, and one that fails keeps none of the others."""

    def answer(params: Message) -> Message | Refusal:
        return Refusal(-32603, "logout failed: no") if params["account"] == WORK["id"] else {}

    out = list_account("dddddd", "gone", "signedOut")
    script = script_accounts(HOME, WORK, SHOP, out)
    with AppServer(path, script | {"account/logout": answer, "accountd/accounts/remove": {}}) as server:
        assert main(["logout", "--all"]) == 1
        asked = [r["params"]["account"] for r in server.requests if r["method"] == "account/logout"]
        assert asked == [WORK["id"], SHOP["id"], HOME["id"]]
        assert server.params("accountd/accounts/remove") == {"account": "dddddd", "revoke": False}
    told, error = capsys.readouterr()
    assert told.splitlines() == [
        "Logged out: shop@example.com in Shop, `shop`.",
        "Logged out: gone@example.com in Gone, `gone`.",
        "Logged out: home@example.com in Home, `home`.",
    ]
    assert error == "accountd: work: logout failed: no\n"
