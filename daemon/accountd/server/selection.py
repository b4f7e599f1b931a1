"""Which account a connection means: the active one, or one that it has selected, by whatever is active.

A selected account that is removed reads as nobody, and never as the active one: whoever meant the one must not be
given the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.hub import Audience

if TYPE_CHECKING:
    from accountd.account.account import Account
    from accountd.accounts.accounts import Accounts


class Selection:
    """The choice of one connection, to be closed with it. `is_fixed`: the socket has made it, and it stays."""

    def __init__(self, accounts: Accounts, account_id: str | None = None, *, is_fixed: bool = False) -> None:
        self._accounts = accounts
        self.is_fixed = is_fixed
        self.account_id: str | None = None
        self.select(account_id)

    @property
    def account(self) -> Account:
        """The account that is meant now."""
        return self._accounts.active if self.account_id is None else self._accounts.get(self.account_id)

    def select(self, account_id: str | None) -> None:
        """Mean another account; None follows the active one."""
        self.close()
        self.account_id = account_id
        if account_id is not None:
            self._accounts.roster.use(account_id, 1)

    def close(self) -> None:
        """Mean none in particular any more, so that it may rest."""
        if self.account_id is not None:
            self._accounts.roster.use(self.account_id, -1)
            self.account_id = None

    def is_of(self, audience: object) -> bool:
        """Return True if a notification for this audience is for this connection."""
        if not isinstance(audience, Audience):
            return False
        return audience.followers if self.account_id is None else audience.account_id == self.account_id
