"""What a `config.toml` says so that accountd, and a Codex behind `accountd app-server`, speak with the sandbox.

Codex's own provider asks no backend without TLS, whatever its address. One of another name that needs OpenAI's
login is given the same tokens, and is asked over HTTP. What is switched off would be fetched from elsewhere.
"""

from __future__ import annotations

from typing import Final

_CONFIG: Final = """\
chatgpt_base_url = "{url}/backend-api"
model_provider = "sandbox"
check_for_update_on_startup = false

[model_providers.sandbox]
name = "Sandbox"
base_url = "{url}/backend-api/codex"
requires_openai_auth = true
supports_websockets = false

[analytics]
enabled = false

[features]
apps = false
plugins = false
"""


def render_config(url: str) -> str:
    """Write the file for a sandbox at this URL, which has no path."""
    return _CONFIG.format(url=url)
