"""What a Codex process is, by its words."""

from __future__ import annotations

import pytest

from accountd.codex.command_line import find_role


@pytest.mark.parametrize(
    ("line", "role"),
    [
        ("/opt/bin/codex", "terminal"),
        ("codex -m gpt-5 --no-daemon", "terminal"),
        ("codex resume --last", "terminal"),
        ("codex please app-server", "terminal"),
        ("codex -c a=b app-server --listen stdio://", "app-server"),
        ("codex-app-server --listen unix://", "app-server"),
        ("codex app-server --listen unix:// --managed-daemon", "daemon"),
        ("codex-x86_64-unknown-linux-musl mcp-server", "app-server"),
        ("codex --profile app-server exec hello", "exec"),
        ("codex --remote unix:///s", None),
        ("codex exec --remote=unix:///s hello", None),
        ('codex app-server -c cli_auth_credentials_store="ephemeral" --listen unix:///s', None),
        ("codex app-server daemon pid-update-loop", None),
        ("codex app-server proxy", None),
        ("codex app-server --print-startup-config", None),
        ("codex login status", None),
        ("codex -V", None),
        ("codex-linux-sandbox codex exec", None),
        ("node /usr/bin/codex exec", None),
        ("", None),
    ],
)
def test_a_role_is_known_by_the_words(line: str, role: str | None) -> None:
    """Who runs an app-server with the login that is stored is told from who uses another's, or none."""
    assert find_role(line.split()) == role
