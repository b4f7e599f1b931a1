"""The credential: whether the store that holds it can be read, and whether it is still good. Never a token."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from accountd.account.credential import find_objection
from accountd.client import faults
from accountd.client.faults import Fault, find_fault
from accountd.doctor.findings import fail, ok, warn
from accountd.errors import MalformedRecord, StorageError, UnreadableRecord
from accountd.protocol.reasons import find_reason
from accountd.reload import make_policy
from accountd.requirements import service as requirements
from accountd.storage.choose import open_store
from accountd.storage.file import FileStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accountd.config.settings import Config
    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Surroundings

_LOG_IN = "log in with `accountd login`"
_LOG_IN_AGAIN = "log in again with `accountd login`"
_MEND = "mend what it says, or log in with `accountd login`"
_AGAIN = "see network.issuer; then `accountd token > /dev/null` tries again"
_REMEDIES = {
    faults.NOT_LOGGED_IN: _LOG_IN,
    faults.REFUSED: _LOG_IN_AGAIN,
    faults.EXPIRED: _AGAIN,
    faults.UNREACHABLE: _AGAIN,
}
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


class State(msgspec.Struct, frozen=True):
    """What is known of the credential, from the daemon or from the store; whose it is, from the store alone."""

    mode: str | None
    expires_at: float | None
    fault: Fault | None = None
    last: Mapping[str, Any] | None = None
    workspace_error: str | None = None
    email: str | None = None
    plan: str | None = None


async def check_credential(surroundings: Surroundings) -> Finding:
    """Judge whether the login is good, until when, and how the last refresh went."""
    state = await _ask_daemon(surroundings) or await read_stored(await surroundings.config())
    if (fault := state.fault) is not None:
        told = fail if fault.reason != faults.NOT_LOGGED_IN else warn
        return told(fault.describe(), _REMEDIES.get(fault.reason, _MEND), reason=fault.reason)
    if state.workspace_error is not None:
        return warn(f"logged in, but the workspace is not known: {state.workspace_error}", "see network.backend")
    if state.expires_at is None:
        return ok(f"logged in ({state.mode}), with what does not expire")
    left = state.expires_at - surroundings.now()
    details = {"mode": str(state.mode), "expiresAt": f"{state.expires_at:.0f}"}
    failed = state.last is not None and state.last.get("outcome") == "failed"
    if failed:
        text = f"the last refresh failed{_because(state)}; the token {_describe_left(left)}"
        return warn(text, "see network.issuer; the daemon tries again by itself", **details)
    if left <= 0:
        return ok(f"logged in ({state.mode}); the token {_describe_left(left)}, and the next use refreshes it")
    return ok(f"logged in ({state.mode}); the token {_describe_left(left)}", **details)


async def _ask_daemon(surroundings: Surroundings) -> State | None:
    daemon = await surroundings.daemon()
    credential = (daemon.status or {}).get("credential")
    if daemon.status is None or not isinstance(credential, dict):
        return None
    return State(
        credential.get("mode"),
        credential.get("expiresAt"),
        find_fault(daemon.status),
        daemon.status.get("lastRefresh"),
        credential.get("workspaceError"),
    )


async def read_stored(config: Config) -> State:
    """Read the credential as the daemon does when it starts, and whether the policy permits it."""
    try:
        record = await open_store(config).load()
    except StorageError as error:
        return State(None, None, Fault(find_reason(error), str(error)))
    if record is None:
        return State(None, None, Fault(faults.NOT_LOGGED_IN))
    system = await trio.to_thread.run_sync(
        requirements.read_system_layer, requirements.SYSTEM_FILE, abandon_on_cancel=True
    )
    objection = find_objection(record, make_policy(config, system))
    fault = None if objection is None else Fault(find_reason(objection), str(objection))
    if (login := record.chatgpt) is None:
        return State(record.mode, None, fault)
    return State(record.mode, login.expires_at, fault, email=login.claims.email, plan=login.plan)


def _because(state: State) -> str:
    error = (state.last or {}).get("error")
    return f": {str(error).rstrip('.')}" if error else ""


def _describe_left(seconds: float) -> str:
    minutes = abs(seconds) / 60
    size = "a moment" if minutes < 1 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
    return f"is good for {size}" if seconds > 0 else f"expired {size} ago"
