"""Which logins the configuration permits. Pure: a question in, nothing or the refusal out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from accountd.errors import InvalidRequest, WorkspaceForbidden

if TYPE_CHECKING:
    from accountd.config import LoginMethod

_DISABLED: dict[LoginMethod, str] = {
    "chatgpt": "ChatGPT login is disabled. Use API key login instead.",
    "api": "API key login is disabled. Use ChatGPT login instead.",
}


class Policy(msgspec.Struct, frozen=True):
    """`forced_login_method` and `forced_chatgpt_workspace_id`; no workspaces named means any."""

    method: LoginMethod | None = None
    workspaces: tuple[str, ...] = ()

    def permits(self, method: LoginMethod) -> bool:
        """Say whether a login by this method may be begun, or a stored one be used."""
        return self.method in (None, method)

    def check_method(self, method: LoginMethod) -> None:
        """Raise InvalidRequest, with the text that Codex has for it, if the method is not permitted."""
        if not self.permits(method):
            raise InvalidRequest(_DISABLED[method])

    def check_workspace(self, account_id: str | None) -> None:
        """Raise WorkspaceForbidden if tokens for this workspace may not be stored."""
        if not self.workspaces or account_id in self.workspaces:
            return
        if account_id is None:
            raise WorkspaceForbidden(
                "Login is restricted to a specific workspace, "
                "but the token did not include an chatgpt_account_id claim."
            )
        raise WorkspaceForbidden(f"Login is restricted to workspace id(s) {', '.join(self.workspaces)}.")
