"""`accountd doctor`: what is printed, for people and for programs, and the exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from accountd import __version__
from accountd.cli import main
from accountd.cli.doctor.report import render_check, render_json, render_total
from accountd.cli.terminal import Screen, Style
from accountd.doctor import checks
from accountd.doctor.checks import CHECKS
from accountd.doctor.findings import Check, Examined, Finding, fail, ok, warn

if TYPE_CHECKING:
    from pathlib import Path

    from accountd.doctor.surroundings import Surroundings

EXAMINED = [
    Examined("daemon.status", ok("accountd 0.1.0 answers, pid 4711", pid="4711"), 0.0123),
    Examined("network.clock", warn("90 s ahead of the issuer's", "set the clock"), 1.5),
    Examined("home.modes", fail("auth.json has mode 0644", "`chmod 600 /home/ada/.codex/auth.json`"), 0),
]


def render_text(examined: list[Examined], screen: Screen) -> list[str]:
    """Give all lines that a person sees."""
    return [*(line for each in examined for line in render_check(each, screen)), "", render_total(examined, screen)]


def test_each_check_is_a_line_and_each_remedy_one_below() -> None:
    """Off a terminal there are no colours, and nothing is folded; the last line counts."""
    assert render_text(EXAMINED, Screen()) == [
        "ok    daemon.status        accountd 0.1.0 answers, pid 4711",
        "warn  network.clock        90 s ahead of the issuer's",
        "                           -> set the clock",
        "fail  home.modes           auth.json has mode 0644",
        "                           -> `chmod 600 /home/ada/.codex/auth.json`",
        "",
        "1 ok, 1 warn, 1 fail",
    ]


@pytest.mark.parametrize("width", [80, 40])
def test_a_terminal_has_its_width(width: int) -> None:
    """At 80 columns a check has one line, at 40 its name stands alone; commands alone are not broken."""
    lines = render_text(EXAMINED, Screen(True, width, Style(), True))
    assert all(len(line) <= width for line in lines if "`" not in line)
    assert ("warn  network.clock" in lines) == (width == 40)


def test_a_terminal_has_colours_that_repeat_the_words() -> None:
    """Green, yellow and red are the verdicts', and the sum has that of the worst."""
    lines = render_text(EXAMINED, Screen(True, 80, Style(ansi=True), True))
    assert lines[0].startswith("\x1b[32mok    \x1b[0m")
    assert lines[1].startswith("\x1b[33mwarn  \x1b[0m")
    assert lines[3].startswith("\x1b[31mfail  \x1b[0m")
    assert "\x1b[31m1 ok, 1 warn, 1 fail" in lines[-1]


def test_text_from_elsewhere_stays_on_its_line() -> None:
    """A server's words cannot steer the terminal, nor a program that reads the JSON and prints it."""
    evil = [Examined("a.b", fail("x\x1b]0;y\x07\nz", "r\x1b[2J", detail="d\x07"), 0)]
    assert "\x1b" not in "\n".join(render_text(evil, Screen()))
    check = json.loads(render_json(evil, 0))["checks"]["a.b"]
    assert (check["summary"], check["remediation"], check["details"]) == ("x�]0;y� z", "r�[2J", {"detail": "d�"})


def test_json_is_laid_out_as_that_of_codex() -> None:
    """Whoever reads `codex doctor --json` finds its way: the same members, the same words for the verdicts."""
    report = json.loads(render_json(EXAMINED, 1_800_000_000))
    assert {name: value for name, value in report.items() if name != "checks"} == {
        "schemaVersion": 1,
        "generatedAt": "2027-01-15T08:00:00+00:00",
        "overallStatus": "fail",
        "accountdVersion": __version__,
    }
    assert [check["status"] for check in report["checks"].values()] == ["ok", "warning", "fail"]
    assert report["checks"]["daemon.status"] == {
        "id": "daemon.status",
        "category": "daemon",
        "status": "ok",
        "summary": "accountd 0.1.0 answers, pid 4711",
        "details": {"pid": "4711"},
        "remediation": None,
        "durationMs": 12,
    }


@pytest.mark.parametrize(
    ("finding", "code"), [(ok("fine"), 0), (warn("hm", "look"), 0), (fail("no", "mend it"), 1)]
)
def test_a_failure_is_exit_code_1(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], finding: Finding, code: int
) -> None:
    """And nothing else is; with JSON likewise."""

    async def find(_: Surroundings) -> Finding:
        return finding

    monkeypatch.setattr(checks, "CHECKS", (Check("a.b", find),))
    assert main(["doctor"]) == code
    assert finding.summary in capsys.readouterr().out
    assert main(["doctor", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["checks"]["a.b"]["summary"] == finding.summary


def test_the_socket_of_the_command_line_is_the_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With or without `unix://`; one that leads nowhere is one line on stderr."""
    [check] = [check for check in CHECKS if check.name == "socket.path"]
    monkeypatch.setattr(checks, "CHECKS", (check,))
    assert main(["doctor", "--json", "--socket", "unix:///tmp/elsewhere"]) == 0
    assert json.loads(capsys.readouterr().out)["checks"]["socket.path"]["details"]["path"] == "/tmp/elsewhere"
    assert main(["doctor", "--socket", "~no-such-person/s"]) == 1
    assert capsys.readouterr().err.startswith("accountd: --socket must be an absolute path")
