"""Credentials that no request can carry, on the real daemon: refused where they come in, and the daemon goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accountd.client.blocking import Client
from accountd.client.errors import CallFailed
from accountd.sandbox import Sandbox, Script
from fakes.processes import PATIENCE, running, running_with_sandbox, sandbox_on_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

READS = ("account/rateLimits/read", "account/usage/read", "account/workspaceMessages/read")
SPOILT = ("{}\n", "{}\0", "{}é", " {}", "{}" + "a" * 1_000_000)


class Supplier(Client):
    """A client that may supply tokens."""

    def send(self, method: str, params: Mapping[str, Any] | None = None) -> int:
        """See Client."""
        wishes = {"capabilities": {"experimentalApi": True}} if method == "initialize" else {}
        return super().send(method, {**(params or {}), **wishes})


def test_a_client_may_not_supply_them(home: Path) -> None:
    """The login is refused, nothing of it is used, shown or logged, and everybody is served."""
    with running_with_sandbox(home, Script()) as (daemon, sandbox):
        token = sandbox.issue_tokens().access_token.reveal()
        supplied = {"type": "chatgptAuthTokens", "accessToken": token, "chatgptAccountId": "account-sandbox"}
        key = {"type": "apiKey", "apiKey": "sk-unsendable-key"}
        with Supplier(str(daemon.path), timeout=PATIENCE) as client:
            for params, place in ((supplied, "accessToken"), (supplied, "chatgptAccountId"), (key, "apiKey")):
                for form in SPOILT:
                    with pytest.raises(CallFailed, match="so no request can carry it"):
                        client.call("account/login/start", {**params, place: form.format(params[place])})
                    for method in READS:
                        with pytest.raises(CallFailed, match="authentication required"):
                            client.call(method, {})
            client.call("account/login/start", supplied)
            assert client.call("account/read", {})["account"]["planType"] == "plus"
        log = daemon.stop()
        assert daemon.process.returncode == 0
    assert "Illegal header" not in log
    assert token not in log


def test_a_file_may_not_hold_them(home: Path) -> None:
    """What is wrong with it is said, not only that nobody is logged in; and it is kept when somebody logs in."""
    sandbox = Sandbox(Script())
    issued = sandbox.issue_tokens()
    tokens = {name: getattr(issued, name).reveal() for name in ("id_token", "access_token", "refresh_token")}
    tokens |= {"access_token": f"{tokens['access_token']}\n", "account_id": "account-sandbox"}
    document = {"auth_mode": "chatgpt", "tokens": tokens}
    (home / "auth.json").write_text(json.dumps(document))
    with sandbox_on_loopback(sandbox) as url:
        (home / "config.toml").write_text(f'chatgpt_base_url = "{url}/backend-api"\n')
        with running(home, CODEX_APP_SERVER_LOGIN_ISSUER=url) as daemon:
            with Client(str(daemon.path), timeout=PATIENCE) as client:
                for method in READS:
                    with pytest.raises(CallFailed, match="authentication required"):
                        client.call(method, {})
                assert client.call("account/read", {})["account"] is None
                client.login_api_key("sk-in-its-place")
            log = daemon.stop()
            assert daemon.process.returncode == 0
    assert f"cannot be read: {home}/auth.json" in log
    assert "the access token in the document ends in a line break, so no request can carry it" in log
    assert issued.access_token.reveal() not in log
    (aside,) = home.glob("auth.json.corrupt-*")
    assert json.loads(aside.read_text()) == document
