"""Targets: what anybody on the machine, or any page of a browser, can send to the port of a browser login."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, unquote_plus

import h11

from accountd.errors import InvalidRequest
from accountd.login.loopback import MAX_HEAD, _render
from accountd.oauth import callback
from accountd.oauth.callback import (
    BadHost,
    Callback,
    Cancel,
    Denied,
    Forbidden,
    MethodNotAllowed,
    MissingCode,
    NotEntitled,
    NotFound,
    Outcome,
    WrongState,
    parse_pasted_url,
    parse_request,
)
from accountd.oauth.pages import Page, render_refused, render_settled
from accountd.secret import Secret
from fuzz.pieces import choose, chunkings

PORT: Final = 1455
STATE: Final = "sT4te-canary"
_SUFFIX: Final = ".onboarding_entrypoint=life_sciences"
_REDIRECT_URI: Final = callback.render_redirect_uri(PORT)


def fuzz_loopback(data: bytes) -> None:
    """Read a raw request as the listener does, whole and in pieces, and answer it with a page that h11 can read."""
    cut, stream = choose(data, range(256))
    read = _read([stream])
    for pieces in chunkings(stream, cut):
        assert _describe(_read(pieces)) == _describe(read)
    http, event = read
    if event is None:
        return
    if isinstance(event, h11.RemoteProtocolError):
        _check_page(http, render_refused(event.error_status_hint), head_only=False)
        return
    outcome = _check_request(event)
    if not isinstance(outcome, (callback.Success, callback.Failure, Callback, Cancel)):
        _check_page(http, render_settled(outcome), head_only=event.method == b"HEAD")


def _read(pieces: list[bytes]) -> tuple[h11.Connection, h11.Request | h11.RemoteProtocolError | None]:
    """Read a head as `loopback` does: piece by piece, until there is one."""
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
    rest = [*pieces, b""]
    try:
        while (event := http.next_event()) is h11.NEED_DATA:
            if not rest:
                return http, None
            http.receive_data(rest.pop(0))
    except h11.RemoteProtocolError as error:
        return http, error
    return http, event if isinstance(event, h11.Request) else None


def _describe(read: tuple[h11.Connection, h11.Request | h11.RemoteProtocolError | None]) -> object:
    event = read[1]
    if isinstance(event, h11.Request):
        return (event.method, event.target, list(event.headers))
    return None if event is None else event.error_status_hint


def fuzz_callback(data: bytes) -> None:
    """Say what a request means, with a line for its method, one for its target, and one for each header."""
    method, _, rest = data.partition(b"\n")
    target, *lines = rest.split(b"\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    _check_outcome(parse_request(method, target, headers, PORT, Secret(STATE)), method, target, headers)


def _check_request(request: h11.Request) -> Outcome:
    headers = list(request.headers)
    outcome = parse_request(request.method, request.target, headers, PORT, Secret(STATE))
    _check_outcome(outcome, request.method, request.target, headers)
    return outcome


def _check_outcome(outcome: Outcome, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    hosts = [value.strip().lower() for name, value in headers if name.lower() == b"host"]
    names = {name.lower() for name, _ in headers}
    path, _, query = target.decode("latin-1").partition("?")
    if not isinstance(outcome, BadHost):
        assert len(hosts) == 1
    if not isinstance(outcome, (BadHost, Callback, Denied, MissingCode, NotEntitled)):
        assert hosts[0].removesuffix(b":1455") in (b"127.0.0.1", b"localhost", b"[::1]")
    if not isinstance(outcome, (BadHost, NotFound, MethodNotAllowed)):
        assert method == b"GET"
    if isinstance(outcome, Cancel):
        assert path == "/cancel"
        assert not names & {b"origin", b"referer", b"sec-fetch-site"}
    if isinstance(outcome, Forbidden):
        assert path == "/cancel"
    if isinstance(outcome, (Callback, Denied, MissingCode, NotEntitled, WrongState)):
        assert path == "/auth/callback"
    _check_redirect(outcome, query)


def _check_redirect(outcome: object, query: str) -> None:
    """Hold the issuer's answer to the standard library: whoever does not know the state is told off."""
    assert STATE not in repr(outcome)
    if not isinstance(outcome, (Callback, Denied, MissingCode, NotEntitled)):
        return
    parameters = parse_qs(query, keep_blank_values=True)
    [state] = parameters["state"]
    assert state in (STATE, STATE + _SUFFIX)
    assert all(len(parameters.get(name, [])) <= 1 for name in ("code", "error", "error_description"))
    [error], [code] = (parameters.get(name, [""]) for name in ("error", "code"))
    assert bool(error) == isinstance(outcome, (Denied, NotEntitled))
    match outcome:
        case Callback():
            assert outcome.code.reveal() == code != ""
            assert (outcome.onboarding_entrypoint is not None) == state.endswith(_SUFFIX)
            assert "code=Secret(••••)" in repr(outcome)
        case Denied():
            for words in (outcome.error, outcome.description or "x", outcome.message):
                assert words
                assert words.isprintable()
                assert len(words) <= 400
        case MissingCode():
            assert not code


def fuzz_pasted(data: bytes) -> None:
    """Read an address as a person pasted it; what is none gets an error that does not repeat it."""
    text = data.decode("utf-8", "replace")
    try:
        outcome = parse_pasted_url(text, _REDIRECT_URI, Secret(STATE))
    except InvalidRequest as error:
        assert STATE not in str(error)
        assert str(error).startswith("This ")
        assert str(error).endswith(f"it begins with {_REDIRECT_URI}?")
        return
    assert not isinstance(outcome, (MissingCode, WrongState))
    query = "".join(text.split()).partition("?")[2].partition("#")[0]
    _check_redirect(outcome, query)
    assert unquote_plus(query)


def _check_page(http: h11.Connection, page: Page, *, head_only: bool) -> None:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="HEAD" if head_only else "GET", target="/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    answer = _render(http, page, head_only=head_only)
    assert STATE.encode() not in answer
    client.receive_data(answer)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    assert response.status_code == page.status
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert body == (b"" if head_only else page.body)
