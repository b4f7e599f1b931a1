"""Which logins the configuration permits: a question in, nothing or the refusal out.

A policy is a value. The one in force has one holder, whose `current` is looked up for each question and kept by
nobody: so a change counts from the next question on, whoever asks it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from accountd.errors import ConfigError, LoginMethodForbidden, WorkspaceForbidden

if TYPE_CHECKING:
    from collections.abc import Collection

    from accountd.config.settings import LoginMethod

_DISABLED: Final[dict[LoginMethod, str]] = {
    "chatgpt": "ChatGPT login is disabled. Use API key login instead.",
    "api": "API key login is disabled. Use ChatGPT login instead.",
}


class HandedOut(Protocol):
    """What a client is given, and the backend is sent: an access token, and the account id that goes with it.

    `claimed_account_id` is the workspace that the token itself is for. It has to be the same, so that neither a
    client's word nor an edited file makes another of it. A token that names none, or is no JWT, goes by the id.
    The ID token is not asked: after a switch of workspaces it goes on naming the one of the login.
    """

    @property
    def account_id(self) -> str | None:
        """Return what is sent as ChatGPT-Account-Id, if anything is."""
        ...

    @property
    def claimed_account_id(self) -> str | None:
        """Return the claim."""
        ...


class Policy(msgspec.Struct, frozen=True):
    """`forced_login_method` and `forced_chatgpt_workspace_id`; no workspaces named means any."""

    method: LoginMethod | None = None
    workspaces: tuple[str, ...] = ()

    @property
    def methods(self) -> tuple[LoginMethod, ...]:
        """The methods that are permitted, in the order in which Codex names them: one or both."""
        return ("api", "chatgpt") if self.method is None else (self.method,)

    def restrict(
        self, *, methods: Collection[LoginMethod] | None = None, workspaces: Collection[str] | None = None
    ) -> Policy:
        """Return what this policy and a managed one both permit; None is a managed policy that says nothing.

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

    def permits(self, method: LoginMethod) -> bool:
        """Return True if a login by this method may be begun, or a stored one be used."""
        return self.method in (None, method)

    def permits_workspace(self, given: HandedOut | None) -> bool:
        """Return True if this may be handed out, and used; None, as of an API key, is of no workspace."""
        if given is None:
            return True
        agree = given.claimed_account_id in (None, given.account_id) or given.account_id is None
        return agree and (not self.workspaces or given.account_id in self.workspaces)

    def check_method(self, method: LoginMethod) -> None:
        """Raise LoginMethodForbidden, with the text that Codex has for it, if the method is not permitted."""
        if not self.permits(method):
            raise LoginMethodForbidden(_DISABLED[method])

    def check_workspace_id(self, account_id: str) -> None:
        """Raise WorkspaceForbidden, with the text that Codex has for it, if nothing of a workspace may be used."""
        if self.workspaces and account_id not in self.workspaces:
            raise WorkspaceForbidden(f"Login is restricted to workspace id(s) {', '.join(self.workspaces)}.")

    def check_workspace(self, given: HandedOut | None) -> None:
        """Raise WorkspaceForbidden, with the text that Codex has for it, if this may not be handed out."""
        if given is None or self.permits_workspace(given):
            return
        if self.workspaces and given.account_id is None:
            raise WorkspaceForbidden(
                "Login is restricted to a specific workspace, "
                "but the token did not include an chatgpt_account_id claim."
            )
        for account_id in (given.account_id, given.claimed_account_id):
            if account_id is not None:
                self.check_workspace_id(account_id)
        raise WorkspaceForbidden("The access token is for another workspace than the account id beside it.")


class PolicyHolder:
    """The policy in force, `current`. It is replaced where the configuration is read again, and nowhere else.

    Whoever replaces it brings what depends on it after it: a login under way whose method is permitted no more is
    cancelled, and the account hides or shows its credential (`follow_policy`).
    """

    def __init__(self, policy: Policy) -> None:
        self.current = policy

    def replace(self, policy: Policy) -> bool:
        """Have this one in force. Return True if it is another one than before."""
        was, self.current = self.current, policy
        return policy != was
