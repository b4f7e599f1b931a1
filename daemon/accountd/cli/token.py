"""`accountd token`: hand out an access token, or the API key, in the form that the next program takes."""

from __future__ import annotations

import json
import re
from argparse import ArgumentTypeError
from shlex import quote
from typing import TYPE_CHECKING

from accountd.cli.account import explain_failure
from accountd.cli.connecting import connect
from accountd.cli.exits import OK, Failure
from accountd.cli.options import add_account_option, add_client_options
from accountd.cli.selecting import VARIABLE, select, tell_person
from accountd.cli.terminal import say
from accountd.cli.waiting import waiting
from accountd.client.errors import CallFailed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from accountd.cli.parsing import Subparsers
    from accountd.cli.selecting import Selected
    from accountd.client.results import ReadTokenResponse

_LONGEST_VALID = 24 * 3600
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_EPILOG = """\
The daemon refreshes the token only if it would expire sooner than in
--min-valid. A token that lasts so long cannot always be had; then this exits
with 1. It exits with 3 if nobody is logged in, with 4 if the login that is
stored is no longer accepted, and with 7 if it cannot be read. The refresh
token is never printed.

formats:
  raw     the token on a line; also to a terminal, since it was asked for
  json    one object: token, expiresAt (Unix seconds, or null), authMode,
          chatgptAccountId (or null) and accountId, which is the id of the
          account in `accountd accounts`
  env     lines for a shell to eval: OPENAI_API_KEY for an API key, else
          CHATGPT_ACCESS_TOKEN and, if there is one, CHATGPT_ACCOUNT_ID; where
          there are several accounts ACCOUNTD_ACCOUNT too, by which verbs mean
          this one. Not CODEX_ACCESS_TOKEN: Codex expects a token of another
          kind in it
  header  the Authorization header, for `curl -H @-`
  curl    a configuration for `curl -K -`, with the header of the account too

Whoever has the token can use the account until it expires. Hand it on through
a pipe or the environment: every process can read the command line of another.

examples:
  accountd token --format curl |
    curl -K - https://chatgpt.com/backend-api/wham/usage
  eval "$(accountd token --format env)"
  token=$(accountd token --min-valid 1h) || exit
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "token",
        help="print an access token that is good for a while",
        description="Print an access token, or the API key, that is good for a while.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--min-valid",
        type=_parse_duration,
        default="5m",
        metavar="TIME",
        help="how long it must be good for at least, at most 24h: 90, 90s, 5m, 1h (default: %(default)s)",
    )
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        default="raw",
        metavar="X",
        help=f"how to print it: {', '.join(_FORMATS)} (default: %(default)s)",
    )
    add_account_option(parser)
    add_client_options(parser)
    parser.set_defaults(run=run, asks_network=True)


def run(args: argparse.Namespace) -> int:
    """Print the token. Raises Failure with a code of its own if one has to log in first."""
    with connect(args) as client:
        selected = select(client, args)
        tell_person(selected)
        try:
            with waiting("the daemon, which may be asking the issuer for a new token"):
                token = client.read_token(min_valid=args.min_valid)
        except CallFailed as error:
            raise explain_failure(client, error, selected) from error
    if args.format != "json":
        _check(token)
    say(_FORMATS[args.format](token, selected))
    return OK


def _parse_duration(text: str) -> int:
    """Read a duration into seconds."""
    match = re.fullmatch(r"([0-9]{1,5})([smh]?)", text)
    if match is None or (seconds := int(match[1]) * _UNITS[match[2]]) > _LONGEST_VALID:
        raise ArgumentTypeError("must be seconds, or a number with s, m or h behind it, of 24h at most")
    return seconds


def _check(token: ReadTokenResponse) -> None:
    """Refuse what would be more than one line of a header, a shell or a terminal, wherever it came from."""
    for text in (token["token"], token["chatgptAccountId"] or ""):
        if not (text.isascii() and text.isprintable()):
            raise Failure("the token has characters in it that no header can have; only --format json prints it")


def _render_raw(token: ReadTokenResponse, _: Selected) -> str:
    return str(token["token"])


def _render_json(token: ReadTokenResponse, selected: Selected) -> str:
    members = ("token", "expiresAt", "authMode", "chatgptAccountId")
    account_id = selected.account["id"] if selected.account is not None else None
    found = {name: value for name, value in token.items() if name in members}
    return json.dumps({**found, "accountId": account_id})


def _render_env(token: ReadTokenResponse, selected: Selected) -> str:
    if token["authMode"] == "apikey":
        variables: dict[str, str | None] = {"OPENAI_API_KEY": token["token"]}
    else:
        variables = {"CHATGPT_ACCESS_TOKEN": token["token"], "CHATGPT_ACCOUNT_ID": token["chatgptAccountId"]}
    if selected.account is not None and selected.is_told:
        variables[VARIABLE] = selected.account["id"]
    return "\n".join(f"export {name}={quote(value)}" for name, value in variables.items() if value)


def _render_header(token: ReadTokenResponse, _: Selected) -> str:
    return f"Authorization: Bearer {token['token']}"


def _render_curl(token: ReadTokenResponse, selected: Selected) -> str:
    headers = [_render_header(token, selected)]
    if token["chatgptAccountId"]:
        headers.append(f"ChatGPT-Account-Id: {token['chatgptAccountId']}")
    escaped = (header.replace("\\", r"\\").replace('"', r"\"") for header in headers)
    return "\n".join(f'header = "{header}"' for header in escaped)


_FORMATS: dict[str, Callable[[ReadTokenResponse, Selected], str]] = {
    "raw": _render_raw,
    "json": _render_json,
    "env": _render_env,
    "header": _render_header,
    "curl": _render_curl,
}
