"""Each variable and key, what it may be, and how an error names where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accountd.config.limits import Limits
from accountd.config.settings import DEFAULT_BACKEND, Config, load
from accountd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

URL_FORM = "must be a URL with a host, and without user, query and fragment"
METHOD = 'forced_login_method must be one of "chatgpt", "api"'
WORKSPACES = "forced_chatgpt_workspace_id must be a workspace id, or a list of them"
HOST_FORM = "must be a URL whose host is an IP address, or a name in ASCII; other letters are written as xn--"
LENGTH = "must be a URL of 2048 characters at most"
HTTPS = "must be an https URL; http is for loopback addresses only"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Give a function that writes the config file."""

    def write(text: str | bytes) -> Path:
        file = tmp_path / "config.toml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    return write


def read(home: Path, **environ: str) -> Config:
    """Load the configuration of this home, on a machine that says nothing."""
    return load({"CODEX_HOME": str(home), **environ}, home.parent / "etc")


def complaint(home: Path, **environ: str) -> str:
    """Give the text with which the configuration is refused."""
    with pytest.raises(ConfigError) as caught:
        read(home, **environ)
    return str(caught.value)


def test_without_anything_configured_the_real_services_are_used(tmp_path: Path) -> None:
    """No file and no variables: the public issuer and backend, any login, credentials in the file."""
    assert read(tmp_path) == Config(
        codex_home=tmp_path,
        issuer="https://auth.openai.com",
        client_id="app_EMoamEEZ73f0CkXaXp7hrann",
        revoke_url="https://auth.openai.com/oauth/revoke",
        backend="https://chatgpt.com/backend-api",
        originator=None,
        forced_login_method=None,
        allowed_workspaces=(),
        credentials_store="file",
        limits=Limits(),
    )


def test_the_limits_are_read_from_our_own_file(tmp_path: Path) -> None:
    """They stand beside Codex's file, in which a table of that name is none of ours."""
    (tmp_path / "accountd.toml").write_text("[limits]\nconnections = 9\n")
    (tmp_path / "config.toml").write_text("[limits]\nconnections = 10\n")
    assert read(tmp_path).limits == Limits(connections=9)


PROVIDERS = """
[model_providers.mine]
name = "Mine"
[model_providers.theirs]
requires_openai_auth = true
[model_providers.ollama]
requires_openai_auth = true
"""


@pytest.mark.parametrize(
    ("provider", "requires"),
    [
        ("openai", True),
        ("mine", False),
        ("theirs", True),
        ("ollama", False),  # which Codex brings along, and does not let anybody describe anew
        ("lmstudio", False),
        ("amazon-bedrock", False),
        ("nobody's", True),
        ("", True),
    ],
)
def test_a_login_is_needed_unless_the_model_provider_does_without(
    provider: str, requires: bool, write: Callable[[str], Path]
) -> None:
    """As Codex says it for each; a name that is nobody's it takes for its own provider, when it tells of tokens."""
    assert read(write(f'model_provider = "{provider}"\n{PROVIDERS}').parent).requires_openai_auth == requires


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model_provider = 1\n", ":1: model_provider must be the name of a provider"),
        (
            'model_provider = "x"\n[model_providers.x]\nrequires_openai_auth = "no"\n',
            ":3: model_providers.x.requires_openai_auth must be true or false",
        ),
    ],
)
def test_a_model_provider_that_cannot_be_understood_is_told(
    text: str, told: str, write: Callable[[str], Path]
) -> None:
    """With its line."""
    file = write(text)
    assert complaint(file.parent) == f"{file}{told}"


# Variables

ISSUER, CLIENT = "CODEX_APP_SERVER_LOGIN_ISSUER", "CODEX_APP_SERVER_LOGIN_CLIENT_ID"
REFRESH, REVOKE = "CODEX_REFRESH_TOKEN_URL_OVERRIDE", "CODEX_REVOKE_TOKEN_URL_OVERRIDE"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({ISSUER: " https://a.example/ "}, {"issuer": "https://a.example"}),
        ({ISSUER: "https://a.example/"}, {"revoke_url": "https://a.example/oauth/revoke"}),
        ({ISSUER: "https://a.example/x//"}, {"issuer": "https://a.example/x"}),
        ({ISSUER: "HTTPS://A.example:8443"}, {"issuer": "HTTPS://A.example:8443"}),
        ({ISSUER: "http://127.0.0.1:5000"}, {"issuer": "http://127.0.0.1:5000"}),
        ({ISSUER: "http://localhost:5000"}, {"issuer": "http://localhost:5000"}),
        ({ISSUER: "http://[::1]:5000"}, {"issuer": "http://[::1]:5000"}),
        ({CLIENT: " app "}, {"client_id": "app"}),
        ({REFRESH: "https://b.example:1/oauth/token"}, {"revoke_url": "https://b.example:1/oauth/revoke"}),
        ({REFRESH: "https://b.example/t", ISSUER: "https://a/"}, {"revoke_url": "https://b.example/oauth/revoke"}),
        ({REFRESH: "https://b.example/t", REVOKE: "https://c/r"}, {"revoke_url": "https://c/r"}),
        ({"CODEX_INTERNAL_ORIGINATOR_OVERRIDE": " me "}, {"originator": "me"}),
    ],
)
def test_a_variable_is_trimmed_and_used(environ: dict[str, str], expected: dict[str, Any], tmp_path: Path) -> None:
    """Each variable does what it does for Codex; an issuer or a refresh URL takes the revocation with it."""
    config = read(tmp_path, **environ)
    assert {name: getattr(config, name) for name in expected} == expected


def test_a_blank_variable_is_unset(tmp_path: Path) -> None:
    """Blank variables change nothing."""
    names = [ISSUER, CLIENT, REFRESH, REVOKE, "CODEX_CA_CERTIFICATE", "SSL_CERT_FILE"]
    blank = dict.fromkeys([*names, "CODEX_INTERNAL_ORIGINATOR_OVERRIDE"], " \t")
    assert read(tmp_path, **blank) == read(tmp_path)


@pytest.mark.parametrize("name", [ISSUER, REFRESH, REVOKE])
@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://auth.openai.com", HTTPS),
        ("http://localhost.example", HTTPS),
        ("http://127.0.0.1.example", HTTPS),
        ("http://0.0.0.0", HTTPS),
        ("ftp://127.0.0.1", HTTPS),
        ("//a.example", HTTPS),
        ("a.example", URL_FORM),
        ("https://", URL_FORM),
        ("https:///path", URL_FORM),
        ("https://[::1", URL_FORM),
        ("https://a.example:99999", URL_FORM),
        ("https://a.example:x", URL_FORM),
        ("https://person:canary@a.example", URL_FORM),
        ("https://@a.example", URL_FORM),
        ("http://a.example[::1]/", URL_FORM),
        ("http://[::1]a.example/", URL_FORM),
        ("https://a.example?x=1", URL_FORM),
        ("https://a.example?", URL_FORM),
        ("https://a.example#", URL_FORM),
        ("https://a.example\\@b.example", URL_FORM),
        ("https://a example", URL_FORM),
        ("https://a.example/\n", None),
        ("https://a.\nexample", URL_FORM),
        ("https://a.example/\x00", URL_FORM),
        ("https://\udcff", URL_FORM),
        ("https://256.256.256.256", HOST_FORM),
        ("https://1.2.3", HOST_FORM),
        ("https://0x7f.1", HOST_FORM),
        ("https://bücher.example", HOST_FORM),
        ("https://a..example", HOST_FORM),
        ("https://-a.example", HOST_FORM),
        ("https://a!.example", HOST_FORM),
        ("https://a%2eexample", HOST_FORM),
        ("https://" + "a" * 64 + ".example", HOST_FORM),
        ("https://" + "a." * 127 + "example", HOST_FORM),
        ("https://[127.0.0.1]", URL_FORM),
        ("https://[fe80::1%eth0]", HOST_FORM),
        ("https://a.example/" + "a" * 2048, LENGTH),
    ],
)
def test_a_url_must_be_safe(name: str, url: str, text: str | None, tmp_path: Path) -> None:
    """Tokens go over https, or to this machine; a URL that would be read in two ways is refused, unquoted."""
    if text is None:
        read(tmp_path, **{name: url})
    else:
        assert complaint(tmp_path, **{name: url}) == f"{name} {text}"


@pytest.mark.parametrize("name", ["CODEX_APP_SERVER_LOGIN_CLIENT_ID", "CODEX_INTERNAL_ORIGINATOR_OVERRIDE"])
@pytest.mark.parametrize("text", ["caf\udce9", "two\nlines", "a\0b"])
def test_what_is_sent_must_be_a_text(name: str, text: str, tmp_path: Path) -> None:
    """Bytes of the environment that are no UTF-8 could be written into no address, and no message."""
    assert complaint(tmp_path, **{name: text}) == f"{name} must be printable text in UTF-8"
    assert read(tmp_path, **{name: "Éditeur 漢字"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ('forced_login_method = "api"', {"forced_login_method": "api"}),
        ('forced_login_method = "chatgpt"', {"forced_login_method": "chatgpt"}),
        ('forced_chatgpt_workspace_id = " a "', {"allowed_workspaces": ("a",)}),
        ('forced_chatgpt_workspace_id = ["a", " ", "b"]', {"allowed_workspaces": ("a", "b")}),
        ('forced_chatgpt_workspace_id = ""', {"allowed_workspaces": ()}),
        ('cli_auth_credentials_store = "keyring"', {"credentials_store": "keyring"}),
        ('cli_auth_credentials_store = "auto"', {"credentials_store": "auto"}),
        ('cli_auth_credentials_store = "ephemeral"', {"credentials_store": "ephemeral"}),
        ('chatgpt_base_url = " https://a.example/b/ "', {"backend": "https://a.example/b"}),
        ('chatgpt_base_url = "http://127.0.0.1:1"', {"backend": "http://127.0.0.1:1"}),
        ('chatgpt_base_url = "https://chatgpt.com"', {"backend": "https://chatgpt.com/backend-api"}),
        ('chatgpt_base_url = "https://chatgpt.com/backend-api/"', {"backend": DEFAULT_BACKEND}),
        ('chatgpt_base_url = "https://chat.openai.com/"', {"backend": "https://chat.openai.com/backend-api"}),
        ('[profile]\nforced_login_method = "api"', {"forced_login_method": None}),
        ('model = 5\n[a."b c"]\nx = [1,\n2]', {}),
        ('\ufeffforced_login_method = "api"', {"forced_login_method": "api"}),
        ('a = 1\r\nforced_login_method = "api"\r\n', {"forced_login_method": "api"}),
    ],
)
def test_a_key_is_used(text: str, expected: dict[str, Any], write: Callable[[str], Path]) -> None:
    """Only the keys of the top level that bear on accounts are read; a byte order mark and CRLF are no fault."""
    config = read(write(text).parent)
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('forced_login_method = "other"', f"1: {METHOD}"),
        ('\n\nforced_login_method = "API"', f"3: {METHOD}"),
        ("forced_login_method = 5", f"1: {METHOD}"),
        ("forced_login_method = false", f"1: {METHOD}"),
        ("\n[forced_login_method]\nx = 1", f"2: {METHOD}"),
        ("forced_login_method.x = 1", f"1: {METHOD}"),
        ("[[forced_login_method]]", f"1: {METHOD}"),
        (
            'cli_auth_credentials_store = "disk"',
            '1: cli_auth_credentials_store must be one of "file", "keyring", "auto", "ephemeral"',
        ),
        ("forced_chatgpt_workspace_id = 5", f"1: {WORKSPACES}"),
        ("forced_chatgpt_workspace_id = [1]", f"1: {WORKSPACES}"),
        ("chatgpt_base_url = 5", "1: chatgpt_base_url must be a URL"),
        ('chatgpt_base_url = ""', f"1: chatgpt_base_url {URL_FORM}"),
        ('chatgpt_base_url = "https://256.256.256.256"', f"1: chatgpt_base_url {HOST_FORM}"),
        ('chatgpt_base_url = "http://a.example"', f"1: chatgpt_base_url {HTTPS}"),
        # The right line, where the name stands on others too.
        ('# forced_login_method = 1\n"forced_login_method" = 5', f"2: {METHOD}"),
        ('x = """\nforced_login_method = 1"""\nforced_login_method = 5', f"3: {METHOD}"),
        ("x = [\n[1],\n2]\n  forced_login_method = 5", f"4: {METHOD}"),
        ("a = 1\r\nforced_login_method = 5\r\n", f"2: {METHOD}"),
        (
            'x = {forced_login_method = 1}\n[y]\nforced_login_method = "api"\n[forced_login_method]\n',
            f"4: {METHOD}",
        ),
        ('"forced\\u005flogin_method" = 5', f" {METHOD}"),
        # Not TOML.
        ("forced_login_method = api", "1: forced_login_method: Invalid value"),
        ('a = 1\nb = "x', "2: b: Unterminated string"),
        ("a = 1\nnonsense\n", "2: Expected '=' after a key in a key/value pair"),
        ("a = 1\na = 2", "2: a: Cannot overwrite a value"),
        ("a = [\n", "1: a: Invalid value"),
        ('a = "\u2028"\n\x0c', "2: Invalid statement"),
        ("a = 1\nb = " + "9" * 5000, "2: a number or a key is longer than 256 characters"),
        ("a = 1\nb = " + "[" * 5000, "2: is nested deeper than 16 brackets"),
    ],
)
def test_a_fault_is_named_with_file_line_and_key(text: str, fault: str, write: Callable[[str], Path]) -> None:
    """What cannot be used is refused, never ignored; the line is the one on which the key itself stands."""
    file = write(text)
    assert complaint(file.parent) == f"{file}:{fault}"


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\xef", b"\xef\xbb"])
def test_a_file_that_is_no_text_is_refused(data: bytes, write: Callable[[bytes], Path]) -> None:
    """Bytes that are not UTF-8 could hide a policy; so could a part of a byte order mark."""
    file = write(data)
    assert complaint(file.parent) == f"{file}: is not UTF-8 text"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Only a missing file is an empty one."""
    (tmp_path / "config.toml").mkdir()
    said = f"{tmp_path}/config.toml: cannot be read: Is a directory (os error 21); a folder is in its place: `mv "
    assert complaint(tmp_path).startswith(said)
    (tmp_path / "file").touch()
    assert "config.toml: cannot be read: Not a directory (os error 20); see" in complaint(tmp_path / "file")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert "cannot be read: Too many levels of symbolic links" in complaint(tmp_path / "circle")


KEYS = ("forced_login_method", "forced_chatgpt_workspace_id", "cli_auth_credentials_store", "chatgpt_base_url")
NAMES = [*KEYS, "a", '"a b"', "a.b", "[a]", "[[b]]", f"[{KEYS[0]}]", "", "#"]
VALUES = ['"api"', '"https://a.example"', "5", "[", "]", '"""', "{", "1979-05-27", "nan", '["a"]', ""]
LINE = st.tuples(st.sampled_from(NAMES), st.sampled_from(["", " = ", "=", "."]), st.sampled_from(VALUES)).map(
    "".join
)
FILES = st.lists(LINE | st.text(max_size=8), max_size=8).map(
    lambda lines: "\n".join(lines).encode("utf-8", "replace")
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example writes the file anew
@given(FILES | st.binary(max_size=60))
def test_any_file_is_read_or_refused(write: Callable[[bytes], Path], text: bytes) -> None:
    """Whatever the file holds, nothing but a ConfigError that names it comes out."""
    file = write(text)
    try:
        config = read(file.parent)
    except ConfigError as error:
        refusal = str(error)
    else:
        refusal = f"{file}:"
        assert config.codex_home == file.parent
    assert refusal.startswith(f"{file}:")
