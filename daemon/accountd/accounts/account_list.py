"""The list of a person's accounts, as a value: who they are, what they are called, which folder means which.

Nothing in it is secret. Which account is active does not stand in it: that is the one whose login auth.json has,
and so two truths cannot disagree. Somebody with one account, without alias and folder, has no list on disk.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from accountd.accounts.identity import Identity, find_session, identify, make_id
from accountd.codex.plans import PlanType
from accountd.errors import AmbiguousAccount, InvalidRequest, MalformedRecord, NoSuchAccount
from accountd.foreign_json import Undecodable, decode

if TYPE_CHECKING:
    from accountd.storage.base import AuthRecord, Mode

_VERSION: Final = 1

_ALIAS: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")

MAX_LIST: Final = 1 << 20
"""Bytes of the document: some thousand accounts."""


class Entry(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One account. Its id is the same for good: through refreshes, other workspaces and new logins.

    `doubtful`: its tokens may have been spent elsewhere, until a refresh has worked. `signed_out`: another program
    has logged it out, and nothing is stored of it any more. Times are Unix seconds.
    """

    id: str
    identity: Identity
    added_at: float
    session: str | None = None
    alias: str | None = None
    email: str | None = None
    plan_type: PlanType | None = None
    workspace_name: str | None = None
    workspace_kind: str | None = None
    doubtful: bool = False
    signed_out: bool = False
    last_used_at: float | None = None

    @property
    def mode(self) -> Mode:
        """How one is logged in."""
        return "chatgpt" if self.identity.key_digest is None else "apikey"

    @property
    def label(self) -> str:
        """The name by which a person finds it again, and no other: its alias, or its id."""
        return self.alias or self.id

    def seen_in(self, record: AuthRecord) -> Entry:
        """Return the entry with what a record of the account says of it by now."""
        identity, login = identify(record), record.chatgpt if record.mode == "chatgpt" else None
        has_moved = identity is not None and identity.workspace_id != self.identity.workspace_id
        return msgspec.structs.replace(
            self,
            identity=identity or self.identity,
            session=find_session(record),
            email=login.claims.email if login is not None else None,
            plan_type=login.plan if login is not None else None,
            workspace_name=None if has_moved else self.workspace_name,
            workspace_kind=None if has_moved else self.workspace_kind,
            signed_out=False,
        )

    def is_called(self, name: str) -> bool:
        """Return True if a person may mean this account by a name that is neither alias nor id."""
        email = (self.email or "").casefold()
        if not email:
            return False
        who, _, workspace = name.partition("/")
        if who.casefold() != email:
            return False
        return not workspace or workspace in (self.identity.workspace_id, self.workspace_name)


def make_entry(account_id: str, identity: Identity, record: AuthRecord, now: float) -> Entry:
    """Make the entry of an account that is new to the list. `now` is Unix time."""
    return Entry(account_id, identity, added_at=round(now)).seen_in(record)


class AccountList(msgspec.Struct, frozen=True):
    """The accounts in the order in which they came, and the pins: folders, each with the id of its account."""

    entries: tuple[Entry, ...] = ()
    pins: dict[str, str] = {}
    revision: int = 0

    def get(self, account_id: str | None) -> Entry | None:
        """Return the entry of an id."""
        return next((entry for entry in self.entries if entry.id == account_id), None)

    def find(self, name: str) -> Entry:
        """Return the account that a person calls so. Raises NoSuchAccount, or AmbiguousAccount.

        A name is an alias, an id, an email, or an email and a workspace: whole, since a part hits the wrong one.
        """
        for entry in self.entries:
            if name == entry.id or (entry.alias is not None and name.casefold() == entry.alias):
                return entry
        found = [entry for entry in self.entries if entry.is_called(name)]
        if not found:
            raise NoSuchAccount(f'no account is called "{name}"')
        if len(found) > 1:
            raise AmbiguousAccount(name, [entry.label for entry in found])
        return found[0]

    def find_owner(self, record: AuthRecord) -> Entry | None:
        """Return the entry that a record is of: that of its session, else that of its account."""
        session, identity = find_session(record), identify(record)
        if session is not None:
            for entry in self.entries:
                if entry.session == session:
                    return entry
        if identity is None:
            return None
        return next((entry for entry in self.entries if entry.identity.is_same(identity)), None)

    def with_record(
        self, record: AuthRecord, now: float, account_id: str | None = None
    ) -> tuple[AccountList, Entry | None]:
        """Return the list as a record tells it, and its entry; None for a record that nobody can use.

        `account_id` is of whom it is, if the list cannot tell: a list that was not needed has no ids on disk.
        """
        identity = identify(record)
        if identity is None:
            return self, None
        owner = self.find_owner(record) or self.get(account_id)
        if owner is not None:
            account_id = owner.id
        elif account_id is None:
            account_id = make_id(identity, {each.id for each in self.entries})
        entry = owner.seen_in(record) if owner is not None else make_entry(account_id, identity, record, now)
        return self.with_entry(entry), entry

    def with_entry(self, entry: Entry) -> AccountList:
        """Return the list with an entry in the place of the one with its id, or behind all others."""
        if self.get(entry.id) is None:
            return msgspec.structs.replace(self, entries=(*self.entries, entry))
        entries = tuple(entry if each.id == entry.id else each for each in self.entries)
        return msgspec.structs.replace(self, entries=entries)

    def without(self, account_id: str) -> AccountList:
        """Return the list without an account, and without the pins to it."""
        entries = tuple(each for each in self.entries if each.id != account_id)
        pins = {folder: pinned for folder, pinned in self.pins.items() if pinned != account_id}
        return msgspec.structs.replace(self, entries=entries, pins=pins)

    def renamed(self, account_id: str, alias: str | None) -> AccountList:
        """Return the list with another alias for an account. Raises InvalidRequest for one that will not do."""
        if alias is not None:
            alias = alias.casefold()
            self.check_alias(alias, besides=account_id)
        entries = tuple(
            msgspec.structs.replace(each, alias=alias) if each.id == account_id else each for each in self.entries
        )
        return msgspec.structs.replace(self, entries=entries)

    def check_alias(self, alias: str, *, besides: str | None = None) -> None:
        """Raise InvalidRequest for an alias that is no name, or somebody else's. It is compared in lower case."""
        if not _ALIAS.fullmatch(alias):
            raise InvalidRequest(
                f'"{alias}" is no alias: at most 32 of a-z, 0-9, ".", "_" and "-", and first a letter or a digit'
            )
        for each in self.entries:
            if each.id == alias or (each.alias == alias and each.id != besides):
                raise InvalidRequest(f'"{alias}" is the name of another account')

    def pinned(self, folder: str, account_id: str | None) -> AccountList:
        """Return the list with a folder that means an account, or no account of its own any more."""
        pins = {**self.pins, folder: account_id} if account_id is not None else dict(self.pins)
        if account_id is None:
            pins.pop(folder, None)
        return msgspec.structs.replace(self, pins=pins)

    def is_implied(self, active: AuthRecord | None) -> bool:
        """Return True if it says no more than auth.json, which has this record: then it needs no file."""
        if self.pins or len(self.entries) > 1:
            return False
        owner = self.find_owner(active) if active is not None else None
        return all(
            entry == owner and entry.alias is None and entry.id == make_id(entry.identity, ())
            for entry in self.entries
        )


def sign_out(accounts: AccountList, account_id: str) -> AccountList:
    """Return the list with an account of which nothing is stored any more; without it, if nothing would be told."""
    entry = accounts.get(account_id)
    if entry is None:
        return accounts
    if entry.alias is None and account_id not in accounts.pins.values() and len(accounts.entries) == 1:
        return accounts.without(account_id)
    return accounts.with_entry(msgspec.structs.replace(entry, signed_out=True, doubtful=False))


def doubt(accounts: AccountList, account_id: str, *, doubtful: bool) -> AccountList:
    """Return the list with an account whose tokens may have been spent elsewhere, or have not been."""
    entry = accounts.get(account_id)
    return accounts if entry is None else accounts.with_entry(msgspec.structs.replace(entry, doubtful=doubtful))


class _Document(msgspec.Struct):
    version: int
    revision: int
    accounts: tuple[Entry, ...]
    pins: dict[str, str] = {}


def parse_list(document: bytes) -> AccountList:
    """Read the document of the list. Raises MalformedRecord for one that is none, or a later version's."""
    try:
        found = decode(document, _Document, MAX_LIST)
    except Undecodable:
        raise _malformed("it is none") from None
    if found.version != _VERSION:
        raise _malformed(f"it is of another version of accountd, {found.version}")
    ids = {entry.id for entry in found.accounts}
    if len(ids) < len(found.accounts) or not ids.issuperset(found.pins.values()):
        raise _malformed("it contradicts itself")
    return AccountList(found.accounts, found.pins, found.revision)


def _malformed(why: str) -> MalformedRecord:
    return MalformedRecord(f"the list of accounts cannot be read: {why}", "start the daemon anew")


def render_list(accounts: AccountList) -> bytes:
    """Write the document of the list."""
    document = _Document(_VERSION, accounts.revision, accounts.entries, accounts.pins)
    return msgspec.json.format(msgspec.json.encode(document), indent=2)
