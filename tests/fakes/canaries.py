"""Watches that no test, whatever it is about, makes a secret seen: a plugin of pytest.

Every `Secret` of a test's process is noted when it is made; the sandbox runs there, so that its codes, verifiers
and tokens are among them, whichever process they end up in. After the test, none of them may be in what was logged
(at any level), in what was written to stderr here or by a process that was started, in a log file, in the text of
an error, or in a page for a browser. User codes are not secret, and not for the log.
"""

from __future__ import annotations

import functools
import logging
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from accountd.client.errors import ClientError
from accountd.errors import AccountdError
from accountd.oauth import pages
from accountd.page_templates import Html, PageTemplates
from accountd.sandbox.state import State
from accountd.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

SHORTEST = 8
"""Characters. Anything shorter could be a word by chance; tests have `sk-1` and the like for what is no secret."""

LOG = "the log"

_KEY = re.compile(r"\bsk-[\w-]{5,}")
"""What looks like an API key, which a test may hand to a daemon as plain text."""


class Watch:
    """The secrets of one test, and what it let be seen."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._user_codes: set[str] = set()
        self._seen: list[tuple[str, str]] = []

    def note_secret(self, text: str) -> None:
        """Note what must not be seen; of what is long, no part that tells it apart either."""
        if len(text) >= 4 * SHORTEST:
            middle = len(text) // 2
            self._secrets |= {text[middle : middle + 2 * SHORTEST], text[-2 * SHORTEST :]}
        elif len(text) >= SHORTEST:
            self._secrets.add(text)

    def note_user_code(self, text: str) -> None:
        """Note what must not be logged."""
        self._user_codes.add(text)

    def see(self, where: str, text: object) -> None:
        """Note what was seen."""
        if text:
            self._seen.append((where, text.decode(errors="replace") if isinstance(text, bytes) else str(text)))

    def find_leaks(self) -> list[str]:
        """Say where a secret was seen, with the line around it, and dots in its place."""
        return list(dict.fromkeys(self._leaks()))

    def _leaks(self) -> Generator[str]:
        for where, text in self._seen:
            secrets = {*self._secrets, *_KEY.findall(text)} | (self._user_codes if where == LOG else set())
            for secret in sorted(secrets):
                if secret in text:
                    line = next((line for line in text.splitlines() if secret in line), "several lines")
                    yield f"{where} shows a secret: {line.replace(secret, '••••')[:300]}"


always = Watch()
"""What was made before any test began: constants of modules, and parameters."""
current = always


def _after(owner: Any, name: str, note: Callable[..., object]) -> None:
    """Have `note` called with what a function or method gave, and its arguments."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def noting(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        note(result, *args)
        return result

    setattr(owner, name, noting)


def _look_at_page(page: Html, templates: PageTemplates, *_: object) -> None:
    if templates is pages.TEMPLATES:  # the sandbox shows the person their code
        current.see("a page", page)


def _look_at_logs() -> None:
    """See what is logged at any level, and let through what would have been without that."""
    enabled, handle = logging.Logger.isEnabledFor, logging.Logger.handle

    def is_enabled(logger: logging.Logger, level: int) -> bool:
        return logger.name.startswith("accountd") or enabled(logger, level)

    def look(logger: logging.Logger, record: logging.LogRecord) -> None:
        current.see(LOG, logging.Formatter().format(record))
        record.exc_text = None  # a cache, which other formatters would take for their own
        if enabled(logger, record.levelno):
            handle(logger, record)

    for name, replacement in (("isEnabledFor", is_enabled), ("handle", look)):
        setattr(logging.Logger, name, replacement)


def pytest_configure() -> None:
    """Begin to look, once for the whole run."""
    _after(Secret, "__init__", lambda _, __, text: current.note_secret(text))
    _after(State, "start_login", lambda started, *_: current.note_user_code(started[1].user_code))
    for kind in (AccountdError, ClientError):
        _after(kind, "__init__", lambda _, error, *__: current.see("the text of an error", error))
    _after(PageTemplates, "fill", _look_at_page)
    _after(pages, "_redirect", lambda page, *_: current.see("a redirect to a page", page.headers))
    _after(pytest.CaptureFixture, "readouterr", lambda written, *_: current.see("stderr", written.err))
    _after(subprocess.Popen, "communicate", lambda written, *_: current.see("stderr of a process", written[1]))
    _look_at_logs()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Give each test a watch of its own."""
    global current  # noqa: PLW0603  # what is made has no other way to know whose it is
    current = Watch()
    current._secrets |= always._secrets


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Read the log files of daemons that were started, before a fixture removes them."""
    for folder in getattr(item, "funcargs", {}).values():
        if isinstance(folder, Path) and folder.is_dir():
            for file in folder.rglob("log/accountd*"):
                current.see(LOG, file.read_bytes())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that made a secret seen, when it is over."""
    report = yield
    if call.when == "teardown":
        for name, text in report.sections:
            if "stderr" in name:
                current.see("stderr", text)
        if leaks := current.find_leaks():
            report.outcome = "failed"
            report.longrepr = "\n".join(leaks)
    return report
