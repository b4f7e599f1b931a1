"""A daemon that goes other ways to the network than this shell would, or is of another version: told, or replaced.

A daemon has the environment of whoever needed one first. A person whose login fails for want of a proxy names it,
and tries again; the daemon of the first try would fail for ever. So a verb that is about to log in or out, and one
that has failed over the network, compares the two. One that a client started, and that nobody would miss, is
replaced, once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from accountd import __version__
from accountd.cli.connecting import connect, connect_again
from accountd.cli.ending import Status, end_daemon, find_hindrance, read_status
from accountd.cli.terminal import complain
from accountd.client.errors import ClientError
from accountd.client.faults import ON_THE_WAY
from accountd.config.network import join_network
from accountd.web.environment import describe_environment, find_differences

if TYPE_CHECKING:
    import argparse

    from accountd.cli.exits import Failure
    from accountd.client.blocking import Client


def find_differing(status: Status) -> list[str]:
    """Name the variables that the daemon has otherwise than this environment; none for one that does not tell."""
    there = status.get("environment")
    if not isinstance(there, dict):
        return []
    return find_differences(describe_here(), there)


def describe_here() -> dict[str, str]:
    """Describe the variables of this environment that bear on the network, as a daemon describes its own."""
    return describe_environment(join_network(os.environ))


def connect_for_network(args: argparse.Namespace) -> tuple[Client, Status]:
    """Connect as `connect` does, to a daemon that goes the ways of this environment, if it can be had.

    Gives what it says of itself as well.
    """
    client = connect(args)
    status = read_status(client)
    difference = _describe_difference(status)
    if difference is None:
        return client, status
    if hindrance := _find_hindrance(args, status):
        complain(f"warning: {difference}; {hindrance}")
        return client, status
    client.close()
    complain(f"{difference}: another one takes its place")
    end_daemon(client.path, status)
    client = connect(args)
    return client, read_status(client)


def explain_failure(args: argparse.Namespace, failure: Failure, reason: str) -> str | None:
    """Add to the words of a failure how the daemon differs, where that may be why; None if it has been replaced.

    Another version may do better at anything; another environment at what goes over the network.
    """
    words = str(failure)
    try:
        with connect_again(args) as client:
            status = read_status(client)
    except ClientError:
        return words
    difference = _describe_difference(status, network=reason in ON_THE_WAY)
    if difference is None:
        return words
    if hindrance := _find_hindrance(args, status):
        return f"{words.rstrip('.')}; {difference}; {hindrance}"
    complain(f"{words.rstrip('.')}; {difference}: another one takes its place")
    end_daemon(client.path, status)
    return None


def _find_hindrance(args: argparse.Namespace, status: Status) -> str | None:
    if args.no_start:
        return "with --no-start none is put in its place"
    return find_hindrance(status)


def _describe_difference(status: Status, *, network: bool = True) -> str | None:
    version = status.get("version", __version__)
    if version != __version__:
        return f"the daemon is accountd {version}, and this is {__version__}"
    differing = find_differing(status) if network else []
    return f"the daemon was started with another {' and '.join(differing)}" if differing else None
