"""What requirements of several places come to: fragments of a bundle, this machine's file, this person's choice."""

from __future__ import annotations

import json

import msgspec
import pytest

from accountd.config.toml import MAX_DEPTH, MAX_PARTS
from accountd.requirements.layers import MalformedLayer, merge_layers, parse_bundle, parse_layer
from accountd.requirements.rendering import render_response
from accountd.requirements.toml import RequirementsToml
from fakes.bundles import BOTH, MACHINE, bundle, failure, told

HELPER = 'headers_helper = "/usr/bin/true"\n'


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


def test_fragments_that_contradict_each_other_are_refused() -> None:
    """Each is good alone; both name the network, by different names."""
    assert "invalid bundle" in str(failure(bundle("[experimental_network]", "[network_proxy]")))


def test_a_layer_shows_no_values() -> None:
    """A provider may have a key in it, which is for no log."""
    layer = parse_layer(
        '[model_providers.c]\nname = "C"\nexperimental_bearer_token = "s3"', MACHINE, of_logins=True
    )
    assert repr(layer) == "Layer(model_providers)"


def test_the_deepest_tables_can_be_merged_and_told() -> None:
    """Brackets within brackets, each with the longest of keys, in two layers: no walk comes to Python's limit."""
    key = ".".join(["a"] * MAX_PARTS)
    value = f"{{ {key} = " * MAX_DEPTH + "1" + " }" * MAX_DEPTH
    text = f"[model_providers.p]\nname = 'n'\n[model_providers.p.auth]\n{key} = {value}"
    first, second = (parse_layer(text, MACHINE, of_logins=False) for _ in range(2))
    assert merge_layers(first, second).keys == first.keys


def test_the_machine_may_name_a_program_for_headers() -> None:
    """By an absolute path, and not to be run without a pause; a workspace may not."""
    system = parse_layer(f"[otel]\n{HELPER}headers_helper_refresh_interval_ms = 1", MACHINE, of_logins=True)
    wire = msgspec.to_builtins(render_response(system.values, ("api",)))["requirements"]["otel"]
    assert (wire["headers_helper"], wire["headers_helper_refresh_interval_ms"]) == ("/usr/bin/true", 1)
    for refused in ('headers_helper = "true"', HELPER + "headers_helper_refresh_interval_ms = 0"):
        with pytest.raises(MalformedLayer):
            parse_layer(f"[otel]\n{refused}", MACHINE, of_logins=True)
    with pytest.raises(MalformedLayer, match="the machine alone"):
        parse_layer(f"[otel]\n{HELPER}", MACHINE, of_logins=False)
