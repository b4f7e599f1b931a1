"""An authorization request as a value: what an app asks for, and where its answer goes (RFC 6749 section 4.1).

No pages, and nothing is issued here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

import msgspec

from accountd.sandbox.message import Response
from accountd.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_CALLBACK_PATH: Final = "/auth/callback"
_REDIRECT_URI: Final = re.compile(rf"http://(127\.0\.0\.1|localhost):(?P<port>[1-9][0-9]{{0,4}}){_CALLBACK_PATH}")
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 section 4.2
_PRINTABLE: Final = re.compile(r"[ -~]*")  # RFC 6749 appendix A, of client_id, scope and state
_MAX_PARAMETERS: Final = 100


class BadParameter(Exception):
    """An authorization request cannot be answered. The text follows the parameter's name: "is missing"."""

    def __init__(self, parameter: str, problem: str) -> None:
        super().__init__(f"{parameter} {problem}")
        self.parameter = parameter
        self.problem = problem


class AuthorizationRequest(msgspec.Struct, frozen=True):
    """What an app asks for, under the names on the wire. Only `parse_authorization` makes one."""

    client_id: str
    redirect_uri: str
    code_challenge: str
    state: Secret
    scope: str
    originator: str
    allowed_workspace_id: str

    @property
    def redirect_origin(self) -> str:
        """The redirect URI without its path: a loopback address with a port, and nothing that needs escaping."""
        return self.redirect_uri.removesuffix(_CALLBACK_PATH)

    @property
    def workspaces(self) -> tuple[str, ...]:
        """The ids of the workspaces that the app lets in; none named means any."""
        return tuple(part for name in self.allowed_workspace_id.split(",") if (part := name.strip()))

    def carry(self) -> dict[str, str]:
        """Return the parameters again, for a form that carries them along."""
        fields = msgspec.structs.asdict(self) | {"state": self.state.reveal()}
        return {"response_type": "code", "code_challenge_method": "S256"} | fields


def parse_query(query: str) -> dict[str, str]:
    """Read the parameters of a URL as it is on the wire. Raises BadParameter, also for one that is there twice."""
    try:
        query.encode("ascii")
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        raise BadParameter("The query", "is not URL-encoded UTF-8, or has too many parameters") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:  # RFC 6749 section 3.1
            raise BadParameter(name, "is there more than once")
        fields[name] = value
    return fields


def parse_authorization(fields: Mapping[str, str]) -> AuthorizationRequest:
    """Check an authorization request. Raises BadParameter; what is unknown is ignored (RFC 6749 section 3.1).

    Where the answer would go is checked first. The issuer may send other faults there (section 4.1.2.1); here
    they all stay, for the author of the client to see.
    """
    _check_redirect_uri(_need(fields, "redirect_uri"))
    for name in ("client_id", "state", "scope"):
        if not _PRINTABLE.fullmatch(fields.get(name, "")):
            raise BadParameter(name, "must be printable ASCII")
    if _need(fields, "response_type") != "code":
        raise BadParameter("response_type", "must be code")
    if _need(fields, "code_challenge_method") != "S256":
        raise BadParameter("code_challenge_method", "must be S256")
    if not _CHALLENGE.fullmatch(_need(fields, "code_challenge")):
        raise BadParameter("code_challenge", "must be 43 to 128 letters, digits or any of - . _ ~")
    return AuthorizationRequest(
        client_id=_need(fields, "client_id"),
        redirect_uri=fields["redirect_uri"],
        code_challenge=fields["code_challenge"],
        state=Secret(_need(fields, "state")),
        scope=fields.get("scope", ""),
        originator=fields.get("originator", ""),
        allowed_workspace_id=fields.get("allowed_workspace_id", ""),
    )


def render_redirect(asked: AuthorizationRequest, answer: Mapping[str, str]) -> Response:
    """Send the browser back to the app with an answer and the app's own state (RFC 6749 section 4.1.2)."""
    query = urlencode({**answer, "state": asked.state.reveal()})
    headers = {
        "location": f"{asked.redirect_uri}?{query}",
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
    }
    return Response(303, headers)  # not 307, which would post the form to the app (RFC 9700 section 4.12)


def _check_redirect_uri(uri: str) -> None:
    match = _REDIRECT_URI.fullmatch(uri)
    if match is None or int(match["port"]) > 65535:
        raise BadParameter(
            "redirect_uri",
            f"must be http://127.0.0.1:PORT{_CALLBACK_PATH} or http://localhost:PORT{_CALLBACK_PATH}",
        )


def _need(fields: Mapping[str, str], name: str) -> str:
    if value := fields.get(name):
        return value
    raise BadParameter(name, "is missing")  # also without a value (RFC 6749 section 3.1)
