"""The configuration, read again: what changes at once, what waits, and what leaves everything as it was."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from accountd import reload
from accountd.config.policy import Policy
from accountd.config.settings import Config, load
from accountd.errors import ConfigError
from accountd.reload import Reloader, describe_changes
from accountd.requirements.layers import NO_REQUIREMENTS, Layer
from accountd.secret import Secret
from accountd.system.service_manager import ServiceManager
from fakes.world import open_world

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.world import World


def make(world: World, home: Path) -> Reloader:
    """Make a reloader for a world whose configuration is empty."""
    environ = {"CODEX_HOME": str(home)}
    return Reloader(load(environ), world.services, environ, ServiceManager(), "serving")


async def login_with_key(world: World) -> None:
    """Have somebody logged in."""
    await world.logins.start_api_key(Secret("sk-x"), world.reply)
    world.heard.clear()


def test_changes_are_told_by_their_key(tmp_path: Path) -> None:
    """Each with what it is and was; those that wait for the next start say so."""
    old = Config(codex_home=tmp_path)
    new = Config(
        codex_home=tmp_path, forced_login_method="api", allowed_workspaces=("w",), backend="http://127.0.0.1"
    )
    assert list(describe_changes(old, old)) == []
    assert list(describe_changes(old, new)) == [
        'chatgpt_base_url is "http://127.0.0.1", and was "https://chatgpt.com/backend-api"'
        "; this takes effect at the next start",
        'forced_login_method is "api", and was not set',
        'forced_chatgpt_workspace_id is ["w"], and was not set',
    ]


async def test_changed_limits_are_told_one_by_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of the limits, too, it is said which one is another, and that it waits for the next start."""
    caplog.set_level("INFO")
    async with open_world() as world:
        reloader = make(world, tmp_path)
        (tmp_path / "accountd.toml").write_text("[limits]\nconnections = 100\n")
        await reloader.reload()
    told = "configuration reloaded: connections is 100, and was 4096; this takes effect at the next start"
    assert [record.message for record in caplog.records if "reloaded" in record.message] == [told]


async def test_files_are_read_where_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be as large as TOML may be, and clients are served meanwhile."""
    threads = list[int]()

    def read() -> Layer:
        threads.append(threading.get_ident())
        return NO_REQUIREMENTS

    monkeypatch.setattr(reload, "read_system_layer", read)
    async with open_world() as world:
        await make(world, tmp_path).reload()
    assert threads != [threading.get_ident()]


async def test_a_forbidden_account_is_hidden_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Clients hear that nobody is logged in, and of the account when it is permitted again. It stays stored."""
    caplog.set_level("INFO")
    async with open_world() as world:
        reloader = make(world, tmp_path)
        await login_with_key(world)
        (tmp_path / "config.toml").write_text('forced_login_method = "chatgpt"\n')
        await reloader.reload()
        assert world.credential.current is None
        assert world.heard == [{"method": "account/updated", "authMode": None, "planType": None}]
        assert await world.store.load() is not None
        assert 'forced_login_method is "chatgpt", and was not set' in caplog.text
        (tmp_path / "config.toml").unlink()
        await reloader.reload()
        assert world.heard[1]["authMode"] == "apikey"
        await reloader.reload()
        assert len(world.heard) == 2
        assert caplog.messages[-1] == "configuration reloaded: nothing has changed"


async def test_a_login_that_is_permitted_no_more_is_cancelled(tmp_path: Path) -> None:
    """Who waits for its approval hears that it did not complete."""
    async with open_world() as world:
        login_id = await world.start_device_login()
        (tmp_path / "config.toml").write_text('forced_login_method = "api"\n')
        await make(world, tmp_path).reload()
        assert not (await world.wait_completion(login_id))["success"]
        assert world.logins.under_way() == ()


async def test_what_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    """The policy in force stays, also where the file has one key that is fine."""
    async with open_world() as world:
        await login_with_key(world)
        (tmp_path / "config.toml").write_text('forced_login_method = "chatgpt"\nchatgpt_base_url = "ftp://x"\n')
        with pytest.raises(ConfigError, match=r"config\.toml:2: chatgpt_base_url"):
            await make(world, tmp_path).reload()
        assert world.services.policy.current == Policy()
        assert world.credential.current is not None


async def test_a_provider_that_needs_no_login_hides_it_as_long_as_it_is_used(tmp_path: Path) -> None:
    """Noticed with the file; of one that cannot be used, or says nothing new, nothing comes."""
    async with open_world() as world:
        reloader = make(world, tmp_path)
        await login_with_key(world)
        for text, requires in (
            ('model_provider = "ollama"\n', False),
            ("model_provider = ", False),
            ('model_provider = "ollama"\nforced_login_method = "chatgpt"\n', False),
            ("", True),
        ):
            (tmp_path / "config.toml").write_text(text)
            await reloader.follow_provider()
            answer, status = world.reader.known(), world.reader.auth_status(include_token=True)
            assert answer is not None
            assert (answer.requires_openai_auth, answer.account is not None) == (requires, requires)
            assert (status.requires_openai_auth, status.auth_token is not None) == (requires, requires)
        assert world.services.policy.current.methods == ("api", "chatgpt")
        assert world.heard == []


async def test_the_provider_is_read_with_everything_else(tmp_path: Path) -> None:
    """On SIGHUP, which changes all that can be changed."""
    async with open_world() as world:
        reloader = make(world, tmp_path)
        (tmp_path / "config.toml").write_text('model_provider = "lmstudio"\n')
        await reloader.reload()
        assert not world.credential.requires_openai_auth
        (tmp_path / "config.toml").unlink()
        await reloader.reload()
        assert world.credential.requires_openai_auth
