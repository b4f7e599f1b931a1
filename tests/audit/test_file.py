"""The file of the audit log: private, bounded, and nobody's obstacle."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING, NoReturn

import pytest

from accountd.audit.file import AuditFile
from accountd.files import rotation

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give where the file will be."""
    return tmp_path / "log" / "audit.jsonl"


def test_it_grows_and_only_its_owner_can_read_it(path: Path) -> None:
    """The file has mode 0600 and a folder that is made for it 0700, whatever the umask."""
    umask = os.umask(0)
    try:
        AuditFile(path).append(b"1\n")
        AuditFile(path).append(b"2\n")
    finally:
        os.umask(umask)
    assert path.read_bytes() == b"1\n2\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_it_is_rotated_by_size(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has no room for the next line is put aside; so many are kept, and no line is lost of those."""
    monkeypatch.setattr(rotation, "MAX_SIZE", 10)
    file = AuditFile(path)
    for number in range(12):
        file.append(b"line %d\n"[: 8 if number > 9 else 9] % number)
    names = sorted(found.name for found in path.parent.iterdir())
    assert names == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.3"]
    assert [(path.parent / name).read_bytes().split() for name in names] == [
        [b"line", number] for number in (b"11", b"10", b"9", b"8")
    ]
    assert all((path.parent / name).stat().st_mode & 0o777 == 0o600 for name in names)


def test_a_file_that_was_moved_or_removed_is_begun_anew(path: Path) -> None:
    """Whoever looks after logs needs to tell nobody."""
    file = AuditFile(path)
    file.append(b"1\n")
    path.rename(path.with_name("old"))
    file.append(b"2\n")
    assert path.read_bytes() == b"2\n"


def test_two_that_write_lose_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of several writers are whole, and each is somewhere, while files are rotated under them."""
    monkeypatch.setattr(rotation, "MAX_SIZE", 4000)
    monkeypatch.setattr(rotation, "KEPT", 50)

    def write(writer: int) -> None:
        file = AuditFile(path)
        for number in range(1000):
            file.append(b"%d %d\n" % (writer, number))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = sorted(line for found in path.parent.iterdir() for line in found.read_bytes().splitlines())
    assert lines == sorted(b"%d %d" % (writer, number) for writer in range(4) for number in range(1000))


def test_what_cannot_be_written_is_warned_of_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is raised; when it works again it goes on, and a new failure is a new warning."""
    path.mkdir(parents=True)
    file = AuditFile(path)
    file.append(b"1\n")
    file.append(b"2\n")
    assert [record.message for record in caplog.records] == [
        f"the audit log {path} cannot be written: Is a directory (os error 21)"
    ]
    path.rmdir()
    file.append(b"3\n")
    assert path.read_bytes() == b"3\n"
    path.unlink()
    path.mkdir()
    file.append(b"4\n")
    assert len(caplog.records) == 2


def test_a_folder_that_cannot_be_made_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is raised."""
    (tmp_path / "log").touch()
    AuditFile(tmp_path / "log" / "audit.jsonl").append(b"1\n")
    assert "cannot be written: Not a directory" in caplog.text


def test_a_full_disk_is_warned_of(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is raised where there is no room at all."""

    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", refuse)
    AuditFile(path).append(b"1\n")
    assert "cannot be written: No space left on device" in caplog.text


def test_half_a_line_is_taken_back(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a disk takes the beginning of a line, the next line still begins at the beginning."""
    file = AuditFile(path)
    file.append(b"first\n")
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
        file.append(b"second\n")
    file.append(b"third\n")
    assert path.read_bytes() == b"first\nthird\n"
    assert "No space left on device" in caplog.text


def test_a_pipe_in_its_place_is_not_waited_for(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A pipe that nobody reads is a file that cannot be written."""
    path.parent.mkdir()
    os.mkfifo(path)
    AuditFile(path).append(b"1\n")
    assert "cannot be written" in caplog.text
