"""One line an event, in each form, with what is under way."""

from __future__ import annotations

import errno
import json
import logging
import os
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import trio

from accountd import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.capture import CaptureFixture

FORGED = "quiet\n2026-01-01 00:00:00,000 ERROR accountd: forged\r\x1b[2J\u2028\x00"
_log = logging.getLogger("accountd.tests")


@pytest.fixture(autouse=True)
def _root() -> Iterator[None]:
    """Let each test set up the log, as a process does once."""
    root = logging.getLogger()
    level, before = root.level, tuple(root.handlers)
    yield
    root.setLevel(level)
    for handler in {*root.handlers} - {*before}:
        root.removeHandler(handler)


def fail(text: str) -> None:
    """Log a traceback."""
    try:
        int(f"{text} is no number")
    except ValueError:
        _log.exception("it failed")


def lines(capsys: CaptureFixture[str]) -> list[str]:
    """Give what was logged."""
    written = capsys.readouterr().err
    assert written.endswith("\n")
    return written.removesuffix("\n").split("\n")


def test_text_tells_when_what_and_about_what(capsys: CaptureFixture[str]) -> None:
    """A line has time, level, logger, message and what is under way, in this order."""
    logs.set_up("info", "text")
    with logs.about(pid=4711, uid=1000, connection=3), logs.about(login="a-1", client="an editor"):
        _log.info("so it %s", "is")
    [line] = lines(capsys)
    assert line[:2] == "20"
    assert line[24:] == "INFO accountd.tests: so it is [connection=3 pid=4711 uid=1000 login=a-1]"


def test_json_is_an_object_a_line(capsys: CaptureFixture[str]) -> None:
    """An object has the same members, a traceback is one of them, and all of it is ASCII."""
    logs.set_up("debug", "json")
    with logs.about(connection=3, request=2):
        _log.warning("für %s", "dich")
        fail("nein")
    first, second = map(json.loads, raw := lines(capsys))
    assert all(line.isascii() for line in raw)
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "warning",
        "logger": "accountd.tests",
        "message": "für dich",
        "connection": 3,
        "request": 2,
    }
    assert second["traceback"].endswith("'nein is no number'")


def test_the_journal_gets_a_level_and_no_time(capsys: CaptureFixture[str]) -> None:
    """Each line, of a traceback too, begins with syslog's number of the level."""
    logs.set_up("debug", "journald")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        _log.log(level, "a")
    assert lines(capsys) == [f"<{number}>accountd.tests: a" for number in (7, 6, 4, 3, 2)]
    fail("no")
    assert {line[:3] for line in lines(capsys)} == {"<3>"}


@pytest.mark.parametrize("form", ["text", "json", "journald"])
def test_no_text_can_make_a_second_line(capsys: CaptureFixture[str], form: str) -> None:
    """Newlines and control characters of whatever is logged are spelled out."""
    logs.set_up("info", form)
    _log.info("a name: %s", FORGED)
    [line] = lines(capsys)
    assert line.isprintable()
    assert "forged" in line


@pytest.mark.parametrize("form", ["text", "journald"])
def test_a_traceback_cannot_pose_as_an_event(capsys: CaptureFixture[str], form: str) -> None:
    """It is below its event, indented line by line, whatever its exception's text says."""
    logs.set_up("info", form)
    fail(FORGED)
    first, *rest = lines(capsys)
    assert first.endswith("accountd.tests: it failed")
    assert all(line.removeprefix("<3>").startswith("    ") and line.isprintable() for line in rest)
    assert any("forged" in line for line in rest)


async def test_what_is_under_way_goes_down_to_tasks() -> None:
    """A task knows what it was started about, for as long as it lives; others, and what comes after, do not."""
    seen: dict[str, Any] = {}

    async def look(name: str) -> None:
        await trio.lowlevel.checkpoint()
        seen[name] = dict(logs.what_is_under_way())

    async with trio.open_nursery() as nursery:
        with logs.about(connection=1):
            nursery.start_soon(look, "inside")
            with logs.about(request=2):
                nursery.start_soon(look, "deeper")
            await trio.to_thread.run_sync(lambda: seen.update(thread=dict(logs.what_is_under_way())))
        nursery.start_soon(look, "outside")
    assert seen == {
        "inside": {"connection": 1},
        "deeper": {"connection": 1, "request": 2},
        "thread": {"connection": 1},
        "outside": {},
    }


def test_the_journal_is_known_by_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where JOURNAL_STREAM names the very stream that stderr is, lines are for the journal; else for people."""
    found = os.fstat(2)
    assert logs._choose_format({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}) == "journald"
    assert logs._choose_format({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"}) == "text"
    assert logs._choose_format({"JOURNAL_STREAM": ""}) == "text"
    assert logs._choose_format({}) == "text"


def test_a_daemon_without_stderr_writes_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is closed nobody reads it; that is no reason not to start."""

    def closed(descriptor: int) -> NoReturn:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    with monkeypatch.context() as patch:  # pytest would miss it, too
        patch.setattr(os, "fstat", closed)
        chosen = logs._choose_format({"JOURNAL_STREAM": "1:2"})
    assert chosen == "text"


def test_httpx_is_kept_quiet(capsys: CaptureFixture[str]) -> None:
    """What logs URLs and headers is heard of warnings alone, at any level."""
    logs.set_up("debug", "text")
    for name in ("httpx", "httpcore.connection"):
        logging.getLogger(name).info("GET https://auth.example/?code=1")
    assert capsys.readouterr().err == ""
