"""The list as a value: whose a record is, what a name means, and what stands on the disk."""

from __future__ import annotations

import msgspec
import pytest

from accountd.accounts.account_list import AccountList, parse_list, render_list
from accountd.accounts.identity import identify, is_same_login
from accountd.errors import AmbiguousAccount, InvalidRequest, NoSuchAccount, StorageError
from accountd.secret import Secret
from accountd.storage.base import api_key_record
from fakes.records import log_in, refresh

HOME = log_in("user-1", "acct-1")
WORK = log_in("user-1", "acct-2")
SEAT = log_in("user-2", "acct-2")
KEY = api_key_record(Secret("sk-1"))


def list_of(*records: object) -> AccountList:
    """Make the list of these."""
    accounts = AccountList()
    for record in records:
        accounts, _ = accounts.with_record(record, 1.0)  # type: ignore[arg-type]  # records all
    return accounts


def test_neither_an_email_nor_a_workspace_is_an_account() -> None:
    """One person in two workspaces, two persons in one, and a key: four accounts, each with an id of its own."""
    accounts = list_of(HOME, WORK, SEAT, KEY)
    assert len({entry.id for entry in accounts.entries}) == 4
    assert [accounts.find_owner(record) for record in (HOME, WORK, SEAT, KEY)] == [*accounts.entries]


def test_an_account_is_the_same_after_a_refresh_a_new_login_and_another_workspace() -> None:
    """Its id stays, whichever of the two changes: the login, or the account that it is of."""
    [entry] = list_of(HOME).entries
    assert HOME.chatgpt is not None
    moved = msgspec.structs.replace(HOME, chatgpt=msgspec.structs.replace(HOME.chatgpt, account_id="acct-9"))
    for record in (refresh(HOME), log_in("user-1", "acct-1"), moved):
        accounts, found = list_of(HOME).with_record(record, 2.0)
        assert found is not None
        assert (found.id, len(accounts.entries)) == (entry.id, 1)
    assert is_same_login(HOME, moved)
    assert not is_same_login(HOME, log_in("user-1", "acct-1"))


def test_a_name_is_whole() -> None:
    """Alias, id, email, email and workspace; a part of one is nobody, and one that fits two is asked about."""
    accounts = list_of(HOME, WORK, KEY)
    home, work, key = accounts.entries
    email = home.email
    assert email is not None
    accounts = accounts.renamed(work.id, "Work").renamed(key.id, "ci")
    assert [accounts.find(name).id for name in ("work", "WORK", home.id, f"{email.upper()}/acct-1", "ci")] == [
        work.id,
        work.id,
        home.id,
        home.id,
        key.id,
    ]
    with pytest.raises(AmbiguousAccount, match=f'"{email}" may be {home.id}, work'):
        accounts.find(email)
    for name in ("wor", "", "1", f"{email}/acct-3", email[:-1]):
        with pytest.raises(NoSuchAccount, match="no account is called"):
            accounts.find(name)


@pytest.mark.parametrize("alias", ["", "-a", "a b", "a/b", "ä", "x" * 33, "next\n"])
def test_an_alias_is_a_plain_word(alias: str) -> None:
    """It is typed in shells, and stands in paths of sockets."""
    accounts = list_of(HOME)
    with pytest.raises(InvalidRequest):
        accounts.renamed(accounts.entries[0].id, alias)


def test_an_alias_is_nobody_elses_name() -> None:
    """Neither an alias nor an id."""
    accounts = list_of(HOME, WORK)
    home, work = accounts.entries
    for alias in ("home", work.id):
        with pytest.raises(InvalidRequest, match="another account"):
            accounts.renamed(home.id, "home").renamed(work.id if alias == "home" else home.id, alias)


def test_one_account_needs_no_list() -> None:
    """Until it has a name or a folder of its own, or there is another."""
    one = list_of(HOME)
    account_id = one.entries[0].id
    assert one.is_implied(HOME)
    assert list_of().is_implied(None)
    for more in (one.renamed(account_id, "a"), one.pinned("/a", account_id), list_of(HOME, WORK)):
        assert not more.is_implied(HOME)


def test_what_is_written_is_read_and_has_no_secret() -> None:
    """All of it, and no token."""
    accounts = list_of(HOME, WORK, KEY)
    accounts = accounts.pinned("/srv/a", accounts.entries[1].id)
    document = render_list(accounts)
    assert parse_list(document) == accounts
    assert not [secret for secret in (b"at-0", b"rt-0", b"sk-1") if secret in document]
    assert accounts.without(accounts.entries[1].id).pins == {}


@pytest.mark.parametrize(
    "document", [b"", b"null", b"[]", b'{"version": 2, "revision": 1, "accounts": []}', b'{"version": 1}', b"\xff"]
)
def test_what_is_no_list_is_refused(document: bytes) -> None:
    """Rubbish, and that of a later version, which must not be written over by ours."""
    with pytest.raises(StorageError):
        parse_list(document)


def test_nobody_is_known_by_nothing() -> None:
    """A record that accountd cannot use is no account."""
    assert identify(None) is None
    assert identify(msgspec.structs.replace(HOME, mode=None)) is None
