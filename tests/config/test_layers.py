"""Codex's files in their layers: which word counts, and which file an error names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from accountd.config.settings import load
from accountd.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED, MANAGED, PERSON, DEFAULTS = (
    "etc/requirements.toml",
    "etc/managed_config.toml",
    "config.toml",
    "etc/config.toml",
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a home, in which the machine's folder is, too."""
    (tmp_path / "etc").mkdir()
    return tmp_path


def read(home: Path, files: dict[str, str]) -> Any:
    """Write the files, and load what they come to."""
    for name, text in files.items():
        (home / name).write_text(text)
    return load({"CODEX_HOME": str(home)}, home / "etc")


LOOPBACK = 'chatgpt_base_url = "http://127.0.0.1:%d"\n'
METHOD = 'forced_login_method = "%s"\n'


@pytest.mark.parametrize(
    ("files", "field", "value"),
    [
        ({MANAGED: METHOD % "api", PERSON: METHOD % "chatgpt"}, "forced_login_method", "api"),
        ({PERSON: METHOD % "api", DEFAULTS: METHOD % "chatgpt"}, "forced_login_method", "api"),
        ({DEFAULTS: METHOD % "api"}, "forced_login_method", "api"),
        ({MANAGED: LOOPBACK % 1, PERSON: METHOD % "api"}, "forced_login_method", "api"),
        ({MANAGED: METHOD % "api", PERSON: METHOD % "bogus"}, "forced_login_method", "api"),
        ({REQUIRED: LOOPBACK % 1, MANAGED: LOOPBACK % 2}, "backend", "http://127.0.0.1:1"),
        ({REQUIRED: METHOD % "api"}, "forced_login_method", None),
        (
            {
                REQUIRED: 'cli_auth_credentials_store = "ephemeral"\n',
                MANAGED: 'cli_auth_credentials_store = "keyring"\n',
            },
            "credentials_store",
            "ephemeral",
        ),
        (
            {
                MANAGED: 'forced_chatgpt_workspace_id = ["c"]\n',
                PERSON: 'forced_chatgpt_workspace_id = ["a", "b"]\n',
            },
            "allowed_workspaces",
            ("c",),
        ),
        (
            {MANAGED: 'forced_chatgpt_workspace_id = ""\n', PERSON: 'forced_chatgpt_workspace_id = "a"\n'},
            "allowed_workspaces",
            (),
        ),
        (
            {MANAGED: 'model_provider = "m"\n', PERSON: '[model_providers.m]\nname = "M"\n'},
            "requires_openai_auth",
            False,
        ),
        (
            {
                MANAGED: "[model_providers.m]\nrequires_openai_auth = true\n",
                PERSON: 'model_provider = "m"\n[model_providers.m]\nrequires_openai_auth = false\n',
            },
            "requires_openai_auth",
            True,
        ),
        (
            {REQUIRED: 'model_provider = "ollama"\n', MANAGED: 'model_provider = "openai"\n'},
            "requires_openai_auth",
            False,
        ),
    ],
)
def test_the_upper_layer_counts_key_by_key(files: dict[str, str], field: str, value: object, home: Path) -> None:
    """Each as the app-server 0.171 has it: `config/read` tells which layer a key is from."""
    assert getattr(read(home, files), field) == value


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {MANAGED: "\n" + METHOD % "x", PERSON: METHOD % "api"},
            f"{MANAGED}:2: forced_login_method must be one of ",
        ),
        ({DEFAULTS: METHOD % "x"}, f'{DEFAULTS}:1: forced_login_method must be one of "chatgpt", "api"'),
        ({REQUIRED: "chatgpt_base_url = 1"}, f"{REQUIRED}:1: chatgpt_base_url must be a URL"),
        ({MANAGED: "x ="}, f"{MANAGED}:1: x: Invalid value"),
        (
            {
                MANAGED: "[model_providers.m]\nrequires_openai_auth = 1\n",
                PERSON: 'model_provider = "m"\n[model_providers.m]\nname = "M"\n',
            },
            f"{MANAGED}:2: model_providers.m.requires_openai_auth must be true or false",
        ),
    ],
)
def test_an_error_names_the_file_whose_word_counts(files: dict[str, str], told: str, home: Path) -> None:
    """With the line, the key and what it may be."""
    with pytest.raises(ConfigError) as caught:
        read(home, files)
    assert str(caught.value).startswith(f"{home}/{told}")


@pytest.mark.parametrize("name", [REQUIRED, MANAGED, DEFAULTS])
def test_a_file_of_the_machine_that_cannot_be_read_is_not_no_policy(name: str, home: Path) -> None:
    """Nor is a link of the administrator's that leads nowhere."""
    (home / name).mkdir()
    with pytest.raises(ConfigError, match=f"{name}: cannot be read: Is a directory"):
        read(home, {})
    (home / name).rmdir()
    (home / name).symlink_to("nowhere")
    with pytest.raises(ConfigError, match=f"{name}: is a link that leads nowhere"):
        read(home, {})
