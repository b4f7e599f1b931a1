"""The authorize URL of the browser login: the address that a person opens (RFC 6749 section 4.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import msgspec

if TYPE_CHECKING:
    from accountd.secret import Secret

SCOPE: Final = "openid profile email offline_access api.connectors.read api.connectors.invoke"


class Hints(msgspec.Struct, frozen=True):
    """Whom the issuer is to expect, under the names on the wire: in which workspace, as whom, and by which SSO."""

    current_workspace_id: str | None = None
    login_hint: str | None = None
    connection: str | None = None


def render_authorize_url(
    issuer: str,
    client_id: str,
    *,
    redirect_uri: str,
    challenge: str,
    state: Secret,
    originator: str,
    workspaces: tuple[str, ...],
    hints: Hints | None = None,
) -> str:
    """Write the URL with the parameters that Codex sends, no others; no workspaces named means any.

    The text holds the state in clear. It is meant for the person's browser and for nothing else: no log.
    """
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": SCOPE,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "id_token_add_organizations": "true",
        "codex_cli_simplified_flow": "true",
        "state": state.reveal(),
        "originator": originator,
    }
    if workspaces:
        parameters["allowed_workspace_id"] = ",".join(workspaces)
    if hints is not None:
        parameters |= {name: text for name, text in msgspec.structs.asdict(hints).items() if text}
    return f"{issuer}/oauth/authorize?{urlencode(parameters, quote_via=quote)}"
