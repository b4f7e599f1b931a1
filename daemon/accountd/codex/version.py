"""Which release of the Codex app-server is followed."""

from __future__ import annotations

CODEX_VERSION = "0.171.0"
"""The release whose account protocol this package speaks: that of the newest records that it is held against."""
