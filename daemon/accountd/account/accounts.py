"""The accounts of the person whose daemon this is. There is one: that of auth.json, which stock clients share.

Nobody keeps an account who does not belong to it. What is meant for the one in use asks for `active` when it is
needed, a connection at each of its requests; what is meant for each, as a change of the policy, goes through all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accountd.account.account import Account


class Accounts:
    """The collection. `active` is the account in auth.json."""

    def __init__(self, active: Account) -> None:
        self.active = active

    def __iter__(self) -> Iterator[Account]:
        yield self.active
