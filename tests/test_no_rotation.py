"""Nothing chooses an account: no verb, method, member or option is for it, and a switch wants a name."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

import msgspec

from accountd.cli import VERBS, build_parser, exits, main
from accountd.protocol.accounts import SwitchAccountParams
from accountd.protocol.methods import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterator

CHOOSING = re.compile(
    r"next|previous|rotat|auto(?!rize)|balanc|cycl|robin|least|most|best|spread|fall.?back|fail.?over|toggle|prefer",
    re.IGNORECASE,
)


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Give the options of a parser, and the actions of its verbs with theirs."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield name
                yield from options(below)


def test_nothing_is_named_like_a_choice() -> None:
    """Neither in the table of methods, with what they take, nor in the parser."""
    taken = {kind for method in METHODS.values() for kind in (method.params, method.besides) if kind is not None}
    structs = [kind for kind in taken if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
    members = [field.encode_name for kind in structs for field in msgspec.structs.fields(kind)]
    names = [*METHODS, *members, *options(build_parser())]
    assert {"accountd/accounts/switch", "ifRevision", "switch", "rename", "--account", "--keep-active"} <= {*names}
    assert [name for name in names if CHOOSING.search(name)] == []


def test_a_switch_wants_a_name() -> None:
    """So that two accounts do not toggle."""
    fields = {field.name: field for field in msgspec.structs.fields(SwitchAccountParams)}
    assert fields["account"].required
    assert fields["account"].type is str
    assert "switch" in VERBS
    assert main(["switch"]) == exits.USAGE
