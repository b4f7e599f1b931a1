"""The vault of the accounts that are not active: its files, and whether they agree with the list. Never a token."""

from __future__ import annotations

import os
import shlex
import stat
from typing import TYPE_CHECKING

import trio

from accountd import paths
from accountd.accounts.account_list import AccountList, parse_list
from accountd.accounts.identity import is_same_login
from accountd.doctor.findings import fail, ok, warn
from accountd.errors import MalformedRecord, StorageError
from accountd.files.flock import try_lock
from accountd.files.ownership import login_name, name_user, render_mode
from accountd.storage.choose import open_store, open_vault
from accountd.storage.lock_file import name_holders, open_as_it_is
from accountd.storage.lock_holder import find_holders

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Surroundings
    from accountd.storage.base import AuthRecord

_RESTART = "`accountd restart`: a start mends that"
_SEE_MODES = "see home.modes, and let its owner read it"


async def check_vault(surroundings: Surroundings) -> Finding:
    """Look at each file of the vault, and at each account of the list."""
    config = await surroundings.config()
    folder = config.codex_home / paths.ACCOUNTS
    if config.credentials_store == "ephemeral" or not folder.is_dir():
        return ok("there is no account beside the active one")
    files = [folder, *sorted(folder.rglob("*"))]
    if (found := _find_exposed(files)) is not None:
        return found
    vault = open_vault(config)
    try:
        document = await vault.read_list()
        accounts = parse_list(document) if document is not None else AccountList()
        ids = vault.find_records()
        records = {account_id: await vault.open_record(account_id).load() for account_id in ids}
        active = await open_store(config).load()
    except MalformedRecord as error:
        return fail(error.problem, f"{_RESTART}, and keeps aside what cannot be read")
    except StorageError as error:
        return fail(error.problem, error.remedy or _SEE_MODES)
    if config.credentials_store == "file" and (found := _find_contradiction(accounts, records, active)) is not None:
        return found
    held = await trio.to_thread.run_sync(_find_held, files, abandon_on_cancel=True)
    return held or ok(f"the list has {len(accounts.entries)} accounts, and each is stored once")


def _find_exposed(files: list[Path]) -> Finding | None:
    """Look for what others may read or change; links are nobody's business here, since none is followed."""
    for path in files:
        try:
            found = path.lstat()
        except FileNotFoundError:  # it is written anew, or moved, at this moment
            continue
        if found.st_uid != os.geteuid():
            text = f"{path} is another user's, {name_user(found.st_uid)}"
            return fail(text, f"`sudo chown {login_name(os.geteuid())} {shlex.quote(str(path))}`")
        if stat.S_IMODE(found.st_mode) & 0o077 and not stat.S_ISLNK(found.st_mode):
            text = f"others may use {path}, whose mode is {render_mode(found)}"
            return fail(text, f"`chmod go= {shlex.quote(str(path))}`; if others have read it, log in again")
    return None


def _find_contradiction(
    accounts: AccountList, records: dict[str, AuthRecord | None], active: AuthRecord | None
) -> Finding | None:
    owner = accounts.find_owner(active) if active is not None else None
    for account_id, record in records.items():
        if record is not None and active is not None and is_same_login(record, active):
            return warn(
                f"the login of auth.json is that of account {account_id} as well, twice on the disk", _RESTART
            )
        if accounts.get(account_id) is None:
            return warn(f"account {account_id} is stored, and not in the list", _RESTART)
    for entry in accounts.entries:
        if not entry.signed_out and entry != owner and records.get(entry.id) is None:
            return warn(f"nothing is stored of account {entry.label}", "log in again: `accountd login`")
    return None


def _find_held(files: list[Path]) -> Finding | None:
    """Look for a lock that somebody has; a refresh has one for some seconds."""
    for path in (each for each in files if each.suffix == ".lock"):
        try:
            descriptor = open_as_it_is(path)
            if descriptor is None:
                continue
            try:
                holders = () if try_lock(descriptor) else find_holders(descriptor)
            finally:
                os.close(descriptor)
        except (OSError, StorageError):  # NoLocks among them: home.files tells
            continue
        if holders:
            return warn(f"{path} is held by {name_holders(holders)}", "if that lasts, end that program")
    return None
