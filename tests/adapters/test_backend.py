"""What the backend's list of workspaces means."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.adapters.backend import Workspace, parse_workspace
from accountd.errors import RemoteRefused

BACKEND = "https://chatgpt.com/backend-api"


def entry(**changes: object) -> dict[str, object]:
    """Make a good entry, changed."""
    usual = {
        "id": "acct-1",
        "name": "Personal",
        "workspace_backend_origin": "NO_CONSTRAINT",
        "account_routing_override": "NO_CONSTRAINT",
    }
    return {key: value for key, value in (usual | changes).items() if value is not ...}


def parse(*entries: dict[str, object], backend: str = BACKEND) -> Workspace:
    """Parse an answer with these entries."""
    return parse_workspace(json.dumps({"accounts": entries}).encode(), "acct-1", backend)


def test_a_workspace_without_constraint_is_where_the_backend_is() -> None:
    """The origin is that of the configured backend, without its path."""
    assert parse(entry(id="acct-0"), entry()) == Workspace("Personal", "https://chatgpt.com", "NO_CONSTRAINT")
    assert parse(entry(), backend="http://127.0.0.1:1234/backend-api").backend_origin == "http://127.0.0.1:1234"


def test_a_workspace_may_be_elsewhere() -> None:
    """An origin of its own, and a routing override, are told as they are; a name may be missing."""
    workspace = parse(
        entry(name=..., workspace_backend_origin="https://eu.example:8443", account_routing_override="us_cr")
    )
    assert workspace == Workspace(None, "https://eu.example:8443", "us_cr")


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([], "selected workspace missing from routing discovery"),
        ([entry(id="acct-2")], "selected workspace missing from routing discovery"),
        ([entry(), entry()], "duplicate workspace in routing discovery"),
        ([entry(workspace_backend_origin=...)], "workspace routing discovery missing backend origin"),
        (
            [entry(account_routing_override="mars")],
            "workspace routing discovery has invalid account routing override",
        ),
        (
            [entry(account_routing_override=...)],
            "workspace routing discovery has invalid account routing override",
        ),
        (
            [entry(workspace_backend_origin="http://x.example")],
            "workspace backend must use an HTTPS origin without credentials",
        ),
        (
            [entry(workspace_backend_origin="https://u:p@x.example")],
            "workspace backend must use an HTTPS origin without credentials",
        ),
        ([entry(workspace_backend_origin="")], "workspace backend must use an HTTPS origin without credentials"),
        (
            [entry(workspace_backend_origin="https://x.example/path")],
            "workspace routing discovery must return an origin",
        ),
        ([entry(workspace_backend_origin="https://[x")], "invalid workspace backend URL"),
        ([entry(workspace_backend_origin="https://x.example:port")], "invalid workspace backend URL"),
        ([entry(name=5)], "workspace routing discovery failed"),
    ],
)
def test_what_cannot_be_relied_on_is_refused_in_the_peers_words(
    entries: list[dict[str, object]], text: str
) -> None:
    """Each fault of the list has the text that clients of the peer may know."""
    with pytest.raises(RemoteRefused) as caught:
        parse(*entries)
    assert str(caught.value) == text


@given(st.binary() | st.recursive(st.none() | st.text(), st.lists).map(lambda value: json.dumps(value).encode()))
def test_no_answer_raises_anything_else(body: bytes) -> None:
    """Whatever a backend sends, it is a workspace or it is refused."""
    with pytest.raises(RemoteRefused):
        parse_workspace(body, "acct-1", BACKEND)
