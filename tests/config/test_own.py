"""Our own files: the person's above the machine's, and what the tables say of the network and the token socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from accountd.config import network, settings
from accountd.config.env_file import join_env_file
from accountd.config.network import join_network
from accountd.config.settings import Config
from accountd.errors import ConfigError
from accountd.web.environment import describe_environment
from accountd.web.proxies import choose_proxy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give CODEX_HOME; the machine's folder is `etc` beside it."""
    for name in ("home", "etc"):
        (tmp_path / name).mkdir()
    return tmp_path / "home"


def load(home: Path, machine: str, person: str = "") -> Config:
    """Read both files, on a machine that has none of Codex's."""
    (home.parent / "etc" / "accountd.toml").write_text(machine)
    (home / "accountd.toml").write_text(person)
    environ = {"CODEX_HOME": str(home), "XDG_RUNTIME_DIR": "/run/user/7"}
    return settings.load(environ, home.parent / "none", home.parent / "etc")


def test_the_machines_settings_are_below_the_persons(home: Path) -> None:
    """Key by key; an error and a warning name the file that they are in."""
    limits = load(home, "limits = { requests = 99, connections = 77 }", "limits.requests = 88").limits
    assert (limits.requests, limits.connections) == (88, 77)
    with pytest.raises(ConfigError, match=r"/etc/accountd.toml:2: limits.requests must be a whole number"):
        load(home, "[limits]\nrequests = 1", "[limits]\nconnections = 88")
    assert load(home, "[limits]\nrequests = 1", "[limits]\nrequests = 88").limits.requests == 88
    (warning,) = load(home, "[network]\nproxi = 1").warnings
    assert warning.endswith(
        "/etc/accountd.toml:2: network.proxi is not known, and ignored; there are proxy, no_proxy, ca_certificate"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("network = 1", "1: network must be a table"),
        ("network.proxy = 7", "1: network.proxy must be the URL of a proxy"),
        ('network.ca_certificate = " "', "1: network.ca_certificate must be the path of a PEM file"),
        ("token_socket.path = []", "1: token_socket.path must be the path of a socket, in a folder of its own"),
        ('token_socket.path = "s"', "1: token_socket.path must have a folder of its own, as in box/s"),
        ('token_socket.path = "../s"', "1: token_socket.path must have a folder of its own, as in box/s"),
    ],
)
def test_what_cannot_be_is_an_error(home: Path, text: str, complaint: str) -> None:
    """It names the file, the line, the key, and what it may be."""
    with pytest.raises(ConfigError) as caught:
        load(home, text)
    assert str(caught.value) == f"{home.parent}/etc/accountd.toml:{complaint}"


@pytest.mark.parametrize(
    ("path", "found"),
    [("/box/s", "/box/s"), ("unix:///box/s", "/box/s"), ("box/s", "/run/user/7/box/s")],
)
def test_a_token_socket_of_everybody_is_each_persons_own(home: Path, path: str, found: str) -> None:
    """A path that begins with no slash is below the runtime folder of whoever runs the daemon."""
    assert str(load(home, f'token_socket.path = "{path}"').token_socket) == found


def test_a_variable_goes_before_a_setting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is set to nothing, by which a person is rid of the machine's; each is told by its name."""
    load(home, 'network = { proxy = "http://p:1", no_proxy = "b.test", ca_certificate = "/ca" }')
    monkeypatch.setattr("accountd.paths.OWN_MACHINE_FOLDER", str(home.parent / "etc"))
    environ = {"CODEX_HOME": str(home)}
    joined = join_network(environ)
    proxy = choose_proxy("https://a.test", joined)
    assert (str(proxy), choose_proxy("https://b.test", joined)) == ("the proxy http://p:1 of network.proxy", None)
    assert describe_environment(joined) == {
        network.PROXY: "http://p:1",
        network.EXEMPT: "b.test",
        network.AUTHORITIES: "/ca",
    }
    for variable, url in (("HTTPS_PROXY", "http://q:2"), ("all_proxy", "http://q:2"), ("https_proxy", "")):
        said = choose_proxy("https://a.test", join_network({**environ, variable: url}))
        assert (said and said.url) == (url or None)
    environ["SSL_CERT_FILE"] = "/mine"
    assert describe_environment(join_network(environ)).keys() >= {"SSL_CERT_FILE", network.PROXY}
    assert network.AUTHORITIES not in describe_environment(join_network(environ))


def test_without_files_nothing_is_read(home: Path) -> None:
    """A verb takes the time of the standard library."""
    environ = {"CODEX_HOME": str(home), "HTTPS_PROXY": "http://a:1"}
    assert join_network(environ) == join_env_file(environ) == environ


def test_a_key_of_codexs_files_that_is_misspelt_is_warned_of(home: Path) -> None:
    """Whoever misspells a restriction restricts nothing. What is Codex's is passed over."""
    text = 'forced_login_metod = "api"\nmodel = "x"\nmcp_oauth_credentials_store = "file"\nmodel_providers = {}\n'
    (home / "config.toml").write_text(text)
    (warning,) = load(home, "").warnings
    assert warning == f"{home}/config.toml:1: forced_login_metod is not known; did you mean forced_login_method?"
