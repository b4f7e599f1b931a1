"""The daemon's numbers in the text exposition format of Prometheus, version 0.0.4, for whoever collects them.

No port is opened for it: a collector of text files, or one that runs commands, takes what is printed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BY_KIND = {
    "loginsStarted": ("accountd_logins_started", "Logins begun, by how one logs in."),
    "loginsCompleted": ("accountd_logins_completed", "Logins that ended with somebody logged in."),
    "loginsFailed": ("accountd_logins_failed", "Logins that failed."),
    "loginsCancelled": ("accountd_logins_cancelled", "Logins that were cancelled, or replaced by a newer one."),
}
_PLAIN = {
    "connectionsAccepted": ("accountd_connections_accepted", "Connections accepted."),
    "connectionsRefused": ("accountd_connections_refused", "Connections refused, such as those of other users."),
    "clientsCut": ("accountd_clients_cut", "Clients disconnected because they did not read."),
    "requestsAnswered": ("accountd_requests_answered", "Requests answered with a result."),
    "tokensHandedOut": ("accountd_tokens_handed_out", "Answers that had a token or an API key in them."),
    "notificationsSent": ("accountd_notifications_sent", "Notifications sent, counted for each client."),
}

_TOKEN_SOCKET = {
    "connectionsRefused": ("accountd_token_socket_connections_refused", "Connections refused on the token socket."),
    "tokensHandedOut": ("accountd_token_socket_tokens_handed_out", "Tokens handed out on the token socket."),
    "tokensRefused": ("accountd_token_socket_tokens_refused", "Tokens refused there, since they were too many."),
    "refreshesMade": ("accountd_token_socket_refreshes_made", "Refreshes made for clients there, or tried."),
    "refreshesWithheld": ("accountd_token_socket_refreshes_withheld", "Refreshes wanted there, and not made."),
}


class _Sample(NamedTuple):
    value: float
    labels: Mapping[str, str] = {}


def render_metrics(status: Mapping[str, Any]) -> str:
    """Render the answer to `accountd/status`. What is null, or not there, is left out."""
    return "".join(_render(status))


def _render(status: Mapping[str, Any]) -> Iterator[str]:
    versions = {"version": str(status.get("version")), "protocol_version": str(status.get("protocolVersion"))}
    yield _gauge("accountd_build_info", "Which version runs; always 1.", _Sample(1, versions))
    for member, name, text in (
        ("startedAt", "accountd_start_time_seconds", "When the daemon was started, in Unix time."),
        ("uptimeSeconds", "accountd_uptime_seconds", "Seconds since then."),
        ("connections", "accountd_connections", "Connections that are open now."),
        ("nextRefresh", "accountd_next_refresh_time_seconds", "When the token will be refreshed, in Unix time."),
    ):
        if status.get(member) is not None:
            yield _gauge(name, text, _Sample(status[member]))
    yield _gauge("accountd_logins_under_way", "Logins that wait now.", _Sample(len(status.get("logins") or ())))
    yield from _render_credential(status.get("credential") or {})
    last = status.get("lastRefresh")
    if last:
        text = "When the last refresh ended, and how, in Unix time."
        labels = {"outcome": str(last["outcome"])}
        yield _gauge("accountd_last_refresh_time_seconds", text, _Sample(last["at"], labels))
    yield from _render_counters(status.get("counters") or {})
    if status.get("tokenSocket"):
        yield from _render_token_socket(status["tokenSocket"])


def _render_credential(credential: Mapping[str, Any]) -> Iterator[str]:
    mode = credential.get("mode")
    needed = bool(credential.get("needsLogin"))
    labels = {"mode": str(mode)} if mode else {}
    text = "1 if somebody is logged in, in the way that the label names."
    yield _gauge("accountd_logged_in", text, _Sample(mode is not None and not needed, labels))
    text = "1 if the stored login is no longer accepted, so that somebody must log in again."
    yield _gauge("accountd_needs_login", text, _Sample(needed))
    if credential.get("expiresAt") is not None:
        text = "When the access token expires, in Unix time."
        yield _gauge("accountd_token_expiry_time_seconds", text, _Sample(credential["expiresAt"]))


def _render_counters(counters: Mapping[str, Any]) -> Iterator[str]:
    for member, (name, text) in _PLAIN.items():
        if member in counters:
            yield _counter(name, text, _Sample(counters[member]))
    for member, (name, text) in _BY_KIND.items():
        yield _counter(name, text, *_labelled("type", counters.get(member)))
    refused = _labelled("code", counters.get("requestsRefused"))
    yield _counter("accountd_requests_refused", "Requests answered with an error, by its JSON-RPC code.", *refused)
    refreshes = _labelled("outcome", counters.get("refreshes"))
    yield _counter("accountd_refreshes", "Refreshes; adopted are those by another program.", *refreshes)


def _render_token_socket(token_socket: Mapping[str, Any]) -> Iterator[str]:
    up = _Sample(token_socket.get("trouble") is None)
    yield _gauge("accountd_token_socket_up", "1 if clients can connect to the token socket.", up)
    if token_socket.get("connections") is not None:
        text = "Connections that are open on the token socket."
        yield _gauge("accountd_token_socket_connections", text, _Sample(token_socket["connections"]))
    for member, (name, text) in _TOKEN_SOCKET.items():
        if member in token_socket:
            yield _counter(name, text, _Sample(token_socket[member]))


def _labelled(label: str, counts: Mapping[str, float] | None) -> Iterator[_Sample]:
    return (_Sample(value, {label: name}) for name, value in (counts or {}).items())


def _gauge(name: str, text: str, *samples: _Sample) -> str:
    return _family(name, "gauge", text, samples)


def _counter(name: str, text: str, *samples: _Sample) -> str:
    return _family(f"{name}_total", "counter", text, samples)


def _family(name: str, kind: str, text: str, samples: tuple[_Sample, ...]) -> str:
    if not samples:
        return ""
    lines = [f"# HELP {name} {_escape(text)}", f"# TYPE {name} {kind}"]
    lines += [f"{name}{_render_labels(sample.labels)} {_render_number(sample.value)}" for sample in samples]
    return "".join(f"{line}\n" for line in lines)


def _render_labels(labels: Mapping[str, str]) -> str:
    pairs = (f'{name}="{_escape(value, quote=True)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}" if labels else ""


def _render_number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _escape(text: str, *, quote: bool = False) -> str:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n")
    return escaped.replace('"', r"\"") if quote else escaped
