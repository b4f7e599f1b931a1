"""What a login is for, besides logging somebody in: which a client may say as it begins one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from accountd.accounts.identity import identify
from accountd.errors import LoginFailed
from accountd.oauth.authorize import Hints

if TYPE_CHECKING:
    from accountd.account.workspaces import SignIn
    from accountd.accounts.account_list import AccountList, Entry
    from accountd.protocol.account import LoginWishes
    from accountd.storage.base import AuthRecord


class Intent(msgspec.Struct, frozen=True):
    """`activate`: it is the active account from then on, called `alias`. With `owner` it is that account again.

    With `sign_in` it is that of the session there is, to another workspace of its person's.
    """

    activate: bool = True
    alias: str | None = None
    owner: Entry | None = None
    sign_in: SignIn | None = None

    @property
    def workspaces(self) -> tuple[str, ...]:
        """The workspace that the issuer is to offer alone, if it is known."""
        known = self.owner.identity.workspace_id if self.owner is not None else None
        return (known,) if known is not None else ()

    @property
    def hints(self) -> Hints | None:
        """Whom the issuer is to expect."""
        return Hints(login_hint=self.owner.email) if self.owner is not None else None

    def check_owner(self, record: AuthRecord) -> None:
        """Raise LoginFailed if somebody else has logged in than was to."""
        identity = identify(record)
        if self.owner is None or (identity is not None and identity.is_same(self.owner.identity)):
            return
        who = record.chatgpt.claims.email if record.chatgpt is not None else None
        where = f" in workspace {identity.workspace_id}" if identity is not None and identity.workspace_id else ""
        raise LoginFailed(
            f'"{self.owner.label}" is another account: this login is of {who or "somebody else"}{where}'
        )


USUAL: Final = Intent()
"""That of a client that says nothing: the active account, whoever logs in."""


def read_intent(wishes: LoginWishes | None, accounts: AccountList) -> Intent:
    """Make the intent of what a client says. Raises InvalidRequest for a name that will not do, or is nobody's."""
    if wishes is None:
        return USUAL
    owner = accounts.find(wishes.account) if wishes.account is not None else None
    alias = wishes.alias.casefold() if wishes.alias is not None else None
    if alias is not None:
        accounts.check_alias(alias, besides=owner.id if owner is not None else None)
    return Intent(wishes.activate, alias, owner)
