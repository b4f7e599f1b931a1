"""What a bundle of requirements means: each fact as the real server shows it for the same bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.protocol.requirements import (
    NO_REQUIREMENTS,
    Layer,
    Machine,
    MalformedLayer,
    RequirementsUnavailable,
    merge_layers,
    parse_bundle,
    parse_layer,
    refused_with,
    render_response,
    timed_out_after,
)
from accountd.protocol.requirements_toml import RequirementsToml

MACHINE = Machine(Path("/codex"), Path("/home/me"), "Build-7")
BOTH = {"allowedLoginMethods": ["api", "chatgpt"]}


def bundle(*fragments: str, config: tuple[str, ...] = ()) -> bytes:
    """Make a bundle of fragments of requirements, and of configuration."""

    def managed(texts: tuple[str, ...]) -> dict[str, Any]:
        return {"enterprise_managed": [{"id": f"r{i}", "name": "Org", "contents": t} for i, t in enumerate(texts)]}

    return json.dumps({"config_toml": managed(config), "requirements_toml": managed(fragments)}).encode()


def told(*fragments: str) -> dict[str, Any] | None:
    """Give what a client is told of a bundle, without the nulls of the top level."""
    values = parse_bundle(bundle(*fragments), MACHINE, NO_REQUIREMENTS).values
    requirements = json.loads(msgspec.json.encode(render_response(values, ("api", "chatgpt"))))["requirements"]
    return requirements and {key: value for key, value in requirements.items() if value is not None}


def failure(body: bytes) -> RequirementsUnavailable:
    """Give the failure of a bundle that cannot be used."""
    with pytest.raises(RequirementsUnavailable) as caught:
        parse_bundle(body, MACHINE, NO_REQUIREMENTS)
    return caught.value


@pytest.mark.parametrize(
    "body", [b"{}", b'{"config_toml":null,"requirements_toml":null}', bundle(), bundle(""), bundle(" \n", "x = 5")]
)
def test_an_empty_bundle_requires_nothing(body: bytes) -> None:
    """Neither parts that are missing, nor blank fragments, nor unknown keys are requirements."""
    values = parse_bundle(body, MACHINE, NO_REQUIREMENTS).values
    assert render_response(values, ("api", "chatgpt")).requirements is None


@pytest.mark.parametrize(
    ("toml", "wire"),
    [
        ("allow_login_shell = true", {"allowLoginShell": True}),
        ('enforce_residency = "us"', {"enforceResidency": "us"}),
        (
            'allowed_approval_policies = ["on-failure", "never"]',
            {"allowedApprovalPolicies": ["on-request", "never"]},
        ),
        (
            "allowed_approval_policies=[{granular={rules=true,mcp_elicitations=true,sandbox_approval=false}}]",
            {
                "allowedApprovalPolicies": [
                    {
                        "granular": {
                            "sandbox_approval": False,
                            "rules": True,
                            "skill_approval": False,
                            "request_permissions": False,
                            "mcp_elicitations": True,
                        }
                    }
                ]
            },
        ),
        ('allowed_approvals_reviewers = ["guardian_subagent"]', {"allowedApprovalsReviewers": ["auto_review"]}),
        ('allowed_sandbox_modes = ["read-only", "external-sandbox"]', {"allowedSandboxModes": ["read-only"]}),
        ('allowed_web_search_modes = ["live"]', {"allowedWebSearchModes": ["live", "disabled"]}),
        ("allowed_web_search_modes = []", {"allowedWebSearchModes": ["disabled"]}),
        (
            '[windows]\nallowed_sandbox_implementations = ["elevated"]',
            {"allowedWindowsSandboxImplementations": ["elevated"]},
        ),
        ("[features]\na = true\nb = false", {"featureRequirements": {"a": True, "b": False}}),
        ("[feature_requirements]\na = true", {"featureRequirements": {"a": True}}),
        ('log_dir = "logs"', {"logDir": "file:///codex/logs"}),
        ('sqlite_home = "/x y"', {"sqliteHome": "file:///x%20y"}),
        ('model_catalog_json = "~/m.json"', {"modelCatalogJson": "file:///home/me/m.json"}),
        (
            '[models.new_thread]\nmodel = "m"',
            {"models": {"newThread": {"model": "m", "modelReasoningEffort": None, "serviceTier": None}}},
        ),
        (
            '[application.network]\nenabled = true\n[application.storage]\ndefault_project_parent = "/x"',
            {
                "application": {
                    "network": {"enabled": True, "domains": {}},
                    "storage": {"defaultProjectParent": "/x", "projectlessWorkspaceRoot": None},
                }
            },
        ),
        (
            '[computer_use]\nallow_locked_computer_use = false\n[[computer_use.windows.exes]]\naccess = "deny"\n'
            'product_name = "p"\npublisher_name = "q"',
            {
                "computerUse": {
                    "allowLockedComputerUse": False,
                    "allowPersistentApproval": None,
                    "defaultAppAccess": None,
                    "macos": None,
                    "windows": {
                        "aumids": None,
                        "exes": [{"publisherName": "q", "productName": "p", "binaryName": None, "access": "deny"}],
                    },
                }
            },
        ),
        ('guardian_policy_config = "x"', {}),
        ('[mcp_servers.x]\nidentity = {command = "x"}', {}),
    ],
)
def test_keys_have_their_names_on_the_wire(toml: str, wire: dict[str, Any]) -> None:
    """Names become camelCase; some are others, some values are others, and some are told by a bare answer."""
    assert told(toml) == BOTH | wire


@pytest.mark.parametrize("section", ["features", "browser_use", "hooks", "otel", "models.new_thread", "windows"])
def test_an_empty_section_requires_nothing(section: str) -> None:
    """A table in which nothing is set is as good as none."""
    assert told(f"[{section}]") is None


def test_every_key_is_there_even_if_it_is_null() -> None:
    """A client finds each key of the schema, whatever is required."""
    values = parse_layer("allow_appshots = true", MACHINE, of_logins=False).values
    answer = json.loads(msgspec.json.encode(render_response(values, ("api",))))
    assert answer["supportsIndependentSpeedModes"] is True
    assert len(answer["requirements"]) == 34
    assert answer["requirements"]["otel"] is None


@pytest.mark.parametrize("surface", ["experimental_network", "network_proxy", "permissions.network"])
def test_the_network_has_three_names_and_two_ways_to_say_it(surface: str) -> None:
    """Lists of domains and of sockets are told as maps, and maps as lists; naming the section is enough."""
    wire = told(f'[{surface}]\ndomains = {{z = "allow", a = "allow", m = "deny"}}\nallow_unix_sockets = ["/s"]')
    assert wire is not None
    assert wire["network"] == {
        "enabled": None,
        "httpPort": None,
        "socksPort": None,
        "allowUpstreamProxy": None,
        "dangerouslyAllowNonLoopbackProxy": None,
        "dangerouslyAllowAllUnixSockets": None,
        "domains": {"a": "allow", "m": "deny", "z": "allow"},
        "reviewDomains": None,
        "managedAllowedDomainsOnly": None,
        "allowedDomains": ["a", "z"],
        "deniedDomains": ["m"],
        "unixSockets": {"/s": "allow"},
        "allowUnixSockets": ["/s"],
        "allowLocalBinding": None,
    }
    empty = told(f"[{surface}]")
    assert empty is not None
    assert set(empty["network"].values()) == {None}


def test_hooks_are_told_with_their_defaults() -> None:
    """Events without hooks are empty lists, a command's settings are there or null, prompts are not told."""
    wire = told(
        '[hooks]\nmanaged_dir = "/h"\n[[hooks.PreToolUse]]\nmatcher = "Bash"\n'
        '[[hooks.PreToolUse.hooks]]\ntype = "command"\ncommand = "c"\ntimeout = 5\nstatusMessage = "s"\n'
        '[[hooks.PreToolUse.hooks]]\ntype = "prompt"\nprompt = "p"\n'
        '[[hooks.PreToolUse.hooks]]\ntype = "mcp_tool"\nserver = "s"\ntool = "t"\n'
    )
    assert wire is not None
    hooks = wire["hooks"]
    assert hooks["managedDir"] == "/h"
    assert hooks["Stop"] == hooks["PreModelRequest"] == []
    assert hooks["PreToolUse"] == [
        {
            "matcher": "Bash",
            "hooks": [
                {
                    "type": "command",
                    "command": "c",
                    "commandWindows": None,
                    "timeoutSec": 5,
                    "async": False,
                    "statusMessage": "s",
                    "additionalContextLimit": None,
                },
                {"type": "prompt"},
                {
                    "type": "mcp_tool",
                    "server": "s",
                    "tool": "t",
                    "input": {},
                    "timeoutSec": None,
                    "statusMessage": None,
                },
            ],
        }
    ]


def test_the_values_of_an_exporters_headers_are_not_told() -> None:
    """They are keys. The section's names stay as they are in TOML."""
    wire = told(
        '[otel]\nexporter = "none"\nlog_user_prompt = true\n[otel.trace_exporter.otlp-http]\nendpoint = "https://x"\n'
        'protocol = "json"\nheaders = {Authorization = "secret"}\n[otel.trace_exporter.otlp-http.tls]\n'
        'ca-certificate = "/ca"'
    )
    assert wire is not None
    assert wire["otel"]["log_user_prompt"] is True
    assert wire["otel"]["exporter"] == "none"
    assert wire["otel"]["trace_exporter"] == {
        "otlp-http": {
            "endpoint": "https://x",
            "headers": {"Authorization": "[redacted]"},
            "protocol": "json",
            "tls": {"ca-certificate": "/ca", "client-certificate": None, "client-private-key": None},
        }
    }


def test_a_model_provider_is_told_whole() -> None:
    """With the names of `config.toml`, and its defaults."""
    wire = told('[model_providers.corp]\nname = "Corp"\nbase_url = "https://corp.example/v1"')
    assert wire is not None
    corp = wire["modelProviders"]["corp"]
    assert len(corp) == 24
    assert {key: value for key, value in corp.items() if value not in (None, False)} == {
        "name": "Corp",
        "base_url": "https://corp.example/v1",
        "wire_api": "responses",
    }


def test_the_first_fragment_wins_key_by_key() -> None:
    """Tables are merged, lists are not; but hooks of all fragments count."""
    hook = '[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ntype = "command"\ncommand = "%s"'
    wire = told(
        'allowed_sandbox_modes = ["read-only"]\nallow_appshots = true\n[features]\na = true\n' + hook % "first",
        'allowed_sandbox_modes = ["read-only", "workspace-write"]\nallow_appshots = false\n'
        "allow_remote_control = true\n[features]\na = false\nb = true\n" + hook % "second",
    )
    assert wire is not None
    assert [group["hooks"][0]["command"] for group in wire.pop("hooks")["Stop"]] == ["first", "second"]
    assert wire == BOTH | {
        "allowedSandboxModes": ["read-only"],
        "allowAppshots": True,
        "allowRemoteControl": True,
        "featureRequirements": {"a": True, "b": True},
    }


def test_sandbox_modes_may_be_for_some_hosts() -> None:
    """The first pattern that fits this host replaces the fragment's own list, and then fragments are merged."""
    remote = '[[remote_sandbox_config]]\nhostname_patterns = ["%s"]\nallowed_sandbox_modes = ["read-only", "%s"]\n'
    own = 'allowed_sandbox_modes = ["read-only"]\n'
    other, fits = remote % ("other-*", "external-sandbox"), remote % ("build-?", "danger-full-access")
    wire = BOTH | {"allowedSandboxModes": ["read-only", "danger-full-access"]}
    assert told(own + other + fits) == wire
    assert told(other + fits, own) == wire
    assert told(own + other) == BOTH | {"allowedSandboxModes": ["read-only"]}


OF_LOGINS = (
    'allowed_login_methods = ["api"]\nallowed_chatgpt_workspaces = ["acct-9"]\n'
    'chatgpt_base_url = "https://x"\ncli_auth_credentials_store = "keyring"\n'
)


def test_a_bundle_has_no_say_in_logins() -> None:
    """It is had by logging in, so what it says of logins is ignored, even where it makes no sense."""
    assert told(OF_LOGINS) is None
    assert told('allowed_login_methods = ["bogus"]\nallowed_chatgpt_workspaces = 5') is None


def test_the_machines_own_file_has_a_say_in_logins() -> None:
    """The same keys count there; a bundle wins over the file in all other things."""
    system = parse_layer(OF_LOGINS + "allow_appshots = false\nallow_login_shell = true", MACHINE, of_logins=True)
    assert system.values.allowed_login_methods == ["api"]
    assert system.values.allowed_chatgpt_workspaces == ["acct-9"]
    merged = parse_bundle(bundle(OF_LOGINS.replace("api", "chatgpt") + "allow_appshots = true"), MACHINE, system)
    answer = json.loads(msgspec.json.encode(render_response(merged.values, ("api",))))
    assert {key: value for key, value in answer["requirements"].items() if value is not None} == {
        "allowedLoginMethods": ["api"],
        "cliAuthCredentialsStore": "keyring",
        "chatgptBaseUrl": "https://x",
        "allowAppshots": True,
        "allowLoginShell": True,
    }


def test_a_forced_method_alone_is_a_requirement() -> None:
    """Where the person's own configuration leaves one method, that is told though nobody manages anything."""
    answer = render_response(RequirementsToml(), ("api",))
    assert answer.requirements is not None
    assert answer.requirements.allowed_login_methods == ("api",)


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
        '[otel.exporter.otlp-http]\nendpoint = "e"',
        '[otel.exporter.otlp-grpc]\nendpoint = "e"\n[otel.exporter.otlp-http]\nendpoint = "e"\nprotocol = "json"',
        '[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ntype = "bogus"',
        '[model_providers.c]\nbase_url = "https://x"',
        f'[model_providers.c]\nname = "C"\n{"capabilities." * 1500}a = 1',
        f"x = {'9' * 5000}",
        f"x = {'[' * 5000}",
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


def test_fragments_that_contradict_each_other_are_refused() -> None:
    """Each is good alone; both name the network, by different names."""
    assert "invalid bundle" in str(failure(bundle("[experimental_network]", "[network_proxy]")))


def test_a_fragment_of_configuration_must_be_toml() -> None:
    """What it says is none of our business, but a bundle is good as a whole or not at all."""
    error = failure(bundle(config=("a = [",)))
    assert str(error) == "failed to load workspace requirements: cloud config: invalid bundle"
    assert error.reading.endswith(": invalid cloud config bundle: invalid TOML")
    assert parse_bundle(bundle(config=('forced_login_method = "api"',)), MACHINE, NO_REQUIREMENTS).keys == {}


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


def test_a_layer_shows_no_values() -> None:
    """A provider may have a key in it, which is for no log."""
    layer = parse_layer(
        '[model_providers.c]\nname = "C"\nexperimental_bearer_token = "s3"', MACHINE, of_logins=True
    )
    assert repr(layer) == "Layer(model_providers)"


def test_a_byte_order_mark_is_no_fault() -> None:
    """As with the real server."""
    assert told("\ufeffallow_appshots = true") == BOTH | {"allowAppshots": True}


def test_tables_without_bottom_are_refused() -> None:
    """Dotted keys nest as deep as a line is long; two such layers are more than Python can walk."""
    deep = Layer({"mcp_servers": {}}, RequirementsToml())
    table = deep.keys["mcp_servers"]
    for _ in range(100_000):
        table["a"] = table = {}
    with pytest.raises(MalformedLayer):
        merge_layers(deep, Layer({"mcp_servers": deep.keys["mcp_servers"].copy()}, RequirementsToml()))


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
