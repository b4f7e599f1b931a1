"""`accountd schema`: the folder that it writes, and what it will not write to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from accountd.cli import exits, main
from accountd.protocol.schema import render_files
from accountd.protocol.schema.typescript import render_types


def read(folder: Path) -> dict[str, bytes]:
    """Read every file of a folder, by its path in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_has_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is made, with the folders above it, and what was written is said in a line."""
    out = tmp_path / "a" / "schema"
    assert main(["schema", "--out", str(out)]) == exits.OK
    assert capsys.readouterr() == (f"{out}: {len(render_files())} files\n", "")
    assert read(out) == render_files()


def test_a_second_time_replaces_its_own_files_alone(tmp_path: Path) -> None:
    """What somebody changed is as it should be again; what is somebody's is left alone."""
    (tmp_path / "mine.json").write_text("{}")
    (tmp_path / "ClientRequest.json").write_text("old")
    assert main(["schema", "--out", str(tmp_path)]) == exits.OK
    assert read(tmp_path) == {**render_files(), "mine.json": b"{}"}


@pytest.mark.process
def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    """Nothing depends on the order of a set, the time or the place, so that a difference is one of the protocol."""
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "accountd", "schema", "--out", str(tmp_path / seed)]
        environ = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(command, env=environ, check=True, capture_output=True, cwd=tmp_path)
    assert read(tmp_path / "1") == read(tmp_path / "2") == render_files()


@pytest.mark.parametrize(
    ("out", "complaint"),
    [
        ("file", "accountd: cannot write to {}: it is not a folder\n"),
        (
            "file/below",
            "accountd: cannot write {}/ChatgptAuthTokensRefreshParams.json: Not a directory (os error 20)\n",
        ),
        ("taken", "accountd: cannot write {}/ClientRequest.json: Is a directory (os error 21)\n"),
    ],
)
def test_what_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, complaint: str
) -> None:
    """It names what is in the way, and a file that is in the way is not touched."""
    (tmp_path / "file").write_text("precious")
    (tmp_path / "taken" / "ClientRequest.json").mkdir(parents=True)
    assert main(["schema", "--out", str(tmp_path / out)]) == exits.ERROR
    assert capsys.readouterr() == ("", complaint.format(tmp_path / out))
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("arguments", [[], ["--out"], ["--out", ""]])
def test_a_folder_must_be_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """Also where a variable of a shell was empty: nothing lands in the folder that one happens to be in."""
    monkeypatch.chdir(tmp_path)
    assert main(["schema", *arguments]) == exits.USAGE
    assert "--out" in capsys.readouterr().err
    assert read(tmp_path) == {}


def test_the_types_are_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By itself or beside the folder; and what is in the way is named."""
    types = tmp_path / "a" / "accountd.ts"
    assert main(["schema", "--ts", str(types), "--out", str(tmp_path / "schema")]) == exits.OK
    assert capsys.readouterr().out == f"{types}\n{tmp_path / 'schema'}: {len(render_files())} files\n"
    assert types.read_text() == render_types()
    assert main(["schema", "--ts", str(tmp_path)]) == exits.ERROR
    assert capsys.readouterr().err == f"accountd: cannot write {tmp_path}: Is a directory (os error 21)\n"
