"""Several people whom one issuer knows, with their logins in one place; and what nobody may lose of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from accountd.accounts.listing import render_accounts
from accountd.config.settings import DEFAULT_CLIENT_ID
from accountd.oauth.claims import parse_claims
from accountd.sandbox import Claims
from accountd.storage.base import Provenance, chatgpt_record
from accountd.storage.file import FileStore
from accountd.storage.memory import MemoryStore
from accountd.storage.vault import FileVault, MemoryVault
from fakes.world import ISSUER

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.storage.base import AuthRecord
    from fakes.world import World

ADA = Claims()
GRACE = Claims(email="grace@example.com", account_id="account-grace", user_id="user-grace")
CAROL = Claims(email="carol@example.com", account_id="account-carol", user_id="user-carol")


def log_in_at_the_issuer(world: World, person: Claims) -> AuthRecord:
    """Make the record of a login of now."""
    world.sandbox.script = msgspec.structs.replace(world.sandbox.script, claims=person)
    tokens = world.sandbox.issue_tokens(DEFAULT_CLIENT_ID)
    provenance = Provenance(ISSUER, DEFAULT_CLIENT_ID)
    return chatgpt_record(tokens, parse_claims(tokens.id_token), provenance, int(world.clock.now() * 1e9))


async def add(world: World, person: Claims) -> str:
    """Log a person in, who is active from then on, and return the id of the account."""
    await world.services.accounts.log_in(log_in_at_the_issuer(world, person), lambda: None)
    assert world.services.accounts.active_id is not None
    return world.services.accounts.active_id


def open_files(home: Path) -> tuple[FileStore, FileVault]:
    """Open the places of a home anew, as another daemon does."""
    records = home / "accountd" / "accounts"
    return FileStore(home), FileVault(home, lambda account_id: FileStore(records, f"{account_id}.json"))


async def find_records(world: World) -> dict[str, AuthRecord]:
    """Return what is stored, by the name of the person."""
    stores = [world.store]
    if isinstance(world.vault, MemoryVault):
        stores += world.vault.records.values()
    else:
        stores += [world.vault.open_record(account_id) for account_id in world.vault.find_records()]
    found: dict[str, AuthRecord] = {}
    for store in stores:
        record = store.record if isinstance(store, MemoryStore) else await store.load()
        if record is not None and record.chatgpt is not None:
            name = (record.chatgpt.claims.email or "").partition("@")[0]
            assert name not in found, "a login is in two places"
            found[name] = record
    return found


async def check_household(world: World, *names: str) -> None:
    """Hold that each of these is in one place, with tokens that the issuer would take; and that none came twice."""
    found = await find_records(world)
    assert sorted(found) == sorted(names)
    for name, record in found.items():
        assert record.chatgpt is not None
        token = world.sandbox._state.find_refresh_token(record.chatgpt.tokens.refresh_token)
        assert token is not None, name
        assert not token.spent, f"that of {name} is spent"
        assert not token.grant.revoked, f"that of {name} is revoked"
    requests = world.sandbox._state.requests
    assert not [each for each in requests if each.status == 401], "a token was sent twice"
    requests.clear()


def states(world: World) -> dict[str, str]:
    """Say how each account is, by the name of the person."""
    listed = render_accounts(world.services.accounts, world.services.policy.current, None)
    return {(each.email or "").partition("@")[0]: each.state for each in listed.accounts}
