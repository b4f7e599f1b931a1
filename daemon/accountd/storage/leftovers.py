"""What a crash leaves beside `auth.json`: a new document, written and not yet renamed into its place.

When a refresh writes the new tokens, the old ones are spent. So a document that is whole, and lacks only its name,
is the login; whoever throws it away has to log in again. It is taken over if it is a later state of the very login
that is stored. Any other one is removed: what is there was stored after it, or somebody has logged out since.

A file that is mounted by itself is written in place, with the new document beside it. If that is cut short, what is
there cannot be read, and the document beside it is what was to be there, whatever came before.

Who has the credential locks finds no other writer's document here, since nobody writes without them.
"""

from __future__ import annotations

import logging
import math
from datetime import datetime
from typing import TYPE_CHECKING

from accountd.errors import MalformedRecord
from accountd.files.read import FileTooLarge, read_own_file
from accountd.files.replace import find_redo, find_unnamed, remove_file, replace_file
from accountd.storage.base import has_other_tokens
from accountd.storage.document import parse_record

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.storage.base import AuthRecord

_log = logging.getLogger(__name__)


def settle_leftovers(path: Path, stored: AuthRecord | None) -> None:
    """Take over the latest state of the stored login that a crash has left, and remove whatever it has left.

    Call it with the credential locks held. Raises OSError, and then what is worth something is there still.
    """
    latest, best = stored, b""
    leftovers = find_unnamed(path)
    for leftover in leftovers:
        if (read := _read(leftover)) is not None:
            record, document = read
            if latest is not None and is_later_state(record, latest):
                latest, best = record, document
    if best:
        replace_file(path, best)
        _log.warning("a crash had kept a refresh from being stored in %s; its tokens are taken over", path)
    for leftover in leftovers:
        remove_file(leftover)
        _log.info("%s, which a crash had left, is removed", leftover)


def redo_writing(path: Path) -> None:
    """Write again what was being written in place when a crash cut that short, if it is whole.

    As `settle_leftovers`, and for a document that cannot be read.
    """
    whole = [(refreshed_at(read[0]), read[1]) for redo in find_redo(path) if (read := _read(redo)) is not None]
    if whole:
        _, document = max(whole)
        replace_file(path, document)
        _log.warning("a crash had cut short the writing of %s; it is written again", path)
        settle_leftovers(path, parse_record(document))


def is_later_state(record: AuthRecord, stored: AuthRecord) -> bool:
    """Say whether a record is what a refresh has made of the stored one, or of what that came from."""
    login, old = record.chatgpt, stored.chatgpt
    return (
        login is not None
        and old is not None
        and stored.mode == "chatgpt"
        and has_other_tokens(record, old)
        and login.claims.user_id == old.claims.user_id
        and login.login_owner_id == old.login_owner_id
        and refreshed_at(record) > refreshed_at(stored)
    )


def refreshed_at(record: AuthRecord) -> float:
    """Give the time of the last refresh; one that no calendar has is before all others."""
    try:
        return datetime.fromisoformat(record.last_refresh or "").timestamp()
    except (ValueError, OverflowError, OSError):
        return -math.inf


def _read(leftover: Path) -> tuple[AuthRecord, bytes] | None:
    """Read a document that may have been cut off. Raises OSError."""
    try:
        document = read_own_file(leftover)
        return parse_record(document), document
    except (MalformedRecord, FileTooLarge):
        return None
