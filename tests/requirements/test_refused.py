"""Which bundles of requirements cannot be used, and in which words the real server says so."""

from __future__ import annotations

import json

import msgspec
import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from accountd.errors import RequirementsUnavailable
from accountd.requirements.layers import (
    MAX_BUNDLE,
    MAX_FRAGMENTS,
    NO_REQUIREMENTS,
    parse_bundle,
    refused_with,
    timed_out_after,
)
from accountd.requirements.rendering import render_response
from accountd.requirements.toml import RequirementsToml
from fakes.bundles import MACHINE, bundle, failure


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'"x"',
        b"\xff",
        b"[" * 100_000,
        b'{"requirements_toml":{"enterprise_managed":[{"contents":"allow_appshots=true"}]}}',
        b'{"requirements_toml":{"enterprise_managed":[{"id":"a","name":"b"}]}}',
    ],
)
def test_what_is_no_bundle_is_a_failed_request(body: bytes) -> None:
    """It may be another the next time."""
    error = failure(body)
    assert str(error) == "failed to load workspace requirements: cloud config: request failed"
    assert error.passing


@pytest.mark.parametrize(
    "toml",
    [
        "allowed = [",
        "allowed_sandbox_modes = 5",
        'allowed_sandbox_modes = ["read-only", "bogus"]',
        'enforce_residency = "eu"',
        "allow_appshots = 1",
        "allow_appshots = 1979-05-27",
        "allow_appshots=true\r\nallow_appshots=true",
        '[features]\na = "x"',
        "[rules]",
        '[models.new_thread]\nmodel_reasoning_effort = ""',
        '[application.storage]\ndefault_project_parent = "x"',
        "[experimental_network]\n[permissions.network]",
        '[experimental_network]\nunix_sockets = {"/a" = "none"}',
        '[otel]\nexporter = "bogus"',
        '[otel]\nheaders_helper = "/usr/bin/true"',
        "[otel]\nheaders_helper_refresh_interval_ms = 1",
        '[otel.exporter.otlp-http]\nendpoint = "e"',
        '[otel.exporter.otlp-grpc]\nendpoint = "e"\n[otel.exporter.otlp-http]\nendpoint = "e"\nprotocol = "json"',
        '[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ntype = "bogus"',
        '[model_providers.c]\nbase_url = "https://x"',
        f'[model_providers.c]\nname = "C"\n{"capabilities." * 1500}a = 1',
        f"x = {'9' * 5000}",
        f"x = {'[' * 5000}",
        f"{'a.' * 20_000}b = 1",
        f"[[remote_sandbox_config]]\nhostname_patterns = ['{'*a' * 127}']\nallowed_sandbox_modes = ['read-only']",
    ],
)
def test_a_fragment_that_cannot_be_is_told_as_such(toml: str) -> None:
    """No TOML, or a value that a known key cannot have, even where another fragment would win over it."""
    for body in (bundle(toml), bundle('allowed_sandbox_modes = ["read-only"]', toml)):
        error = failure(body)
        assert str(error) == "failed to load workspace requirements: cloud config: invalid bundle"
        assert error.reading == (
            "failed to read configuration layers: invalid cloud config bundle: invalid requirements"
        )
        assert not error.passing


def test_a_fragment_of_configuration_must_be_toml() -> None:
    """What it says is none of our business, but a bundle is good as a whole or not at all."""
    error = failure(bundle(config=("a = [",)))
    assert str(error) == "failed to load workspace requirements: cloud config: invalid bundle"
    assert error.reading.endswith(": invalid cloud config bundle: invalid TOML")
    assert parse_bundle(bundle(config=('forced_login_method = "api"',)), MACHINE, NO_REQUIREMENTS).keys == {}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (bundle("#" * MAX_BUNDLE), f"larger than {MAX_BUNDLE} bytes"),
        (bundle(*[""] * MAX_FRAGMENTS, config=("",)), f"more than {MAX_FRAGMENTS} fragments"),
    ],
    ids=["bytes", "fragments"],
)
def test_a_bundle_is_bounded(body: bytes, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any of its fragments is looked at; as many as there may be are read."""
    assert parse_bundle(bundle(*[""] * MAX_FRAGMENTS), MACHINE, NO_REQUIREMENTS).keys == {}
    monkeypatch.setattr(tomli, "loads", lambda _: pytest.fail("it was parsed"))
    assert failure(body).reading.endswith(f": invalid cloud config bundle: {complaint}")


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("allowed_approval_policies = []", "field `allowed_approval_policies` cannot be empty"),
        ("allowed_sandbox_modes = []", "must include 'read-only'"),
        ('allowed_sandbox_modes = ["workspace-write"]', "must include 'read-only'"),
    ],
)
def test_requirements_that_leave_no_way_to_work_are_refused(toml: str, text: str) -> None:
    """With the bare words that the real server has for it."""
    error = failure(bundle(toml))
    assert str(error) == "failed to load workspace requirements: invalid input parameter"
    assert text in error.reading


def test_failures_have_the_words_that_clients_know() -> None:
    """For each kind of answer, what ends a login and what answers a reading of the configuration."""
    assert str(refused_with(404)) == (
        "failed to load workspace requirements: cloud config: request failed (HTTP 404)"
    )
    assert refused_with(404).reading == (
        "failed to read configuration layers: Failed to load cloud config bundle (workspace-managed policies)."
    )
    unauthorized = refused_with(401)
    assert str(unauthorized) == (
        "failed to load workspace requirements: cloud config: authentication failed (HTTP 401)"
    )
    assert unauthorized.reading.endswith(
        ": Your authentication session could not be refreshed automatically. Please log out and sign in again."
    )
    assert (unauthorized.passing, unauthorized.unauthorized) == (False, True)
    assert str(timed_out_after(20)) == "failed to load workspace requirements: cloud config: request timed out"
    assert timed_out_after(20).reading.endswith(": timed out waiting for cloud config bundle after 20s")


KEYS = RequirementsToml.__struct_encode_fields__
VALUES = st.sampled_from(
    ("true", "5", '"x"', "[]", '["read-only"]', "{}", "{a = 1}", "{a = {}}", "1e400", "nan", "07:32:00", "9" * 30)
)


@given(
    st.binary()
    | st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)).map(
        lambda value: json.dumps(value).encode()
    )
    | st.lists(
        st.dictionaries(st.sampled_from(KEYS), VALUES).map(
            lambda table: "\n".join(f"{key} = {value}" for key, value in table.items())
        )
        | st.text()
    ).map(lambda fragments: bundle(*fragments))
)
def test_no_bundle_raises_anything_unforeseen(body: bytes) -> None:
    """Whatever a backend sends, it is unavailable in the one foreseen way, or can be told to a client."""
    try:
        layer = parse_bundle(body, MACHINE, NO_REQUIREMENTS)
    except RequirementsUnavailable:
        return
    msgspec.json.encode(render_response(layer.values, ("api", "chatgpt")))
