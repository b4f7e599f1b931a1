"""A child that is there: what it is, the connection of our own to it, and what it is asked before it is used."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

from accountd import __version__
from accountd.errors import AgentSilent, AgentUnavailable, describe_os_error
from accountd.framing.websocket import WebSocketClientFraming
from accountd.front.asked import Asked, find_request
from accountd.front.process import signal_session
from accountd.front.program import require_version
from accountd.front.route import INITIALIZED
from accountd.rpc.endpoint import Endpoint
from accountd.rpc.pending import ConnectionEnded, PeerError
from accountd.system.peer_credentials import peer_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accountd.rpc.peek import Envelope

ANY_SIZE: Final = 1 << 40
"""Bytes of one message of the agent's: any size, since a client of its own would have been sent it too."""

_CLIENT_INFO: Final = {"name": "codex_app_server_daemon", "title": "accountd", "version": __version__}
"""The name is the one of a supervisor, which never becomes the originator of what the agent asks for."""

_NO_THREAD: Final = "00000000-0000-7000-8000-000000000000"
_ENDING: Final = b'"serverShuttingDown"'

_ANSWER_TIMEOUT: Final = 5.0
"""Seconds for an agent to answer us, who ask nothing that takes long."""

Hear = Callable[["Child", Asked], Awaitable[None]]
"""Hears what a child asks of us: the child, and the request."""


_TURNS: Final = "core.turns.active"


class _Gauge(msgspec.Struct):
    name: str
    value: float


class _Diagnostics(msgspec.Struct):
    gauges: tuple[_Gauge, ...] = ()


class Child(msgspec.Struct, frozen=True):
    """A child that is ready. `requires_openai_auth` is that of its model provider, by its whole configuration."""

    socket: str
    pid: int
    control: Endpoint
    lost: trio.Event
    version: str = ""
    home: str = ""
    requires_openai_auth: bool = True

    async def ask(self, method: str, params: Mapping[str, object]) -> Any:
        """Ask on the control connection. Raises AgentUnavailable for an error, an end, and no answer in time."""
        return await _ask(self.control, method, params)

    async def has_turns(self) -> bool:
        """Return True while a turn is under way, of any thread. Raises AgentUnavailable."""
        told = msgspec.convert(await self.ask("server/diagnostics", {}), _Diagnostics, strict=False)
        return any(gauge.value > 0 for gauge in told.gauges if gauge.name == _TURNS)

    async def require_lasting(self) -> None:
        """Raise AgentUnavailable for a child that was told to end: it goes on with its turns, and begins no other.

        It is known by why it refuses a turn, which any child does for a thread that nobody has.
        """
        try:
            with trio.fail_after(_ANSWER_TIMEOUT):
                await self.control.request("turn/start", {"threadId": _NO_THREAD, "input": []})
        except PeerError as error:
            if _ENDING in bytes(error.data):
                raise AgentUnavailable("the Codex agent has been told to end") from error
        except ConnectionEnded as error:
            raise AgentUnavailable(f"the Codex agent {error}") from error
        except trio.TooSlowError:
            raise AgentSilent(f"the Codex agent did not answer in {_ANSWER_TIMEOUT:.0f} seconds") from None


async def open_child(socket: str, hear_request: Hear, nursery: trio.Nursery) -> Child:
    """Connect to the child at `socket`; the connection lives in the nursery until it is lost, or ended.

    Raises AgentUnavailable: nobody answers there, or not the way that an agent of ours does.
    """
    lost = trio.Event()

    def hear(envelope: Envelope | None, payload: bytes) -> None:
        if (request := find_request(envelope, payload)) is not None:
            nursery.start_soon(hear_request, child, request)

    async def live(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        try:
            await control.run(task_status)
        finally:
            lost.set()

    stream = await open_stream(socket)
    peer = peer_credentials(stream.socket)
    control = Endpoint(stream, WebSocketClientFraming(ANY_SIZE), hear)
    child = Child(socket, peer.pid if peer is not None else 0, control, lost)
    try:
        await start_connection(nursery, live)
        child = await _look_at(child)
    except AgentUnavailable as error:
        control.end("was left")
        if isinstance(error, AgentSilent):  # one that is stopped would have the threads that it has for ever
            signal_session(child.pid, signal.SIGKILL)
        raise
    return child


async def _look_at(child: Child) -> Child:
    """Introduce ourselves, and see whether the child is one that may be used. Raises AgentUnavailable."""
    said = await introduce(child.control, {"clientInfo": _CLIENT_INFO, "capabilities": {"experimentalApi": True}})
    version = require_version(said.get("userAgent", ""), child.socket)
    config = await child.ask("config/read", {"includeLayers": False})
    if config.get("config", {}).get("cli_auth_credentials_store") != "ephemeral":
        raise AgentUnavailable(f"Codex {version} does not keep its login in memory alone, as it was told to")
    await child.require_lasting()
    account = await child.ask("getAuthStatus", {"includeToken": False})  # unlike account/read it asks no backend
    return msgspec.structs.replace(
        child,
        version=version,
        home=said.get("codexHome", ""),
        requires_openai_auth=account.get("requiresOpenaiAuth") is not False,
    )


async def open_stream(socket: str) -> trio.SocketStream:
    """Connect to a child. Raises AgentUnavailable."""
    try:
        return await trio.open_unix_socket(socket)
    except OSError as error:
        raise AgentUnavailable(f"the Codex agent does not take connections: {describe_os_error(error)}") from error


async def start_connection(nursery: trio.Nursery, live: Callable[..., Awaitable[object]], *args: object) -> None:
    """Start a connection's task, and wait until the agent has taken it. Raises AgentUnavailable.

    The system takes it for an agent that is stopped, which never does.
    """
    try:
        with trio.fail_after(_ANSWER_TIMEOUT):
            await nursery.start(live, *args)
    except ConnectionEnded as error:
        raise AgentUnavailable(f"the Codex agent {error}") from error
    except trio.TooSlowError:
        raise AgentSilent(f"the Codex agent took no connection in {_ANSWER_TIMEOUT:.0f} seconds") from None


async def introduce(connection: Endpoint, introduction: Mapping[str, object]) -> Any:
    """Say who we are on a connection, or who the client is, and give the answer. Raises AgentUnavailable."""
    said = await _ask(connection, "initialize", introduction)
    connection.send(INITIALIZED)
    return said


async def _ask(connection: Endpoint, method: str, params: Mapping[str, object]) -> Any:
    try:
        with trio.fail_after(_ANSWER_TIMEOUT):
            return msgspec.json.decode(await connection.request(method, params), type=dict[str, Any])
    except (PeerError, ConnectionEnded) as error:
        raise AgentUnavailable(f"the Codex agent did not take {method}: {error}") from error
    except trio.TooSlowError:
        raise AgentSilent(f"the Codex agent did not answer {method} in {_ANSWER_TIMEOUT:.0f} seconds") from None
