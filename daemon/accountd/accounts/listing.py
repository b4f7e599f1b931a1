"""What clients are told of the accounts: the list, joined with what is known of each by now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.account.credential import find_objection
from accountd.protocol.accounts import ListAccountsResponse, ListedAccount, Workspace

if TYPE_CHECKING:
    from accountd.account.account import Account
    from accountd.accounts.account_list import Entry
    from accountd.accounts.accounts import Accounts
    from accountd.config.policy import Policy
    from accountd.protocol.accounts import State


def render_accounts(
    accounts: Accounts, policy: Policy, selected_id: str | None, followers: int = 0
) -> ListAccountsResponse:
    """Return the list as a connection is told it that means `selected_id`."""
    pins: dict[str, list[str]] = {}
    for folder, account_id in sorted(accounts.known.pins.items()):
        pins.setdefault(account_id, []).append(folder)
    return ListAccountsResponse(
        accounts.active_id,
        selected_id,
        followers,
        accounts.known.revision,
        tuple(_render(entry, accounts, policy, tuple(pins.get(entry.id, ()))) for entry in accounts.known.entries),
    )


def _render(entry: Entry, accounts: Accounts, policy: Policy, pins: tuple[str, ...]) -> ListedAccount:
    is_active = entry.id == accounts.active_id
    account = accounts.active if is_active else accounts.roster.get(entry.id)
    record = account.credential.record if account is not None else None
    if record is not None:
        entry = entry.seen_in(record)
    permitted = record is None or find_objection(record, policy) is None
    needs_login = record is None or (account is not None and account.credential.refusal is not None)
    login = record.chatgpt if record is not None and record.mode == "chatgpt" else None
    return ListedAccount(
        id=entry.id,
        alias=entry.alias,
        auth_mode=entry.mode,
        email=entry.email,
        user_id=entry.identity.user_id,
        workspace=Workspace(entry.identity.workspace_id, entry.workspace_name, entry.workspace_kind),
        plan_type=entry.plan_type,
        state=_find_state(account, is_active=is_active, permitted=permitted, needs_login=needs_login),
        permitted=permitted,
        needs_login=needs_login,
        expires_at=login.expires_at if login is not None else None,
        last_refresh=record.last_refresh if record is not None else None,
        added_at=entry.added_at,
        last_used_at=entry.last_used_at,
        pins=pins,
    )


def _find_state(account: Account | None, *, is_active: bool, permitted: bool, needs_login: bool) -> State:
    if account is None:
        return "signedOut"
    if not permitted:
        return "forbidden"
    if is_active:
        return "active"
    if needs_login:
        return "needsLogin"
    return "doubtful" if account.credential.is_doubtful else "stored"
