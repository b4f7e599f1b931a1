"""The authorize URL, against what the running Codex was seen to send."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from accountd.oauth.authorize import render_authorize_url
from accountd.secret import Secret

REDIRECT_URI = "http://127.0.0.1:1455/auth/callback"


def render(originator: str = "codex_cli_rs", workspaces: tuple[str, ...] = (), state: str = "st-1") -> str:
    """Write a URL with everything usual."""
    return render_authorize_url(
        "https://auth.openai.com",
        "app_EMoamEEZ73f0CkXaXp7hrann",
        redirect_uri=REDIRECT_URI,
        challenge="ch-1",
        state=Secret(state),
        originator=originator,
        workspaces=workspaces,
    )


def test_the_parameters_are_those_of_codex() -> None:
    """Exactly the recorded parameters, each once, at the issuer's authorize endpoint."""
    url = urlsplit(render())
    assert (url.scheme, url.netloc, url.path) == ("https", "auth.openai.com", "/oauth/authorize")
    assert not url.fragment
    assert sorted(parse_qsl(url.query, strict_parsing=True)) == [
        ("client_id", "app_EMoamEEZ73f0CkXaXp7hrann"),
        ("code_challenge", "ch-1"),
        ("code_challenge_method", "S256"),
        ("codex_cli_simplified_flow", "true"),
        ("id_token_add_organizations", "true"),
        ("originator", "codex_cli_rs"),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("scope", "openid profile email offline_access api.connectors.read api.connectors.invoke"),
        ("state", "st-1"),
    ]


def test_allowed_workspaces_are_named() -> None:
    """A restriction is one more parameter, its workspaces joined by commas."""
    query = dict(parse_qsl(urlsplit(render(workspaces=("acct-a", "acct-b"))).query))
    assert query["allowed_workspace_id"] == "acct-a,acct-b"
    assert dict(parse_qsl(urlsplit(render(workspaces=("acct-a",))).query))["allowed_workspace_id"] == "acct-a"


def test_what_a_url_cannot_hold_is_escaped() -> None:
    """Spaces are %20 and not a plus, and nothing of a value acts as a separator."""
    url = render()
    assert "scope=openid%20profile%20email%20offline_access%20api.connectors.read%20api.connectors.invoke&" in url
    assert "redirect_uri=http%3A%2F%2F127.0.0.1%3A1455%2Fauth%2Fcallback&" in url


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.lists(st.text(st.characters(codec="utf-8"))))
def test_no_value_becomes_another_parameter(originator: str, workspaces: list[str]) -> None:
    """Whatever a client calls itself and a configuration names, the URL is ASCII and reads back as it was meant."""
    url = render(originator, tuple(workspaces))
    assert url.isascii()
    assert not set(url) & set(" +\"'<>#\r\n")
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(query) == 10 + bool(workspaces)
    assert dict(query)["originator"] == originator
    assert dict(query).get("allowed_workspace_id") == (",".join(workspaces) if workspaces else None)
