"""The two ports that a browser may come back to: free, or whose."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import trio

from accountd.doctor.findings import fail, ok, warn
from accountd.oauth.callback import PORTS
from accountd.system.port_holder import describe_holder

if TYPE_CHECKING:
    from accountd.doctor.findings import Finding
    from accountd.doctor.surroundings import Surroundings


async def check_ports(surroundings: Surroundings, ports: tuple[int, ...] = PORTS) -> Finding:
    """Listen on each for a moment. A login of ours that waits there is as it should be."""
    daemon = await surroundings.daemon()
    holders = {port: await describe_holder(port) for port in ports if not await _is_free(port)}
    ours = {port for port, holder in holders.items() if daemon.pid and holder.endswith(f"(pid {daemon.pid})")}
    taken = {port: holder for port, holder in holders.items() if port not in ours}
    details = {str(port): holders.get(port, "free") for port in ports}
    if not taken:
        if ours:
            return ok("a browser login of this daemon waits; the other port is free", **details)
        return ok(f"{' and '.join(map(str, ports))} are free", **details)
    told = "; ".join(f"{port} is taken by {holder}" for port, holder in taken.items())
    remedy = "stop that program, or log in with a code, `accountd login`, which needs no port"
    if len(taken) == len(ports):
        return fail(f"no browser login is possible: {told}", remedy, **details)
    return warn(f"{told}; a browser login takes the other port", remedy, **details)


async def _is_free(port: int) -> bool:
    try:
        [listener] = await trio.open_tcp_listeners(port, host="127.0.0.1")
    except OSError as error:
        return error.errno != errno.EADDRINUSE
    await listener.aclose()
    return True
