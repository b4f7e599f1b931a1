"""What a request to the loopback listener means: one question in, one of a closed set of answers out.

No socket and no login in sight: nothing here changes anything. A request proves that it comes from the issuer's
redirect by the login's `state` alone (RFC 6749 section 10.12), so a page that does not know it is told off
whatever it sends, and who does is heard under whatever name this port has where the browser is: that of an editor's
or a container's forwarded port. What works without a state is guarded by the Host, and `/cancel`, which does
something, is for local programs only, never for a browser.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from accountd.errors import InvalidRequest
from accountd.redaction import quote
from accountd.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

PORTS: Final = (1455, 1457)
"""The ports that the issuer allows in a redirect URI, the usual one first."""

CALLBACK_PATH: Final = "/auth/callback"
SUCCESS_PATH: Final = "/success"
FAILURE_PATH: Final = "/failure"
CANCEL_PATH: Final = "/cancel"

MAX_TARGET: Final = 8 * 1024
"""Characters of a request target, or of a pasted address, that are looked at. A code and a state are some 200."""

CANCELLED: Final = "Login cancelled"
"""How a login ends that `GET /cancel` ended."""

_MISSING_CODE: Final = "Missing authorization code. Sign-in could not be completed."
_NOT_ENTITLED: Final = (
    "Codex is not enabled for your workspace. Contact your workspace administrator to request access to Codex."
)
_ENTRYPOINT_SUFFIX: Final = ".onboarding_entrypoint=life_sciences"
_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
_PARAMETERS: Final = ("state", "code", "error", "error_description")
_MAX_PARAMETERS: Final = 64
_PASTED: Final = re.compile(
    rf"(?i:https?://)?(\[[0-9a-f:.]+\]|[^/?#:@]+)(:[0-9]+)?(/[^?#]*)?{re.escape(CALLBACK_PATH)}\?(?P<query>[^#]*)(#.*)?"
)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Callback(msgspec.Struct, frozen=True):
    """The issuer's redirect with an authorization code. Good once: the second time it is the flow's to refuse."""

    code: Secret
    onboarding_entrypoint: Literal["life_sciences"] | None = None


class MissingCode(msgspec.Struct, frozen=True):
    """The issuer's redirect, with neither code nor error. Ends the login."""

    @property
    def message(self) -> str:
        """How the login ended, in Codex's words."""
        return _MISSING_CODE


class Denied(msgspec.Struct, frozen=True):
    """The issuer's redirect with an error (RFC 6749 section 4.1.2.1). Ends the login. Both texts are one line."""

    error: str
    description: str | None = None

    @property
    def message(self) -> str:
        """How the login ended, in Codex's words."""
        return f"Sign-in failed: {self.description or self.error}"


class NotEntitled(msgspec.Struct, frozen=True):
    """The issuer's redirect, saying that the workspace has no Codex. Ends the login."""

    @property
    def message(self) -> str:
        """How the login ended, in Codex's words."""
        return _NOT_ENTITLED


class WrongState(msgspec.Struct, frozen=True):
    """A callback that is not this login's: a wrong, old or mangled link, or a forgery. The login goes on."""


class Success(msgspec.Struct, frozen=True):
    """The page that the browser is sent to when all is done. It may be asked for earlier, by anybody."""


class Failure(msgspec.Struct, frozen=True):
    """The page that the browser is sent to when the login has failed; else as `Success`."""


class Cancel(msgspec.Struct, frozen=True):
    """Another local program wants the port. Ends the login."""


class Forbidden(msgspec.Struct, frozen=True):
    """A browser asks for what only a local program may. 403; the login goes on."""


class NotFound(msgspec.Struct, frozen=True):
    """No such page. 404; the login goes on."""


class MethodNotAllowed(msgspec.Struct, frozen=True):
    """Not a GET. 405; the login goes on."""


class BadHost(msgspec.Struct, frozen=True):
    """Asked without the state under a foreign name, as after DNS rebinding, or none. 421; the login goes on."""


Redirect: TypeAlias = Callback | MissingCode | Denied | NotEntitled
"""What the issuer can say."""

Outcome: TypeAlias = (
    Redirect | WrongState | Success | Failure | Cancel | Forbidden | NotFound | MethodNotAllowed | BadHost
)


def render_redirect_uri(port: int) -> str:
    """Write where the issuer sends the browser: an address, not `localhost` (RFC 8252 section 8.3)."""
    return f"http://127.0.0.1:{port}{CALLBACK_PATH}"


def render_result_uri(port: int | None, *, success: bool) -> str:
    """Write where we send the browser: an address that says nothing about this login but how it went.

    Without a port it is relative to the callback's, which has whatever name, port and path are forwarded to us.
    """
    return f"{'..' if port is None else f'http://127.0.0.1:{port}'}{SUCCESS_PATH if success else FAILURE_PATH}"


def parse_request(
    method: bytes,
    target: bytes,
    headers: Iterable[tuple[bytes, bytes]],
    port: int,
    state: Secret,
    *,
    forwarded: Collection[str] = (),
) -> Outcome:
    """Return what a request means to the login with this state, on the listener of this port. Never raises.

    The parts are as h11 gives them. A foreign Host, which is neither loopback nor one of the `forwarded` that have
    brought the state before, is told nothing without it; of a right one the path is looked at first.
    """
    fields = _collect(headers)
    outcome = _route(method, target, fields, state)
    host = _read_host(fields)
    is_known = host is not None and (is_loopback(host, port) or host in forwarded)
    return outcome if is_known or (host is not None and isinstance(outcome, Redirect)) else BadHost()


def read_host(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the name and port under which a request asks; None without a Host, or with several."""
    return _read_host(_collect(headers))


def is_loopback(host: str, port: int) -> bool:
    """Compare a Host: a page that rebound its name to 127.0.0.1 still sends that name (RFC 9110 section 7.2)."""
    return host in {*_HOSTS, *(f"{name}:{port}" for name in _HOSTS)}


def _route(method: bytes, target: bytes, fields: Mapping[str, list[str]], state: Secret) -> Outcome:
    path, _, query = target.decode("latin-1").partition("?")
    if path not in (CALLBACK_PATH, SUCCESS_PATH, FAILURE_PATH, CANCEL_PATH):
        return NotFound()  # so are the absolute form, a fragment, and escapes in a path that needs none
    if method != b"GET":
        return MethodNotAllowed()
    parameters = _parse_query(query) if len(target) <= MAX_TARGET else None
    if path == CALLBACK_PATH:
        return _read_redirect(parameters or {}, state)
    if parameters is None:
        return NotFound()
    if path == SUCCESS_PATH:
        return Success()
    if path == FAILURE_PATH:
        return Failure()
    return Forbidden() if _is_browser(fields) else Cancel()


def parse_pasted_url(text: str, redirect_uri: str, state: Secret) -> Callback | Denied | NotEntitled:
    """Read the address that the browser ended on, as a person pasted it. Raises InvalidRequest: what to paste.

    Only the query counts, whatever forwarded name stands before it; space and line breaks are taken out. An address
    without a code is taken for one that was cut off, so unlike in `parse_request` it ends nothing. No error's text
    repeats the paste.
    """
    wanted = f"Paste the whole address that the browser shows after you approved; it begins with {redirect_uri}?"
    match = _PASTED.fullmatch("".join(text.split())) if len(text) <= MAX_TARGET else None
    if match is None and "code_challenge=" in text:
        raise InvalidRequest(f"This is the address that the login begins with. {wanted}")
    if match is None:
        raise InvalidRequest(f"This is not the address that the login ends with. {wanted}")
    match _read_redirect(_parse_query(match["query"]) or {}, state):
        case MissingCode():
            raise InvalidRequest(f"This address has no authorization code, or was cut off. {wanted}")
        case WrongState():
            raise InvalidRequest(f"This address belongs to another login, or was cut off. {wanted}")
        case redirect:
            return redirect


def _collect(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        fields.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return fields


def _read_host(fields: Mapping[str, list[str]]) -> str | None:
    hosts = fields.get("host", [])
    return hosts[0].strip(" \t").lower() if len(hosts) == 1 else None


def _is_browser(fields: Mapping[str, list[str]]) -> bool:
    """Return True if a page can have caused this request.

    `Sec-Fetch-Site: none`, meant for a typed address, is no excuse: browsers keep it over a redirect, so a link
    in a mail could end a login. Old browsers send none of the three, but all call themselves Mozilla.
    """
    if any(name in fields for name in ("origin", "referer", "sec-fetch-site")):
        return True
    return any("mozilla/" in agent.lower() for agent in fields.get("user-agent", []))


def _read_redirect(parameters: Mapping[str, str], state: Secret) -> Redirect | WrongState:
    """Read the issuer's answer. A parameter without a value counts as absent (RFC 6749 section 3.1)."""
    given = parameters.get("state", "")
    bare = given.removesuffix(_ENTRYPOINT_SUFFIX)
    if not state or Secret(bare) != state:  # a Secret compares in constant time
        return WrongState()
    if error := parameters.get("error"):
        description = parameters.get("error_description", "")
        if error == "access_denied" and "missing_codex_entitlement" in description.lower():
            return NotEntitled()
        return Denied(quote(error) or "unknown error", quote(description) or None)
    if code := parameters.get("code"):
        return Callback(Secret(code), None if bare == given else "life_sciences")
    return MissingCode()


def _parse_query(query: str) -> Mapping[str, str] | None:
    """Read the parameters that we know; None if they are unreadable, or one comes twice (RFC 6749 section 3.1)."""
    if not query.isascii() or "#" in query or _BAD_ESCAPE.search(query):
        return None
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError:  # escapes that are no UTF-8, or too many parameters
        return None
    known = [(name, value) for name, value in pairs if name in _PARAMETERS]
    parameters = dict(known)
    return parameters if len(parameters) == len(known) else None
