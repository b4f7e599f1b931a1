"""What a process that was loaded before an upgrade says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accountd import __version__
from accountd.installation import Installation
from accountd.unforeseen import INTERNAL_ERROR, explain
from accountd.web.failures import describe_failure

if TYPE_CHECKING:
    from pathlib import Path


def test_what_has_not_changed_is_this_version() -> None:
    """That of this very process, as long as nobody installs anything."""
    installation = Installation()
    assert (installation.find_version(), installation.describe_change()) == (__version__, None)


@pytest.mark.parametrize(
    ("text", "version", "now"),
    [
        ('"""Doc."""\n\n__version__ = "9.8.7"\n', "9.8.7", "is 9.8.7 on the disk now"),
        (None, None, "was removed"),
    ],
)
def test_an_upgrade_is_noticed_and_named(
    text: str | None, version: str | None, now: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By both versions, in the words of a failure that nobody foresaw, with what to do."""
    package = tmp_path / "__init__.py"
    package.write_text(f'__version__ = "{__version__}"\n')
    installation = Installation(str(package))
    package.unlink()
    if text is not None:
        package.write_text(text)
    words = f"accountd {now}, and this daemon is {__version__}, from before: `accountd restart`"
    assert (installation.find_version(), installation.describe_change()) == (version, words)
    monkeypatch.setattr("accountd.unforeseen.INSTALLATION", installation)
    monkeypatch.setattr("accountd.web.failures.INSTALLATION", installation)
    assert explain(ModuleNotFoundError("httpx")) == words
    assert explain(ModuleNotFoundError("httpx")) != INTERNAL_ERROR
    assert describe_failure(ImportError("x"), "h") == f"error sending request to h: {words}"
