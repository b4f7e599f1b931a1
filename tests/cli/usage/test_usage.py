"""`accountd usage`: what is printed where, and the exit code that scripts go by."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from accountd.cli import main
from fakes.accounts import HOME, SHOP, WORK, script_accounts
from fakes.app_server import AppServer, Message, Refusal, Script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fakes.terminal import Terminal

LIMITS: Message = {
    "rateLimits": {
        "limitId": "codex",
        "planType": "plus",
        "primary": {"usedPercent": 42, "windowDurationMins": 300, "resetsAt": 4_000_000_000},
    },
    "rateLimitsByLimitId": {},
    "rateLimitResetCredits": None,
}
USAGE: Message = {"summary": {"lifetimeTokens": 4600}, "dailyUsageBuckets": None}
ANSWERS: Script = {"account/rateLimits/read": LIMITS, "account/usage/read": USAGE}


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    """Let the local time be UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC0")
        time.tzset()
        yield
    time.tzset()


def test_off_a_terminal_there_is_a_line_for_each_window(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither bars nor colours, and the times with their zone. Exit code 0."""
    with AppServer(path, ANSWERS) as server:
        assert main(["usage"]) == 0
        assert server.params("account/rateLimits/read") == {}
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        "codex primary 42% used, window 300 min, resets 2096-10-02T07:06:40+00:00",
        "plan plus",
        "tokens lifetime 4600",
    ]


def test_json_is_both_results_as_they_are(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object, with members that are always there."""
    with AppServer(path, ANSWERS):
        assert main(["usage", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"limits": LIMITS, "usage": USAGE, "usageError": None}


def test_what_is_nice_to_know_may_fail(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the tokens there are still the limits; only the JSON says why. Exit code 0."""
    with AppServer(path, {**ANSWERS, "account/usage/read": Refusal(-32603, "timed out")}):
        assert main(["usage"]) == 0
        assert "tokens" not in capsys.readouterr().out
        assert main(["usage", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["usage"], answer["usageError"]) == (None, "timed out")


def test_an_answer_without_limits_says_so(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is a line, where there is nothing to make one of."""
    with AppServer(path, {"account/rateLimits/read": {}, "account/usage/read": {}}):
        assert main(["usage"]) == 0
    assert capsys.readouterr().out == "Nothing is known of this account's limits.\n"


NOBODY = "codex account authentication required to read rate limits"
KEY = "chatgpt authentication required to read rate limits"
BROKEN = "failed to fetch codex rate limits: 503 Service Unavailable"


def refused(words: str, reason: str | None) -> Script:
    """Write the answers of a daemon that cannot tell the limits of who is logged in."""
    return {
        "account/rateLimits/read": Refusal(-32600, words),
        "accountd/status": {"credential": {"reason": reason, "unusedBecause": None}},
    }


@pytest.mark.parametrize(
    ("answers", "code", "words"),
    [
        (refused(NOBODY, "notLoggedIn"), 3, "not logged in. Log in with `accountd login`."),
        (refused(KEY, None), 1, KEY),
        (refused(BROKEN, None), 1, BROKEN),
    ],
)
def test_why_it_is_not_known(
    path: Path, capsys: pytest.CaptureFixture[str], answers: Script, code: int, words: str
) -> None:
    """One line on stderr, nothing on stdout, and codes as those of `status`; with --json too."""
    with AppServer(path, answers):
        for arguments in ([], ["--json"]):
            assert main(["usage", *arguments]) == code
            assert capsys.readouterr() == ("", f"accountd: {words}\n")


def test_who_is_logged_in_may_be_unknown_too(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If it cannot be found out whether somebody is logged in, the first failure is the one that is told."""
    with AppServer(path, {"account/rateLimits/read": Refusal(-32603, BROKEN)}):
        assert main(["usage"]) == 1
    assert capsys.readouterr().err == f"accountd: {BROKEN}\n"


@pytest.mark.process
@pytest.mark.parametrize(
    ("columns", "environ", "bar"),
    [
        (80, {"NO_COLOR": ""}, f"\x1b[32m{'█' * 21}\x1b[0m\x1b[2m{'░' * 29}\x1b[0m"),
        (80, {}, "█" * 21 + "░" * 29),
        (40, {}, "█" * 8 + "░" * 11),
        (40, {"TERM": "dumb", "NO_COLOR": ""}, "█" * 8 + "░" * 11),
        (40, {"PYTHONIOENCODING": "ascii"}, "#" * 8 + "-" * 11),
    ],
)
def test_on_a_terminal_there_are_bars(
    path: Path, run: type[Terminal], columns: int, environ: dict[str, str], bar: str
) -> None:
    """As wide as there is room, in colours if they are wanted, of what the encoding has."""
    with AppServer(path, ANSWERS):
        terminal = run("usage", columns=columns, **environ)
        assert terminal.wait() == 0
    assert f"  5 hours  {bar}  42% used\r\n" in terminal.screen
    assert ("\x1b" in terminal.screen) is (environ.get("NO_COLOR") == "" and "TERM" not in environ)
    lines = re.sub(r"\x1b\[\d+m", "", terminal.screen).split("\r\n")
    assert max(map(len, lines)) <= columns


@pytest.mark.process
def test_json_on_a_terminal_is_json(path: Path, run: type[Terminal]) -> None:
    """`--json` is for programs wherever it goes."""
    with AppServer(path, ANSWERS):
        terminal = run("usage", "--json", columns=20, NO_COLOR="")
        assert terminal.wait() == 0
    assert json.loads(terminal.screen)["limits"] == LIMITS


def test_the_limits_of_all_are_in_the_order_of_the_list(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is left of them; one that fails does not fail the others, and says what to do. Exit code 0."""

    def answer(params: Message) -> Message | Refusal:
        match params["account"]:
            case account_id if account_id == SHOP["id"]:
                return Refusal(-32600, "chatgpt authentication required to read rate limits", "refreshRefused")
            case account_id if account_id == WORK["id"]:
                return Refusal(-32600, "an API key has no limits", "notLoggedIn")
        return LIMITS

    with AppServer(path, script_accounts(WORK, SHOP, HOME) | {"account/rateLimits/read": answer}):
        assert main(["usage", "--all", "--json"]) == 0
        login = "Log in again with `accountd login --account shop`."
        assert json.loads(capsys.readouterr().out) == {
            "accounts": [
                {
                    "id": "bbbbbb",
                    "alias": "work",
                    "limits": None,
                    "error": "an API key has no limits",
                },
                {
                    "id": "cccccc",
                    "alias": "shop",
                    "limits": None,
                    "error": f"not logged in: the login that is stored here is no longer accepted. {login}",
                },
                {"id": "aaaaaa", "alias": "home", "limits": LIMITS, "error": None},
            ]
        }
        assert main(["usage", "--all"]) == 0
        assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
            ["work", "error"],
            ["shop", "error"],
            ["home", "codex"],
            ["home", "plan"],
        ]
    with AppServer(path, script_accounts(WORK, SHOP) | {"account/rateLimits/read": answer}):
        assert main(["usage", "--all"]) == 1
