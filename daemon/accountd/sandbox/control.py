"""`/sandbox/…`: how a demo, a test or a person with curl scripts the sandbox. No web page may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.errors import ConfigError
from accountd.sandbox.message import Refused, Request, Response, render_json, render_oauth_error
from accountd.sandbox.script import merge_script

if TYPE_CHECKING:
    from accountd.sandbox.state import State


def refuse_web_pages(request: Request) -> None:
    """Raise Refused for what the script of a web page sends: it has an Origin, or says that it is cross-site."""
    if "origin" in request.headers or _comes_from_elsewhere(request):
        raise Refused(render_oauth_error("forbidden", "a web page may not script the sandbox", 403))


def refuse_other_sites(request: Request) -> None:
    """Raise Refused for a form that another site's page sends, or one that hides where it is from.

    A browser names the page's origin in each POST, in Origin or, an older one, in Referer: it has to be ours. A
    program, which no page can steer, may leave both out.
    """
    sender = request.headers.get("origin", request.headers.get("referer", request.origin))
    if not f"{sender}/".startswith(f"{request.origin}/") or _comes_from_elsewhere(request):
        raise Refused(render_oauth_error("forbidden", "this form was sent by another site", 403))


def _comes_from_elsewhere(request: Request) -> bool:
    # Another port of this machine is "same-site", and may be anybody's. Not a browser: no such header.
    return request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def read_script(state: State, request: Request) -> Response:  # noqa: ARG001  # as every endpoint
    """GET /sandbox/script."""
    return render_json(200, state.script)


def change_script(state: State, request: Request) -> Response:
    """POST /sandbox/script: a JSON object of changes. Answers with the whole script."""
    try:
        script = merge_script(state.script, request.body)
    except ConfigError as error:
        return render_oauth_error("invalid_script", str(error))
    state.change_script(script)
    return render_json(200, script)


def read_requests(state: State, request: Request) -> Response:  # noqa: ARG001  # as every endpoint
    """GET /sandbox/requests: the last thousand, oldest first."""
    return render_json(200, list(state.requests))


def reset(state: State, request: Request) -> Response:  # noqa: ARG001  # as every endpoint
    """POST /sandbox/reset."""
    state.reset()
    return render_json(200, {})
