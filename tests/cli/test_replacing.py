"""A daemon with another environment than this shell's: told in what, replaced where nobody would miss it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from accountd import __version__
from accountd.cli import main, replacing
from fakes.app_server import AppServer, Refusal

if TYPE_CHECKING:
    from pathlib import Path

FAILS = Refusal(-32603, "error sending request to auth.openai.com: no connection within 10 s", "remoteUnreachable")
STATUS: dict[str, Any] = {
    "version": __version__,
    "pid": 4711,
    "startedBy": "client",
    "connections": 1,
    "logins": [],
    "holdsOnlyCopy": False,
    "environment": {},
}
DIFFERENCE = "the daemon was started with another HTTPS_PROXY"


@pytest.fixture(autouse=True)
def ended(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Name a proxy in this shell, and give the list of the sockets whose daemons are ended; they stay."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    found: list[str] = []
    monkeypatch.setattr(replacing, "end_daemon", lambda path, _status: found.append(path))
    return found


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"startedBy": "person"}, "somebody has started it by hand: `accountd restart`"),
        ({"startedBy": "serviceManager"}, "runs it: `"),
        ({"logins": [{}]}, "it has 1 login under way: `accountd restart` ends that"),
        ({"holdsOnlyCopy": True}, "it has a login that is in its memory alone: `accountd restart`"),
        ({"connections": 3}, "it has 2 other clients: `accountd restart`"),
        ({"version": "0.0.1"}, None),
        ({}, None),
    ],
)
def test_one_that_would_be_missed_is_told_of_and_stays(
    status: dict[str, Any],
    reason: str | None,
    path: Path,
    ended: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A failure says in which variable the two differ and why that is so still; else there is one second try."""
    with AppServer(path, {"accountd/status": {**STATUS, **status}, "account/token/read": FAILS}) as server:
        assert main(["token"]) == 1
        assert server.methods.count("account/token/read") == (2 if reason is None else 1)
    said = capsys.readouterr().err
    assert ended == ([str(path)] if reason is None else [])
    assert said.startswith("accountd: error sending request to auth.openai.com: no connection within 10 s")
    difference = f"the daemon is accountd 0.0.1, and this is {__version__}" if "version" in status else DIFFERENCE
    assert f"; {difference}" in said
    assert (reason or "another one takes its place\n") in said


def test_a_logout_looks_before_it_asks(path: Path, ended: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A revocation that goes another way fails without a word: so the daemon is replaced first."""
    with AppServer(path, {"accountd/status": STATUS, "account/logout": {}}):
        assert main(["logout"]) == 0
    assert ended == [str(path)]
    assert capsys.readouterr().err == f"accountd: {DIFFERENCE}: another one takes its place\n"


@pytest.mark.parametrize("verb", ["token", "logout"])
def test_with_no_start_nothing_is_replaced(
    verb: str, path: Path, ended: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """There might be none afterwards."""
    answers: dict[str, Any] = {"accountd/status": STATUS, "account/token/read": FAILS, "account/logout": {}}
    with AppServer(path, answers):
        main([verb, "--no-start"])
    assert ended == []
    assert f"{DIFFERENCE}; with --no-start none is put in its place" in capsys.readouterr().err


@pytest.mark.parametrize("reason", ["requestFailed", "storageError", "overloaded", None])
@pytest.mark.parametrize("verb", [["token"], ["usage"]])
def test_what_no_network_would_mend_is_told_alone(
    verb: list[str], reason: str | None, path: Path, ended: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk that is full, or a token that cannot be so long valid, has nothing to do with a proxy."""
    fails = Refusal(-32603, "no token can be had that is good for 86400 s", reason)
    answers: dict[str, Any] = {
        "accountd/status": STATUS,
        "account/token/read": fails,
        "account/rateLimits/read": fails,
    }
    with AppServer(path, answers):
        assert main(verb) == 1
    assert (capsys.readouterr().err, ended) == (f"accountd: {fails.message}\n", [])


def test_where_the_two_agree_a_failure_is_as_ever(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is added to it, and nothing tried again."""
    status = {**STATUS, "environment": {"HTTPS_PROXY": "http://proxy:3128"}}
    with AppServer(path, {"accountd/status": status, "account/token/read": FAILS}) as server:
        assert main(["token"]) == 1
        assert server.methods.count("account/token/read") == 1
    assert capsys.readouterr().err == f"accountd: {FAILS.message}\n"
