"""`accountd status --format prometheus`: what a parser of somebody else reads in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from accountd.cli import main
from accountd.cli.status.prometheus import render_metrics
from fakes.app_server import AppServer, Message

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from prometheus_client import Metric

KINDS = {"apiKey": 0, "chatgpt": 1, "chatgptDeviceCode": 2, "chatgptAuthTokens": 0}

STATUS: Message = {
    "version": "0.1.0",
    "protocolVersion": "0.171.0",
    "pid": 4711,
    "startedAt": 1_795_000_000.25,
    "uptimeSeconds": 7384.5,
    "connections": 3,
    "logins": [],
    "credential": {"mode": "chatgpt", "needsLogin": False, "expiresAt": 1_795_003_600},
    "store": {"kind": "file", "location": "/home/someone/.codex/auth.json", "note": None},
    "nextRefresh": 1_795_003_300.5,
    "lastRefresh": {"outcome": "failed", "at": 1_795_000_900, "error": "no route"},
    "counters": {
        "connectionsAccepted": 40,
        "connectionsRefused": 1,
        "clientsCut": 2,
        "requestsAnswered": 123,
        "requestsRefused": {"-32600": 4, "-32700": 0},
        "loginsStarted": KINDS,
        "loginsCompleted": KINDS,
        "loginsFailed": KINDS,
        "loginsCancelled": KINDS,
        "refreshes": {"done": 5, "failed": 1, "adopted": 2},
        "tokensHandedOut": 9,
        "notificationsSent": 33,
    },
    "tokenSocket": {
        "path": "/run/user/1000/accountd-box/s",
        "trouble": None,
        "connections": 2,
        "connectionsRefused": 3,
        "tokensHandedOut": 7,
        "tokensRefused": 4,
        "refreshesMade": 5,
        "refreshesWithheld": 6,
    },
}


def parse(text: str) -> dict[str, Metric]:
    """Read an exposition, as a collector does."""
    families = [*text_string_to_metric_families(text)]
    assert len({family.name for family in families}) == len(families)
    return {family.name: family for family in families}


def value(families: Mapping[str, Metric], sample: str, **labels: str) -> Any:
    """Give the value of the one sample of this name and these labels."""
    samples = [s for family in families.values() for s in family.samples if s.name == sample]
    [found] = [s.value for s in samples if s.labels == labels]
    return found


def test_everything_is_a_family_with_its_help_and_its_type() -> None:
    """Each name begins with accountd_ and has a HELP and a TYPE; what only goes up is a counter, in _total."""
    text = render_metrics(STATUS)
    families = parse(text)
    assert all(name.startswith("accountd_") and family.documentation for name, family in families.items())
    assert {family.type for family in families.values()} == {"gauge", "counter"}
    for family in families.values():
        assert all(s.name.endswith("_total") == (family.type == "counter") for s in family.samples)
    assert text.count("# HELP ") == text.count("# TYPE ") == len(families)
    assert text.endswith("\n")


def test_the_numbers_are_those_of_the_status() -> None:
    """Counts, gauges and times are what the daemon said, to the last digit."""
    families = parse(render_metrics(STATUS))
    assert value(families, "accountd_build_info", version="0.1.0", protocol_version="0.171.0") == 1
    assert value(families, "accountd_start_time_seconds") == 1_795_000_000.25
    assert value(families, "accountd_uptime_seconds") == 7384.5
    assert value(families, "accountd_connections") == 3
    assert value(families, "accountd_logged_in", mode="chatgpt") == 1
    assert value(families, "accountd_needs_login") == 0
    assert value(families, "accountd_next_refresh_time_seconds") == 1_795_003_300.5
    assert value(families, "accountd_last_refresh_time_seconds", outcome="failed") == 1_795_000_900
    assert value(families, "accountd_requests_refused_total", code="-32600") == 4
    assert value(families, "accountd_refreshes_total", outcome="adopted") == 2
    assert value(families, "accountd_logins_started_total", type="chatgptDeviceCode") == 2
    assert value(families, "accountd_tokens_handed_out_total") == 9
    assert value(families, "accountd_token_socket_up") == 1
    assert value(families, "accountd_token_socket_connections") == 2
    assert value(families, "accountd_token_socket_refreshes_withheld_total") == 6


def test_what_is_not_known_is_left_out() -> None:
    """A null is no number; nor has a daemon of another version every counter. What is left can be read."""
    unknown = {"nextRefresh": None, "lastRefresh": None, "credential": {"mode": None, "expiresAt": None}}
    families = parse(render_metrics({**STATUS, **unknown, "counters": {"clientsCut": 1}}))
    assert "accountd_next_refresh_time_seconds" not in families
    assert "accountd_last_refresh_time_seconds" not in families
    assert "accountd_token_expiry_time_seconds" not in families
    assert "accountd_refreshes" not in families
    assert value(families, "accountd_logged_in") == 0
    assert value(families, "accountd_clients_cut_total") == 1
    trouble = {"trouble": "a file is in the way", "connections": None}
    families = parse(render_metrics({**STATUS, "tokenSocket": trouble}))
    assert value(families, "accountd_token_socket_up") == 0
    assert "accountd_token_socket" not in {*parse(render_metrics({**STATUS, "tokenSocket": None}))}


@pytest.mark.parametrize("version", ['a"b', "a\\b", "a\nb", "ä }{ =,"])
def test_a_label_is_what_it_was_whatever_is_in_it(version: str) -> None:
    """Quotes, backslashes and line breaks are escaped, and come back from the parser."""
    families = parse(render_metrics({**STATUS, "version": version}))
    assert value(families, "accountd_build_info", version=version, protocol_version="0.171.0") == 1


def test_the_verb_prints_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`accountd status --format prometheus` asks for the status alone, and exits with 0."""
    with AppServer(path, {"accountd/status": STATUS}) as server:
        assert main(["status", "--format", "prometheus"]) == 0
        assert server.methods == ["accountd/accounts/list", "accountd/status"]
    assert capsys.readouterr().out == render_metrics(STATUS)


def test_a_daemon_that_does_not_count_is_told_of(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An older daemon has no such method: exit code 1, one line, and nothing that looks like numbers."""
    with AppServer(path):
        assert main(["status", "--format", "prometheus"]) == 1
    assert capsys.readouterr() == (
        "",
        f"accountd: the daemon at {path} counts nothing: it is of an older version\n",
    )
