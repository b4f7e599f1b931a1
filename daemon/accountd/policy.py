"""Which logins the configuration permits. Pure: a question in, nothing or the refusal out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from accountd.errors import ConfigError, InvalidRequest, WorkspaceForbidden

if TYPE_CHECKING:
    from collections.abc import Collection

    from accountd.config import LoginMethod

_DISABLED: Final[dict[LoginMethod, str]] = {
    "chatgpt": "ChatGPT login is disabled. Use API key login instead.",
    "api": "API key login is disabled. Use ChatGPT login instead.",
}


class Policy(msgspec.Struct):
    """`forced_login_method` and `forced_chatgpt_workspace_id`; no workspaces named means any.

    Everybody asks the one that is in force. It changes where the configuration is read again, and nowhere else.
    """

    method: LoginMethod | None = None
    workspaces: tuple[str, ...] = ()

    @property
    def methods(self) -> tuple[LoginMethod, ...]:
        """The methods that are permitted, in the order in which Codex names them: one or both."""
        return ("api", "chatgpt") if self.method is None else (self.method,)

    def restrict(
        self, *, methods: Collection[LoginMethod] | None = None, workspaces: Collection[str] | None = None
    ) -> Policy:
        """Give what this policy and a managed one both permit; None is a managed policy that says nothing.

        Where no workspace is left, ChatGPT is no method. Raises ConfigError, with Codex's text, where no
        method is left.
        """
        left = set(self.methods if methods is None else (m for m in self.methods if m in methods))
        named = self.workspaces
        if workspaces is not None:
            managed = tuple(name.strip() for name in workspaces if name.strip())
            named = tuple(name for name in managed if not self.workspaces or name in self.workspaces)
            if not named:
                left.discard("chatgpt")
        if not left:
            raise ConfigError("authentication requirements do not permit any usable login method")
        return Policy(left.pop() if len(left) == 1 else None, named)

    def become(self, other: Policy) -> None:
        """Say what the other one says, from now on."""
        self.method, self.workspaces = other.method, other.workspaces

    def permits(self, method: LoginMethod) -> bool:
        """Say whether a login by this method may be begun, or a stored one be used."""
        return self.method in (None, method)

    def permits_workspace(self, account_id: str | None) -> bool:
        """Say whether tokens for this workspace may be used."""
        return not self.workspaces or account_id in self.workspaces

    def check_method(self, method: LoginMethod) -> None:
        """Raise InvalidRequest, with the text that Codex has for it, if the method is not permitted."""
        if not self.permits(method):
            raise InvalidRequest(_DISABLED[method])

    def check_workspace(self, account_id: str | None) -> None:
        """Raise WorkspaceForbidden if tokens for this workspace may not be stored."""
        if self.permits_workspace(account_id):
            return
        if account_id is None:
            raise WorkspaceForbidden(
                "Login is restricted to a specific workspace, "
                "but the token did not include an chatgpt_account_id claim."
            )
        raise WorkspaceForbidden(f"Login is restricted to workspace id(s) {', '.join(self.workspaces)}.")
