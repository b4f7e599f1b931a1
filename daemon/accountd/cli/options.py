"""The options that verbs which use the daemon have in common; `connecting` and `selecting` say what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_socket_option(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Return a verb the option that says at which socket the daemon is, and give the group that it is in."""
    group = parser.add_argument_group("daemon")
    group.add_argument(
        "--socket",
        metavar="PATH",
        help="the daemon's Unix socket, also as unix://PATH (default: $ACCOUNTD_SOCKET, else the usual place)",
    )
    return group


def add_client_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Give a verb the options that say which daemon it means, and return the group that they are in."""
    group = add_socket_option(parser)
    group.add_argument(
        "--no-start", action="store_true", help="do not start a daemon if none is running; exit with 5 instead"
    )
    return group


def add_account_option(parser: argparse._ActionsContainer, *, by_folder: bool = True) -> None:
    """Give a verb the option that says which account it means."""
    folder = "that of the nearest pinned folder, else " if by_folder else ""
    parser.add_argument(
        "--account",
        metavar="NAME",
        help="which account: by its alias, its id, its email or email/workspace (default: $ACCOUNTD_ACCOUNT, "
        f"else {folder}the active one)",
    )
