"""The writer of the log: nobody waits for whoever reads it, and what is lost is counted."""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from typing import TYPE_CHECKING

import pytest

from accountd.files.rotation import MAX_SIZE
from accountd.logs.own_file import open_own_file
from accountd.logs.writer import MAX_WAITING, LineWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINE = b"a line of the log, as long as many are, and with nothing in it\n"
PATIENCE = 10


def open_writer(descriptor: int, prepare: Callable[[int], None] = lambda _: None) -> LineWriter:
    """Make a writer that tells of lost lines by their number."""
    return LineWriter(
        descriptor, prepare=prepare, render_lost=lambda lost: b"lost %d\n" % lost, on_idle=lambda: None
    )


def test_nobody_waits_for_a_pipe_that_is_not_read() -> None:
    """Lines are taken at once; what is too much is lost, and told when it is read again."""
    reading, writing = os.pipe()
    writer = open_writer(writing)
    number = 4 * MAX_WAITING // len(LINE)
    for _ in range(number):
        writer.put(LINE)
    assert not writer.flush(0.01)
    read, told, lost = b"", 0, 0
    while told + lost < number:
        read += os.read(reading, 1 << 16)
        told, lost = read.count(LINE), sum(map(int, re.findall(rb"^lost (\d+)\n", read, re.MULTILINE)))
    assert told + lost == number
    assert MAX_WAITING <= told * len(LINE) <= 3 * MAX_WAITING
    writer.put(b"on again\n")
    assert writer.flush(PATIENCE)
    assert os.read(reading, 1 << 16) == b"on again\n"
    writer.close()


def test_a_descriptor_that_somebody_made_non_blocking_loses_nothing() -> None:
    """Who shares it, such as the program that started us, may have reasons; what does not fit is waited for."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    writer = open_writer(writing)
    number = MAX_WAITING // len(LINE)
    for _ in range(number):
        writer.put(LINE)
    read = b""
    while len(read) < number * len(LINE):
        read += os.read(reading, 1 << 16)
    assert read == LINE * number
    assert writer.flush(PATIENCE)
    writer.close()


def test_a_reader_that_is_gone_harms_nobody() -> None:
    """Neither is a signal in the way nor an error raised. What was lost is told to whoever reads later."""
    reading, writing = os.pipe()
    os.close(reading)
    writer = open_writer(writing)
    for _ in range(4):
        writer.put(LINE)
        assert writer.flush(PATIENCE)
    later, again = os.pipe()
    os.dup2(again, writing)
    writer.put(LINE)
    assert writer.flush(PATIENCE)
    assert os.read(later, 1 << 16) == LINE + b"lost 4\n"
    writer.close()


def test_where_no_thread_can_be_had_the_last_lines_still_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as somebody reads them, and for a while; then the process may end."""
    reading, writing = os.pipe()

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    writer = open_writer(writing)
    writer.put(LINE)
    assert writer.flush(PATIENCE)
    assert os.read(reading, 1 << 16) == LINE
    for _ in range(MAX_WAITING // len(LINE)):
        writer.put(LINE)
    began = time.monotonic()
    assert not writer.flush(0.01)
    assert time.monotonic() - began < PATIENCE


def test_a_writer_that_has_nothing_to_do_sleeps() -> None:
    """It is asked once how long there is nothing, and then no more."""
    _, writing = os.pipe()
    asked = []

    def on_idle() -> float:
        asked.append(True)
        return 3600.0

    writer = LineWriter(writing, prepare=lambda _: None, render_lost=lambda _: b"", on_idle=on_idle)
    writer.put(LINE)
    assert writer.flush(PATIENCE)
    assert len(asked) <= 3
    writer.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Give a log that is all but full."""
    path = tmp_path / "accountd.log"
    path.write_bytes(b"x" * (MAX_SIZE - len(LINE)))
    path.chmod(0o600)
    return path


def open_log(path: Path) -> int:
    """Open it as autostart does."""
    return os.open(path, os.O_RDWR | os.O_APPEND)


def test_a_log_of_ours_is_rotated(log: Path) -> None:
    """When it is full it is moved aside, and what comes goes to a new file that nobody else can read."""
    descriptor = open_log(log)
    writer = open_writer(descriptor, open_own_file(str(log), descriptor))
    for _ in range(3):
        writer.put(LINE)
        assert writer.flush(PATIENCE)
    assert log.read_bytes() == LINE * 2
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.with_name("accountd.log.1").stat().st_size == MAX_SIZE
    writer.close()


def test_who_shares_a_log_notices_that_it_was_rotated(log: Path) -> None:
    """Another daemon of the same home writes to the new file from its next line on."""
    mine, other = open_log(log), open_log(log)
    prepare, prepare_other = open_own_file(str(log), mine), open_own_file(str(log), other)
    prepare(2 * len(LINE))
    prepare_other(len(LINE))
    os.write(mine, b"mine\n")
    os.write(other, b"other\n")
    assert log.read_bytes() == b"mine\nother\n"


def test_a_log_that_somebody_has_a_lock_on_stays(log: Path) -> None:
    """Whoever starts a daemon reads its last words there."""
    descriptor, starter = open_log(log), open_log(log)
    fcntl.flock(starter, fcntl.LOCK_EX)
    prepare = open_own_file(str(log), descriptor)
    prepare(2 * len(LINE))
    os.write(descriptor, LINE)
    assert log.stat().st_size == MAX_SIZE
    os.close(starter)
    prepare(len(LINE))
    assert log.stat().st_size == 0


def test_a_file_of_somebody_elses_is_left_alone(log: Path, tmp_path: Path) -> None:
    """Where stderr is another file than the log of ours, it is whoever named it that looks after it."""
    other = tmp_path / "other.log"
    other.write_bytes(log.read_bytes())
    descriptor = open_log(other)
    for own in (None, str(log), str(tmp_path / "none")):
        open_own_file(own, descriptor)(10 * len(LINE))
    assert {path.name for path in tmp_path.iterdir()} == {"accountd.log", "other.log"}
