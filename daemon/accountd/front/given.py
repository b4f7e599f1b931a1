"""What one agent has been given: a login as an agent takes it, and how it is given another one.

Of an agent that is found again it is not known what it has, nor of one while it is given something: it may have
taken that or not, when it does not answer, or nobody waits for its answer any more. Then it is given all of it the
next time, and until then nothing is sent to the model: an agent between two logins would send it without any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from accountd.secret import Secret

if TYPE_CHECKING:
    from accountd.front.child import Child
    from accountd.protocol.account import AuthMode, ReadTokenResponse


class Login(msgspec.Struct, frozen=True):
    """An API key, or an access token with what goes with it. `owner` is which account of the daemon's it is of."""

    token: Secret
    account_id: str | None
    plan: str | None
    owner: str | None = None

    @property
    def mode(self) -> AuthMode:
        """How the agent is logged in by it. A key is for no account."""
        return "apikey" if self.account_id is None else "chatgpt"

    def render_tokens(self) -> dict[str, object]:
        """Write it as the answer to who asks for tokens."""
        return {
            "accessToken": self.token.reveal(),
            "chatgptAccountId": self.account_id,
            "chatgptPlanType": self.plan,
        }

    def render(self) -> dict[str, object]:
        """Write it as the params of `account/login/start`."""
        if self.mode == "apikey":
            return {"type": "apiKey", "apiKey": self.token.reveal()}
        return {"type": "chatgptAuthTokens", **self.render_tokens()}


def read_login(answer: ReadTokenResponse) -> Login:
    """Take what the daemon has handed out for a login."""
    return Login(Secret(answer.token), answer.chatgpt_account_id, answer.plan_type, answer.account_id)


class Given:
    """What an agent has. `login` is None for no login, and UNSET while it is not known.

    `is_torn` is set from the first step of giving it another one to the last, and stays so if that fails.
    """

    def __init__(self, child: Child) -> None:
        self.child = child
        self.login: Login | msgspec.UnsetType | None = msgspec.UNSET
        self.is_torn = False

    @property
    def owner(self) -> str | None:
        """The account of the daemon's that the agent's login is of."""
        return self.login.owner if isinstance(self.login, Login) else None

    def is_of_another(self, wanted: Login | None) -> bool:
        """Return True if the agent has a login, and this is one of another account."""
        return wanted is not None and None not in (self.owner, wanted.owner) and self.owner != wanted.owner

    async def give(self, wanted: Login | None) -> bool:
        """Give the agent a login, or none; False if it has it. Raises AgentUnavailable if it does not take it."""
        if wanted == self.login:
            return False
        self.login, self.is_torn = msgspec.UNSET, True
        if wanted is None or wanted.mode == "apikey":
            await self.child.ask("account/logout", {})  # it takes a token over a key, but no key over a token
        if wanted is not None:
            await self.child.ask("account/login/start", wanted.render())
        self.login, self.is_torn = wanted, False
        return True

    async def has_login(self) -> bool:
        """Return True if the agent has a login, whosoever has given it. Raises AgentUnavailable."""
        if self.login is not msgspec.UNSET:
            return self.login is not None
        return (await self.child.ask("getAuthStatus", {"includeToken": False})).get("authMethod") is not None
