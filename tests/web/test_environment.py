"""What the environment decides about where tokens go: what is told of it, and what never is."""

from __future__ import annotations

import pytest

from accountd.web.environment import describe_environment, find_differences


def test_where_all_is_as_usual_nothing_is_told() -> None:
    """Blank is unset, and what decides nothing about tokens is nobody's business."""
    assert describe_environment({}) == {}
    assert describe_environment({"HTTPS_PROXY": " ", "CODEX_HOME": "/h", "OPENAI_API_KEY": "sk-x"}) == {}


def test_each_variable_that_counts_is_told_with_its_value() -> None:
    """Addresses without a slash at the end, a path made whole, and of two forms of a name the one that counts."""
    environ = {
        "CODEX_APP_SERVER_LOGIN_ISSUER": " http://127.0.0.1:4500/ ",
        "CODEX_APP_SERVER_LOGIN_CLIENT_ID": "app_x",
        "CODEX_REFRESH_TOKEN_URL_OVERRIDE": "https://a.example/t",
        "CODEX_REVOKE_TOKEN_URL_OVERRIDE": "https://a.example/r",
        "SSL_CERT_FILE": "/b.pem",
        "CODEX_CA_CERTIFICATE": "/x/a.pem",
        "HTTPS_PROXY": "http://upper:1",
        "https_proxy": "http://lower:2",
        "HTTP_PROXY": "http://unused:3",
        "ALL_PROXY": "socks5h://unused:1080",
        "NO_PROXY": "localhost,.example.com",
        "SSL_CERT_DIR": "/c",
    }
    assert describe_environment(environ) == {
        "CODEX_APP_SERVER_LOGIN_ISSUER": "http://127.0.0.1:4500",
        "CODEX_APP_SERVER_LOGIN_CLIENT_ID": "app_x",
        "CODEX_REFRESH_TOKEN_URL_OVERRIDE": "https://a.example/t",
        "CODEX_REVOKE_TOKEN_URL_OVERRIDE": "https://a.example/r",
        "SSL_CERT_FILE": "/b.pem",
        "CODEX_CA_CERTIFICATE": "/x/a.pem",
        "HTTPS_PROXY": "http://upper:1",
        "NO_PROXY": "localhost,.example.com",
        "SSL_CERT_DIR": "/c",
    }


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("proxy", "http://proxy:80"),
        ("socks5h://[::1]", "socks5h://[::1]:1080"),
        ("http://ada:hunter2@proxy:3128/", "http://proxy:3128 (fingerprint 4c4d)"),
        ("ada:hunter2@proxy:3128", "http://proxy:3128 (fingerprint 8a92)"),
        ("ada:hunter3@proxy:3128", "http://proxy:3128 (fingerprint fcb1)"),
        ("http://ada:12/hunter2@proxy:3128", "not the URL of a proxy (fingerprint f0c7)"),
        ("http://ada:hunter2", "not the URL of a proxy (fingerprint 7a87)"),
    ],
)
def test_of_a_proxy_its_place_is_told_and_no_password(value: str, told: str) -> None:
    """Nor a part of one, where the value is no URL; that it is another one is seen all the same."""
    assert describe_environment({"HTTPS_PROXY": value}) == {"HTTPS_PROXY": told}


@pytest.mark.parametrize(
    ("value", "told"),
    [("a\x1b[2J\nb", "a�[2J�b"), ("a\udcffb", "a�b"), ("x" * 1000, f"{'x' * 200}… (fingerprint 44f8)")],
)
def test_whatever_is_set_is_short_plain_text(value: str, told: str) -> None:
    """It goes to clients as JSON, and to terminals."""
    assert describe_environment({"NO_PROXY": value}) == {"NO_PROXY": told}


def test_differences_are_named() -> None:
    """What only one has, and what is another in the other."""
    assert find_differences({"A": "1", "B": "2", "C": "3"}, {"A": "1", "B": "x", "D": "4"}) == ["B", "C", "D"]
