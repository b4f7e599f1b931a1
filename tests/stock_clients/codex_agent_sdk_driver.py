"""`codex-python-sdk-unofficial`, driven through the story: `python -m … PROGRAM`.

It has no calls for the account, but requests of any method, and types for what is answered.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine  # it is in an annotation that this package reads
from typing import Any, Literal

from codex_agent_sdk import AppServerClient, AppServerConfig
from codex_agent_sdk.generated import stable as types

from stock_clients.story import Login, tell


class Driver:
    """See stock_clients.story.Client."""

    def __init__(self, client: AppServerClient, runner: asyncio.Runner) -> None:
        self.client = client
        self.runner = runner
        self.initialized = self.run(client.initialize())
        self.completions: Any = None

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Block until this is done."""
        return self.runner.run(asyncio.wait_for(work, 20))

    def call(self, method: str, params: object, model: Any) -> Any:
        """Send a request, and read its answer by the client's own type."""
        return self.run(self.client.request(method, params, response_model=model))

    def user_agent(self) -> str:
        """See Client."""
        return str(self.initialized.user_agent)

    def account(self, *, refresh: bool = False) -> dict[str, Any] | None:
        """See Client."""
        response = self.call("account/read", {"refreshToken": refresh}, types.GetAccountResponse)
        account: dict[str, Any] | None = response.model_dump(mode="json", by_alias=True)["account"]
        return account

    def begin(self, kind: Literal["chatgpt", "chatgptDeviceCode"]) -> Login:
        """See Client. A subscription ends with the loop that reads it, so each login has its own."""
        self.completions = self.client.subscribe_notifications(method="account/login/completed")
        params = types.LoginAccountParams.model_validate({"type": kind})
        answer = self.call("account/login/start", params, types.LoginAccountResponse).root
        if kind == "chatgpt":
            return Login(answer.login_id, answer.auth_url)
        return Login(answer.login_id, answer.verification_url, answer.user_code)

    def wait(self, login: Login) -> tuple[bool, str | None]:
        """See Client."""

        async def next_completion() -> Any:
            async for notification in self.completions:
                completed = types.AccountLoginCompletedNotification.model_validate(notification.params)
                if completed.login_id == login.id:
                    return completed
            raise EOFError

        completed = self.run(next_completion())
        return completed.success, completed.error

    def cancel(self, login: Login) -> str:
        """See Client."""
        answer = self.call("account/login/cancel", {"loginId": login.id}, types.CancelLoginAccountResponse)
        return str(answer.status.value)

    def log_in_with_key(self, key: str) -> None:
        """See Client."""
        params = types.LoginAccountParams.model_validate({"type": "apiKey", "apiKey": key})
        self.call("account/login/start", params, types.LoginAccountResponse)

    def log_out(self) -> None:
        """See Client."""
        self.call("account/logout", None, types.LogoutAccountResponse)

    def have_turn(self) -> None:
        """See Client."""
        self.run(self.client.thread_start())


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        client = AppServerClient(AppServerConfig(codex_bin=sys.argv[1], extra_args=("--strict-config",)))
        tell(Driver(client, runner))
        runner.run(client.close())
