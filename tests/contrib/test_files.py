"""The generated files are what the parser gives now, and are installed where they are looked for."""

from __future__ import annotations

import re
import tomllib

import pytest

from generators.files import ROOT, render_files


def test_the_files_are_those_of_the_parser() -> None:
    """What is kept equals what is made from the command line as it is."""
    made = render_files()
    kept = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in {(ROOT / path).parent for path in made}
        for path in folder.iterdir()
        if path.is_file() and path.suffix != ".py"
    }
    differing = sorted(path for path in made.keys() | kept.keys() if made.get(path) != kept.get(path))
    if differing:
        pytest.fail(f"the command line has changed, run `make contrib`: {', '.join(differing)}")


def test_every_file_is_installed() -> None:
    """The wheel takes all pages, the units, and the script of every shell."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    scripts = {path for path in render_files() if path.startswith("daemon/")}
    assert {*scripts, "contrib/man", "contrib/systemd"} == set(shared)


def test_the_page_has_every_variable_of_the_readme() -> None:
    """What the README says can be configured by a variable is in ENVIRONMENT of accountd(1)."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| Variable |")[2].partition("\n\n")[0]
    variables = set(re.findall(r"`([A-Z_]{3,})`", "\n".join(row.split("|")[1] for row in table.splitlines()[2:])))
    page = render_files()["contrib/man/accountd.1"].partition(".SH ENVIRONMENT")[2].partition(".SH ")[0]
    assert len(variables) >= 8
    assert variables <= set(re.findall(r"[A-Z_]{3,}", page.replace(r"\fB", "")))
