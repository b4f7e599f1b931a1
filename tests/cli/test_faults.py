"""Why the login cannot be used, as each verb that needs it says it: one sentence and one exit code a story."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from accountd.cli import main
from fakes.app_server import AppServer, Refusal, Script

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("told", "said", "code"),
    [
        (("notLoggedIn", None), "not logged in. Log in with `accountd login`.", 3),
        (("workspaceForbidden", "Use x."), "not logged in: what is stored is not permitted here. Use x.", 3),
        (
            ("refreshRefused", "Spent."),
            "not logged in: the login that is stored here is no longer accepted (Spent). ",
            4,
        ),
        (
            ("unreadableRecord", "/a: no"),
            "what is stored cannot be read, so it is not known who is logged in: /a: no",
            7,
        ),
        (
            ("keyringLocked", "unlock it"),
            "what is stored cannot be read, so it is not known who is logged in: unlo",
            7,
        ),
        (("refreshFailed", "500"), "the access token has expired, and could not be refreshed: 500", 1),
        (
            ("issuerUnreachable", "proxy"),
            "the access token has expired, and the issuer cannot be reached: proxy",
            1,
        ),
    ],
)
def test_every_verb_tells_one_story(
    path: Path, capsys: pytest.CaptureFixture[str], told: tuple[str, str | None], said: str, code: int
) -> None:
    """Whatever the request itself has failed with; and programs are told the reason."""
    answers: Script = {
        "account/token/read": Refusal(-32603, "x"),
        "account/rateLimits/read": Refusal(-32600, "x"),
        "account/read": {"account": {"type": "chatgpt", "email": "ada@example.com", "planType": "pro"}},
        "getAuthStatus": {"authMethod": "chatgpt"},
        "account/store/read": Refusal(-32600, "x"),
        "accountd/status": {"credential": {"mode": None, "reason": told[0], "unusedBecause": told[1]}},
    }
    with AppServer(path, answers):
        for verb in ("token", "usage"):
            assert main([verb]) == code
            assert said in capsys.readouterr().err
        assert main(["status"]) == code
        assert said[1:] in " ".join(capsys.readouterr().out.split())
        assert main(["status", "--json"]) == code
        report = json.loads(capsys.readouterr().out)
    assert (report["loggedIn"], report["reason"]) == (False, told[0])
    assert report["problem"].startswith(said)
