"""The rehearsal of a save to a file: whether the disk would have the document that a login will bring.

A person who approves a login spends their patience, and the issuer a session. So what can be known before is
looked at before: a folder in the way, a link to nowhere, a disk that is read-only or full, what is immutable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from accountd.files.replace import rehearse_replacing
from accountd.storage.trouble import cannot

if TYPE_CHECKING:
    from pathlib import Path

_SIZE: Final = 16 << 10
"""Bytes of a document with three long tokens."""


def rehearse(document: Path) -> None:
    """Do all that replaces a document, but for the replacing. Raises StorageError, with a remedy."""
    try:
        rehearse_replacing(document, _SIZE)
    except OSError as error:
        raise cannot("written", document, error) from error
