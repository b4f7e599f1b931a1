"""Which modules are tried and with which tests, what of them is listed, and what is said of each group."""

from __future__ import annotations

import random
import shutil
import tomllib
from typing import NamedTuple

from mutants.edits import HERE, Module
from mutants.trial import Trouble, try_edits


class Group(NamedTuple):
    """Modules whose edits the same tests have to notice, and the programs that these need."""

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    needs: tuple[str, ...]


class Wanted(NamedTuple):
    """Which edits are tried: those that have a word, and of these a sample, in percent."""

    word: str
    sample: float
    seed: int

    def has(self, file: str, edit: str) -> bool:
        """Return True if this edit is tried, which is the same in each run."""
        name = f"{file} {edit}"
        return self.word in name and random.Random(f"{self.seed} {name}").uniform(0, 100) < self.sample


class Verdict(NamedTuple):
    """What became of a group's edits: how many were tried, and what is not as it should be."""

    tried: int
    complaints: tuple[str, ...]


def load_groups() -> list[Group]:
    """Read them all."""
    return [
        Group(name, tuple(each["modules"].split()), tuple(each["tests"].split()), tuple(each.get("needs", ())))
        for name, each in tomllib.loads((HERE / "modules.toml").read_text()).items()
    ]


def load_survivors() -> dict[str, dict[str, str]]:
    """Read which edits nobody has to notice: by file and name, why. `FUNCTION: *` is all of a function."""
    survivors: dict[str, dict[str, str]] = tomllib.loads((HERE / "survivors.toml").read_text())
    return survivors


def try_group(group: Group, wanted: Wanted) -> Verdict:
    """Try those edits of a group that are wanted. It takes the process that it is called in."""
    modules = [Module(file) for file in group.modules]
    edits = [(module, edit) for module in modules for edit in module.edits() if wanted.has(module.file, edit.name)]
    if not edits:
        return Verdict(0, ())
    missing = [program for program in group.needs if shutil.which(program) is None]
    if missing:
        return Verdict(0, (f"not tried: there is no {missing[0]} here",))
    try:
        noticed = try_edits(edits, [f"tests/{name}" for name in group.tests])
    except Trouble as trouble:
        return Verdict(0, (str(trouble),))
    complaints = []
    for (module, edit), is_noticed in zip(edits, noticed, strict=True):
        listed = load_survivors().get(module.file, {})
        if is_noticed and edit.name in listed:
            complaints.append(f"listed, but noticed: {module.file} {edit.name}")
        elif not is_noticed and edit.name not in listed and f"{edit.function}: *" not in listed:
            complaints.append(f"SURVIVED: {module.file} {edit.name}")
    return Verdict(len(edits), tuple(complaints))
