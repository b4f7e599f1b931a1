"""`accountd login` with several accounts: what the daemon is asked, and what is said of the account that is new."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from accountd.cli import exits, main
from fakes.accounts import HOME, WORK, script_accounts
from fakes.app_server import STARTED, AppServer, Message, Refusal, Script, begin, completed

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.app_server import Answer

NEW: Message = {**WORK, "lastRefresh": "2026-11-30T00:00:00Z"}


def script(*before: Message, after: tuple[Message, ...]) -> Script:
    """Write the answers of a daemon that has some accounts before a login, and others after it."""
    answers, changed = script_accounts(*before), script_accounts(*after)

    def start(_: Message) -> Answer:
        answers.update(changed)
        return begin(STARTED, completed())

    def read(_: Message) -> Answer:
        return {"account": {"type": "chatgpt", "email": "work@example.com", "planType": "team"}}

    told: Script = {"account/login/start": start, "account/read": read, "getAuthStatus": {"authMethod": "chatgpt"}}
    answers.update(told)
    return answers


@pytest.mark.parametrize(
    ("arguments", "wishes"),
    [
        ([], None),
        (["--keep-active"], {"activate": False}),
        (["--as", "acme"], {"alias": "acme"}),
        (["--account", "work", "--keep-active"], {"activate": False, "account": "work"}),
    ],
)
def test_the_daemon_is_told_what_becomes_of_it(path: Path, arguments: list[str], wishes: Message | None) -> None:
    """As the protocol has it, and nothing where nothing is wished."""
    with AppServer(path, script(HOME, WORK, after=(HOME, NEW))) as server:
        assert main(["login", "--json", *arguments]) == 0
        told = {"accountd": wishes} if wishes else {}
        assert server.params("account/login/start") == {"type": "chatgptDeviceCode", **told}


@pytest.mark.parametrize(
    "course",
    [
        (
            ["--keep-active"],
            (HOME,),
            (HOME, NEW),
            "It is kept as `work`; `accountd switch work` has it in use.",
        ),
        (
            ["--keep-active"],  # the same account again
            (HOME, WORK),
            (HOME, NEW),
            "It is kept as `work`; `accountd switch work` has it in use.",
        ),
        (
            [],
            (HOME,),
            ({**HOME, "state": "stored"}, {**NEW, "state": "active"}),
            "In use from now on, as `work`; `accountd switch home` goes back to the account before.",
        ),
        ([], (), ({**NEW, "state": "active"},), None),
        ([], ({**WORK, "state": "active"},), ({**NEW, "state": "active"},), None),
    ],
)
def test_it_is_said_what_has_become_of_it(
    path: Path,
    capsys: pytest.CaptureFixture[str],
    course: tuple[list[str], tuple[Message, ...], tuple[Message, ...], str | None],
) -> None:
    """Who is in use, where that may be another than before; a program is told the account's id."""
    arguments, before, after, note = course
    with AppServer(path, script(*before, after=after)) as server:
        assert main(["login", *arguments]) == 0
        told = capsys.readouterr().out.partition("Logged in with ChatGPT as work@example.com.\n")[2]
        assert told == (f"{note}\n" if note else "")
        if "--keep-active" in arguments:
            assert server.params("accountd/accounts/select") == {"account": WORK["id"]}
    with AppServer(path, script(*before, after=after)):
        assert main(["login", "--json", *arguments]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["accountId"] == WORK["id"]


def test_nobody_is_logged_in_as_nobody(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A login begins for an account that there is, or not at all; a program hears of it as of any login's end."""
    with AppServer(path, script(HOME, after=(HOME,))) as server:
        assert main(["login", "--account", "wrok"]) == exits.NO_ACCOUNT
        assert main(["login", "--account", "wrok", "--json"]) == exits.NO_ACCOUNT
        assert "account/login/start" not in server.methods
    end = json.loads(capsys.readouterr().out)
    assert (end["event"], end["success"], end["reason"]) == ("completed", False, "noSuchAccount")


@pytest.mark.parametrize("wish", [["--keep-active"], ["--as", "work"]])
def test_a_daemon_that_would_not_keep_to_it_is_not_asked(
    path: Path, capsys: pytest.CaptureFixture[str], wish: list[str]
) -> None:
    """One of an older version would make the account the active one, and say nothing."""
    unknown = Refusal(-32600, "Invalid request: unknown variant `accountd/accounts/select`, expected one of …")
    with AppServer(path, {"accountd/accounts/select": unknown}) as server:
        assert main(["login", *wish]) == exits.ERROR
        assert "account/login/start" not in server.methods
    assert "older version" in capsys.readouterr().err
