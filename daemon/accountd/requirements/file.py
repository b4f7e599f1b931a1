"""A bundle of requirements as it is kept: whose it is, when it came, and the file for a start without a network."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec

from accountd.files.read import read_own_file
from accountd.files.replace import replace_file
from accountd.requirements.layers import MAX_BUNDLE

if TYPE_CHECKING:
    from pathlib import Path

TTL: Final = 3600.0
"""Seconds for which requirements are used without asking for newer ones."""

_MAX_FILE: Final = MAX_BUNDLE + 4096  # bytes: a bundle as it came, and whose it is

_log = logging.getLogger(__name__)


class Owner(msgspec.Struct, frozen=True):
    """Whose requirements they are: a person in a workspace."""

    user_id: str | None
    account_id: str | None

    @property
    def is_known(self) -> bool:
        """Whether another login by this name is by the same owner."""
        return self.user_id is not None and self.account_id is not None


class Kept(msgspec.Struct, frozen=True):
    """One bundle as it came, and when, in Unix seconds. It is the content of the file, too."""

    owner: Owner
    fetched_at: float
    bundle: msgspec.Raw

    def is_fresh(self, now: float) -> bool:
        """Return True if it may be used without asking; not if the clock has been set back since it came."""
        return 0 <= now - self.fetched_at < TTL


class BundleFile:
    """The last bundle on disk, for a daemon that starts where the backend cannot be reached.

    It is not Codex's `cloud-config-bundle-cache.json`, which Codex signs and nobody else can write. What goes
    wrong here costs a request, so it is logged and no more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Kept | None:
        """Read it; None if there is none, or none that can be read."""
        try:
            return msgspec.json.decode(read_own_file(self._path, _MAX_FILE), type=Kept)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever is in it, no requirements must depend on a copy of them
            _log.warning("%s cannot be read: %s", self._path.name, type(error).__name__)
            return None

    def save(self, kept: Kept) -> None:
        """Replace it. The disk is waited for: a few kilobytes, when there are new ones."""
        try:
            replace_file(self._path, msgspec.json.encode(kept))
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._path.name, error.strerror)
