"""What the keys of a bundle of requirements mean: each fact as the real server shows it for the same bundle."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from accountd.requirements.layers import NO_REQUIREMENTS, parse_bundle, parse_layer
from accountd.requirements.rendering import render_response
from fakes.bundles import BOTH, MACHINE, bundle, told


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


def test_a_byte_order_mark_is_no_fault() -> None:
    """As with the real server."""
    assert told("\ufeffallow_appshots = true") == BOTH | {"allowAppshots": True}
