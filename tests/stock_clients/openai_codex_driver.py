"""The official Python SDK, `openai-codex`, driven through the story: `python -m … PROGRAM`."""

from __future__ import annotations

import sys
from typing import Any, Literal

from openai_codex import Codex, CodexConfig

from stock_clients.story import Login, tell


class Driver:
    """See stock_clients.story.Client."""

    def __init__(self, codex: Codex) -> None:
        self.codex = codex
        self.handles: dict[str, Any] = {}

    def user_agent(self) -> str:
        """See Client; the SDK reads a version from it, and refuses to start without."""
        assert self.codex.metadata.serverInfo.version
        return str(self.codex.metadata.userAgent)

    def account(self, *, refresh: bool = False) -> dict[str, Any] | None:
        """See Client."""
        response = self.codex.account(refresh_token=refresh)
        account: dict[str, Any] | None = response.model_dump(mode="json", by_alias=True)["account"]
        return account

    def begin(self, kind: Literal["chatgpt", "chatgptDeviceCode"]) -> Login:
        """See Client."""
        if kind == "chatgpt":
            handle = self.codex.login_chatgpt()
            login = Login(handle.login_id, handle.auth_url)
        else:
            handle = self.codex.login_chatgpt_device_code()
            login = Login(handle.login_id, handle.verification_url, handle.user_code)
        self.handles[login.id] = handle
        return login

    def wait(self, login: Login) -> tuple[bool, str | None]:
        """See Client."""
        completed = self.handles[login.id].wait()
        return completed.success, completed.error

    def cancel(self, login: Login) -> str:
        """See Client."""
        return str(self.handles[login.id].cancel().status.value)

    def log_in_with_key(self, key: str) -> None:
        """See Client."""
        self.codex.login_api_key(key)

    def log_out(self) -> None:
        """See Client."""
        self.codex.logout()

    def have_turn(self) -> str | None:
        """See Client."""
        said: str | None = self.codex.thread_start().run("say hello").final_response
        return said


if __name__ == "__main__":
    # It puts the overrides in front of the verb, which is part of what is tried.
    config = CodexConfig(codex_bin=sys.argv[1], config_overrides=('model="o3"', "analytics.enabled=false"))
    with Codex(config) as codex:
        tell(Driver(codex))
