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
from accountd.logs.formats import choose_format
from accountd.logs.limiter import FEW

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
        handler.close()


def fail(text: str) -> None:
    """Log an exception, as a library might."""
    try:
        int(f"{text} is no number")
    except ValueError:
        _log.exception("it failed")


def lines(capfd: CaptureFixture[str]) -> list[str]:
    """Give what was logged."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    written = capfd.readouterr().err
    assert written.endswith("\n")
    return written.removesuffix("\n").split("\n")


def test_text_tells_when_what_and_about_what(capfd: CaptureFixture[str]) -> None:
    """A line has time, level, logger, message and what is under way, in this order."""
    logs.set_up("info", "text")
    with logs.bind_fields(pid=4711, uid=1000, connection=3), logs.bind_fields(login="a-1", client="an editor"):
        _log.info("so it %s", "is")
    [line] = lines(capfd)
    assert line[:2] == "20"
    assert line[24:] == "INFO accountd.tests: so it is [connection=3 pid=4711 uid=1000 login=a-1]"


def test_json_is_an_object_a_line(capfd: CaptureFixture[str]) -> None:
    """An object has the same members, a traceback is one of them, and all of it is ASCII."""
    logs.set_up("debug", "json")
    with logs.bind_fields(connection=3, request=2):
        _log.warning("für %s", "dich")
        fail("nein")
    first, second = map(json.loads, raw := lines(capfd))
    assert all(line.isascii() for line in raw)
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "warning",
        "logger": "accountd.tests",
        "message": "für dich",
        "connection": 3,
        "request": 2,
    }
    assert second["traceback"].startswith("ValueError at ")
    assert "nein" not in second["traceback"]


def test_the_journal_gets_a_level_and_no_time(capfd: CaptureFixture[str]) -> None:
    """Each line, of a traceback too, begins with syslog's number of the level."""
    logs.set_up("debug", "journald")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        _log.log(level, "a")
    assert lines(capfd) == [f"<{number}>accountd.tests: a" for number in (7, 6, 4, 3, 2)]
    fail("no")
    assert {line[:3] for line in lines(capfd)} == {"<3>"}


@pytest.mark.parametrize("form", ["text", "json", "journald"])
def test_no_text_can_make_a_second_line(capfd: CaptureFixture[str], form: str) -> None:
    """Newlines and control characters of whatever is logged are spelled out."""
    logs.set_up("info", form)
    _log.info("a name: %s", FORGED)
    [line] = lines(capfd)
    assert line.isprintable()
    assert "forged" in line


@pytest.mark.parametrize("form", ["text", "json", "journald"])
def test_an_exception_is_told_without_its_text(capfd: CaptureFixture[str], form: str) -> None:
    """Its class, where it arose and the way it came; below its event, which it cannot pose as another of."""
    logs.set_up("info", form)
    fail(FORGED)
    first, *rest = lines(capfd)
    assert "it failed" in first
    assert "ValueError at " in first + "".join(rest)
    assert all(line.removeprefix("<3>").startswith("    ") and line.isprintable() for line in rest)
    assert "forged" not in first + "".join(rest)


@pytest.mark.parametrize("form", ["text", "json", "journald"])
def test_a_secret_in_a_line_is_dots(capfd: CaptureFixture[str], form: str) -> None:
    """Whoever logs it, and whatever it is wrapped in: nothing of a token reaches the log."""
    logs.set_up("info", form)
    _log.info("got %s", "Bearer 0123456789abcdef0123\n")
    logging.getLogger("httpx").warning("GET /?refresh%%5Ftoken%%3D%s", "0123456789abcdef0123")
    for line in lines(capfd):
        assert "..." in line
        assert "0123" not in line.partition("accountd.tests" if "accountd.tests" in line else "httpx")[2]


def test_a_line_that_cannot_be_written_is_told(capfd: CaptureFixture[str]) -> None:
    """A bug in what is logged neither fails who logs it, nor shows what was to be logged."""
    handler = logs.set_up("info", "text")
    handler.handle(logging.LogRecord("accountd.tests", logging.INFO, "", 0, "%d", ("canary",), None))
    [line] = lines(capfd)
    assert line == "INFO accountd.tests: a line that cannot be written"


def test_the_first_few_of_a_kind_are_told_and_then_a_count(capfd: CaptureFixture[str]) -> None:
    """One kind does not hide another, nor does one stranger; debugging has every line."""
    handler = logs.set_up("debug", "text")
    for number in range(1000):
        _log.warning("refused uid %d, pid %d", 7, number, extra={"kind": 7})
        _log.debug("each %d", number)
    _log.warning("refused uid %d, pid %d", 8, 1, extra={"kind": 8})
    handler.close()
    told = [line.partition("accountd.tests: ")[2] for line in lines(capfd) if "DEBUG" not in line]
    assert told == [
        *(f"refused uid 7, pid {number}" for number in range(FEW)),
        "refused uid 8, pid 1",
        f"{1000 - FEW} more of these within 60 s: refused uid 7, pid {FEW}",
    ]


async def test_bound_fields_go_down_to_tasks() -> None:
    """A task knows what it was started about, for as long as it lives; others, and what comes after, do not."""
    seen: dict[str, Any] = {}

    async def look(name: str) -> None:
        await trio.lowlevel.checkpoint()
        seen[name] = dict(logs.bound_fields())

    async with trio.open_nursery() as nursery:
        with logs.bind_fields(connection=1):
            nursery.start_soon(look, "inside")
            with logs.bind_fields(request=2):
                nursery.start_soon(look, "deeper")
            await trio.to_thread.run_sync(lambda: seen.update(thread=dict(logs.bound_fields())))
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
    assert choose_format({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}) == "journald"
    assert choose_format({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"}) == "text"
    assert choose_format({"JOURNAL_STREAM": ""}) == "text"
    assert choose_format({}) == "text"


def test_a_daemon_without_stderr_writes_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is closed nobody reads it; that is no reason not to start."""

    def closed(descriptor: int) -> NoReturn:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    with monkeypatch.context() as patch:  # pytest would miss it, too
        patch.setattr(os, "fstat", closed)
        chosen = choose_format({"JOURNAL_STREAM": "1:2"})
    assert chosen == "text"


def test_httpx_is_kept_quiet(capfd: CaptureFixture[str]) -> None:
    """What logs URLs and headers is heard of warnings alone, at any level."""
    logs.set_up("debug", "text")
    for name in ("httpx", "httpcore.connection"):
        logging.getLogger(name).info("GET https://auth.example/?code=1")
    assert capfd.readouterr().err == ""
