"""Takes over the logins that another program keeps, by the rules of accounts that may be used elsewhere.

A login that is copied is had by two, and the first who refreshes it ends it for the other. So what is taken over is
in doubt, until a refresh for somebody who needs it has worked, and none is made to find out. Only if the other copy
is removed, once this one is stored, is there no doubt.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from accountd import paths
from accountd.account.credential import find_objection
from accountd.accounts.identity import identify
from accountd.errors import InvalidRequest, LoginFailed, StorageError
from accountd.files.replace import try_to_remove
from accountd.protocol.accounts import ImportedAccount
from accountd.switchers.formats import WELL_KNOWN, Source, find_sources
from accountd.system.threads import run_in_thread

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.accounts.accounts import Accounts
    from accountd.protocol.accounts import ImportOutcome

_TAKEN = ("added", "replaced", "known")

_log = logging.getLogger(__name__)


async def import_logins(
    accounts: Accounts, path: Path, own: Path, person: Path | None, *, dry_run: bool, move: bool
) -> list[ImportedAccount]:
    """Take over what is at a path, one by one; with `dry_run` say what would become of each.

    `own` is this CODEX_HOME, of which nothing is taken; `person` the folder where the switchers keep theirs.
    With `move` a file is removed once each login in it is stored here. Raises nothing for what cannot be read.
    """
    sources = await run_in_thread(find_sources, path)
    others = await run_in_thread(_find_others, person, path) if person is not None else []
    imported = []
    for source in sources:
        outcome, account_id, why = await _take(accounts, source, own, dry_run=dry_run)
        imported.append(_describe(source, outcome, account_id, why, others))
    if move and not dry_run:
        for each in dict.fromkeys(source.path for source in sources):
            there = [found for found in imported if found.path == paths.tell(each)]
            if all(found.outcome in _TAKEN for found in there) and await _remove(each):
                for found in there:
                    if found.id is not None and not found.also_in:
                        await accounts.trust(found.id)
    return imported


async def _take(
    accounts: Accounts, source: Source, own: Path, *, dry_run: bool
) -> tuple[ImportOutcome, str | None, str | None]:
    record = source.record
    if record is None:
        return "unreadable", None, source.problem
    if source.path == own / paths.CREDENTIAL or own / paths.ACCOUNTS in source.path.parents:
        return "own", accounts.active_id, None
    if identify(record) is None:
        return "unreadable", None, "it is of a kind that accountd cannot use"
    if (objection := find_objection(record, accounts.policy.current)) is not None:
        return "refused", None, str(objection)
    try:
        return *await accounts.take_in(record, dry_run=dry_run), None
    except (StorageError, InvalidRequest, LoginFailed) as error:
        return "refused", None, str(error)


def _find_others(person: Path, path: Path) -> list[Source]:
    """Read what other switchers have, to say who holds a login as well."""
    folders = [person / each for each in WELL_KNOWN]
    return [each for folder in folders if folder.is_dir() and folder != path for each in find_sources(folder)]


def _describe(
    source: Source, outcome: ImportOutcome, account_id: str | None, why: str | None, others: list[Source]
) -> ImportedAccount:
    login = source.record.chatgpt if source.record is not None else None
    tokens = login.tokens.refresh_token if login is not None else None
    also = {
        each.tool
        for each in others
        if tokens is not None
        and each.path != source.path
        and each.record is not None
        and each.record.chatgpt is not None
        and each.record.chatgpt.tokens.refresh_token == tokens
    }
    return ImportedAccount(
        path=paths.tell(source.path),
        tool=source.tool,
        email=login.claims.email if login is not None else None,
        workspace_id=login.account_id if login is not None else None,
        outcome=outcome,
        id=account_id,
        why=why,
        also_in=tuple(sorted(also)),
    )


async def _remove(path: Path) -> bool:
    if (why := await run_in_thread(try_to_remove, path)) is not None:
        _log.warning("%s is still there, with a login that is here as well: %s", path, why)
    return why is None
