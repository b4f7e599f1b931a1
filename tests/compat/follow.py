"""Measures a release of the stock app-server, and lists the work of following it: `make follow PEER=0.171.0`.

It is fetched, and its account protocol compared with that of the newest release followed so far: the schema member
by member, and what each scenario shows. Each is recorded twice, and kept if it was the same both times. Then ours
is run against the records: what differs is the work.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from accountd.codex.version import CODEX_VERSION
from accountd.protocol.methods import METHODS
from compat import peers, records
from compat.issuer import serve_issuer
from compat.running import OURS, run_scenario, stock
from compat.scenarios.all import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compat.issuer import Served

SDK = "openai-codex"
SDK_PIN = Path(__file__).parents[1] / "stock_clients" / "requirements.txt"

ACCOUNT = re.compile(r"account(Session)?/|configRequirements/|modelProvider/|getAuthStatus|initialize$")
"""The methods that are about accounts, of those that a release has."""


def main() -> int:
    """Follow a release; give the exit status, which is 1 where ours differs from it."""
    version = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1] else peers.newest_version()
    followed = [each for each in records.versions() if each != version]
    before = followed[-1] if followed else None
    print(f"codex {version}; ours claims {CODEX_VERSION}")
    _tell_of_sdk()
    codex = peers.fetch(version)
    if before is not None:
        _compare_schemas(before, version)
    with tempfile.TemporaryDirectory() as folder, serve_issuer(Path(folder)) as served:
        _record(codex, version, served)
        if before is not None:
            _compare_records(before, version)
        return _list_work(version, served)


def _heading(text: str) -> None:
    print(f"\n== {text}", flush=True)


def _list(heading: str, lines: Iterable[object]) -> None:
    print(f"  {heading}", *(f"    {line}" for line in lines), sep="\n")


def _tell_of_sdk() -> None:
    """Say whether the official SDK has moved since it was pinned."""
    pinned = re.search(rf"^{SDK}==(\S+)", SDK_PIN.read_text(), re.MULTILINE)
    command = [sys.executable, "-m", "pip", "index", "versions", SDK, "--disable-pip-version-check"]
    found = re.search(r"\(([^)]+)\)", subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    newest = found[1] if found else "out of reach"
    print(f"{SDK}: {pinned[1] if pinned else 'not pinned'} is pinned, the newest is {newest}")


def _compare_schemas(before: str, version: str) -> None:
    with tempfile.TemporaryDirectory() as old_folder, tempfile.TemporaryDirectory() as new_folder:
        old = peers.Peer(peers.fetch(before), Path(old_folder))
        new = peers.Peer(peers.fetch(version), Path(new_folder))
        _heading(f"methods: {len(old.methods)} in {before}, {len(new.methods)} in {version}")
        for sign, names in (
            ("+", set(new.methods) - set(old.methods)),
            ("-", set(old.methods) - set(new.methods)),
        ):
            for name in sorted(names):
                print(f"  {sign} {name}{'   (about accounts)' if ACCOUNT.match(name) else ''}")
        for envelope in ("ServerNotification", "ServerRequest"):
            changes = _sets(old.envelope(envelope), new.envelope(envelope))
            print("\n".join(f"  {change}   ({envelope})" for change in changes) or f"  none ({envelope})")
        types = _account_types(new)
        _heading("the account part of the schema, member by member")
        print("\n".join(_mappings(old.members(types), new.members(types))) or "  nothing has changed")


def _account_types(peer: peers.Peer) -> set[str]:
    """Name the types that the methods about accounts are made of; of results, those that our table has."""
    types = {getattr(method.result, "__name__", "") for method in METHODS.values()} | {"LoginAccountResponse"}
    for envelope in ("ClientRequest", "ServerNotification", "ServerRequest"):
        for method, message in peer.envelope(envelope).items():
            if ACCOUNT.match(method) or method in METHODS:
                types.add(message["properties"].get("params", {}).get("$ref", "").rpartition("/")[2])
    return types


def _sets(old: Iterable[str], new: Iterable[str]) -> list[str]:
    return [f"+ {name}" for name in sorted({*new} - {*old})] + [f"- {name}" for name in sorted({*old} - {*new})]


def _mappings(old: Mapping[str, str], new: Mapping[str, str]) -> Iterable[str]:
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield f"  + {name}: {new[name]}"
        elif name not in new:
            yield f"  - {name}: {old[name]}"
        elif old[name] != new[name]:
            yield f"  ~ {name}: {old[name]}\n    now {new[name]}"


def _record(codex: Path, version: str, served: Served) -> None:
    """Record every scenario twice, and keep what was the same both times."""
    _heading(f"{len(SCENARIOS)} scenarios of {version}, twice each")
    unsteady = 0
    for name, scenario in SCENARIOS.items():
        first, second = (run_scenario(scenario, stock(codex), "ws", served) for _ in range(2))
        if differing := [*records.compare(first, second)]:
            unsteady += 1
            _list(f"{name} is not twice the same, and not kept", differing)
        else:
            records.save(records.RECORDS / version, name, first)
    print(f"  {len(SCENARIOS) - unsteady} kept")


def _compare_records(before: str, version: str) -> None:
    _heading(f"what {version} shows otherwise than {before}")
    old, new = records.RECORDS / before, records.RECORDS / version
    for name in SCENARIOS:
        try:
            differing = [*records.compare(records.load(old, name), records.load(new, name))]
        except FileNotFoundError as error:
            print(f"  {name}: there is no {error.filename}")
            continue
        if differing:
            _list(name, differing)


def _list_work(version: str, served: Served) -> int:
    """Run ours against the records of a release, and say what differs, but for what does so on purpose."""
    _heading(f"what ours shows otherwise than {version}: the work")
    differs, on_purpose = 0, records.reasons()
    for name, scenario in SCENARIOS.items():
        try:
            wanted = records.load(records.OURS if name in on_purpose else records.RECORDS / version, name)
        except FileNotFoundError:
            continue  # it was told of as not kept
        differing = [*records.compare(wanted, run_scenario(scenario, OURS, "ws", served))]
        if differing:
            differs += 1
            _list(name, differing)
    print(f"  {differs} of {len(SCENARIOS)} scenarios differ; {len(on_purpose)} do so on purpose")
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())
