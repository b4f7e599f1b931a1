"""The credential: whether the store that holds it can be read, and whether it is still good. Never a token."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from accountd.account.credential import find_objection
from accountd.doctor.findings import fail, ok, warn
from accountd.errors import MalformedRecord, StorageError, UnreadableRecord
from accountd.reload import make_policy
from accountd.requirements import service as requirements
from accountd.storage.choose import open_store
from accountd.storage.file import FileStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Surroundings

_LOG_IN = "log in with `accountd login`"
_LOG_IN_AGAIN = "log in again with `accountd login`"
_MEND = "mend what it says, or log in with `accountd login`"
_SEE_MODES = "see home.modes, and let its owner read it"


async def check_store(surroundings: Surroundings) -> Finding:
    """Read the credential from its store, as the daemon does."""
    config = await surroundings.config()
    store = open_store(config)
    if config.credentials_store == "ephemeral":
        return ok("the login is kept in the memory of the daemon, and ends with it")
    try:
        record = await store.load()
    except (MalformedRecord, UnreadableRecord) as error:
        return fail(error.problem, f"{error.remedy or _LOG_IN_AGAIN}; a login keeps the old document aside")
    except StorageError as error:
        return fail(error.problem, error.remedy or _SEE_MODES)
    place = store.describe()
    found = "holds a login" if record is not None else "holds no login"
    note = f"; {place.note}" if place.note else ""
    return ok(f"{place.kind} ({place.location}) {found}{note}", kind=place.kind, location=place.location)


async def check_rehearsal(surroundings: Surroundings) -> Finding:
    """Do all that stores a login, but for the storing, as the start of a login does."""
    config = await surroundings.config()
    if not surroundings.home.exists():
        return ok(f"{surroundings.home} is not there yet; the first login makes it")
    try:
        await open_store(config).rehearse()
    except StorageError as error:
        return fail(f"a login could not be stored: {error.problem}", error.remedy or _SEE_MODES)
    return ok("a login could be stored")


async def check_leftovers(surroundings: Surroundings) -> Finding:
    """Look for files beside `auth.json` that may hold tokens: what could not be read, or a crash has left."""
    try:
        others = await trio.to_thread.run_sync(FileStore(surroundings.home).find_others, abandon_on_cancel=True)
    except StorageError as error:
        return fail(f"{surroundings.home} cannot be looked at: {error}", _SEE_MODES)
    if not others:
        return ok("there is nothing beside auth.json that may hold tokens")
    names = shlex.join(str(path) for path in others)
    text = f"beside auth.json there may be tokens in {names}"
    return warn(text, f"`rm {names}`, if the login is good; the next refresh takes over what a crash has left")


class _State(msgspec.Struct, frozen=True):
    """What is known of the credential, from the daemon or from the store."""

    mode: str | None
    needs_login: bool
    expires_at: float | None
    last: Mapping[str, Any] | None = None
    objection: str | None = None


async def check_credential(surroundings: Surroundings) -> Finding:
    """Say whether the login is good, until when, and how the last refresh went."""
    state = await _ask_daemon(surroundings) or await _read_store(surroundings)
    if state.objection is not None:
        return fail(f"nobody is logged in, since what is stored is not used: {state.objection}", _MEND)
    if state.mode is None:
        return warn("nobody is logged in", _LOG_IN)
    if state.needs_login:
        return fail(f"the issuer no longer accepts the login{_because(state)}", _LOG_IN_AGAIN)
    if state.expires_at is None:
        return ok(f"logged in ({state.mode}), with what does not expire")
    left = state.expires_at - surroundings.now()
    details = {"mode": state.mode, "expiresAt": f"{state.expires_at:.0f}"}
    failed = state.last is not None and state.last.get("outcome") == "failed"
    if failed:
        text = f"the last refresh failed{_because(state)}; the token {_describe_left(left)}"
        if left > 0:
            return warn(text, "see network.issuer; the daemon tries again by itself", **details)
        return fail(text, "see network.issuer; then `accountd token > /dev/null` tries again", **details)
    if left <= 0:
        return ok(f"logged in ({state.mode}); the token {_describe_left(left)}, and the next use refreshes it")
    return ok(f"logged in ({state.mode}); the token {_describe_left(left)}", **details)


async def _ask_daemon(surroundings: Surroundings) -> _State | None:
    daemon = await surroundings.daemon()
    credential = (daemon.status or {}).get("credential")
    if daemon.status is None or not isinstance(credential, dict):
        return None
    return _State(
        credential.get("mode"),
        bool(credential.get("needsLogin")),
        credential.get("expiresAt"),
        daemon.status.get("lastRefresh"),
        credential.get("unusedBecause"),
    )


async def _read_store(surroundings: Surroundings) -> _State:
    config = await surroundings.config()
    try:
        record = await open_store(config).load()
    except StorageError:  # which is what the check of the store is for
        record = None
    if record is None:
        return _State(None, needs_login=False, expires_at=None)
    login = record.chatgpt
    expires_at = login.expires_at if login is not None else None
    system = await trio.to_thread.run_sync(
        requirements.read_system_layer, requirements.SYSTEM_FILE, abandon_on_cancel=True
    )
    objection = find_objection(record, make_policy(config, system))
    return _State(record.mode, needs_login=False, expires_at=expires_at, objection=objection)


def _because(state: _State) -> str:
    error = (state.last or {}).get("error")
    return f": {str(error).rstrip('.')}" if error else ""


def _describe_left(seconds: float) -> str:
    minutes = abs(seconds) / 60
    size = "a moment" if minutes < 1 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
    return f"is good for {size}" if seconds > 0 else f"expired {size} ago"
