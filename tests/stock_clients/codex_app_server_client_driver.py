"""`codex-app-server-client`, the blocking one of its clients, driven through the story: `python -m … PROGRAM`."""

from __future__ import annotations

import queue
import sys
from typing import Any, Literal

from codex_app_server_client import LoginAccountParams, SyncCodexClient

from stock_clients.story import Login, tell


class Driver:
    """See stock_clients.story.Client."""

    def __init__(self, program: str) -> None:
        self.client = SyncCodexClient(codex_bin=program, extra_args=["--config", "analytics.enabled=false"])
        self.completed: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.client.on_notification("account/login/completed", lambda _, event: self.completed.put(event))
        self.started = self.client.start()

    def user_agent(self) -> str:
        """See Client."""
        return str(self.started.user_agent)

    def account(self, *, refresh: bool = False) -> dict[str, Any] | None:
        """See Client."""
        account = self.client.account_read(refresh_token=refresh).account
        return account and account.model_dump(by_alias=True, exclude_none=True)  # type: ignore[no-any-return]  # its types are not installed

    def begin(self, kind: Literal["chatgpt", "chatgptDeviceCode"]) -> Login:
        """See Client. It knows no device codes, but passes on whatever type it is given, and the whole answer."""
        answer = self.client.account_login_start(LoginAccountParams(type=kind))
        if kind == "chatgpt":
            return Login(answer["loginId"], answer["authUrl"])
        return Login(answer["loginId"], answer["verificationUrl"], answer["userCode"])

    def wait(self, login: Login) -> tuple[bool, str | None]:
        """See Client."""
        while (event := self.completed.get(timeout=20)).login_id != login.id:
            pass
        return event.success, event.error

    def cancel(self, login: Login) -> str:
        """See Client."""
        return str(self.client.account_login_cancel(login.id)["status"])

    def log_in_with_key(self, key: str) -> None:
        """See Client."""
        assert self.client.account_login_start(LoginAccountParams(type="apiKey", api_key=key)) == {"type": "apiKey"}

    def log_out(self) -> None:
        """See Client."""
        assert self.client.account_logout() == {}

    def have_turn(self) -> None:
        """See Client."""
        self.client.thread_start()


if __name__ == "__main__":
    driver = Driver(sys.argv[1])
    tell(driver)
    driver.client.close()
