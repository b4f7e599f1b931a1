"""Bundles of requirements, as a backend has them, and what a client is told of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from accountd.errors import RequirementsUnavailable
from accountd.requirements.layers import NO_REQUIREMENTS, Machine, parse_bundle
from accountd.requirements.rendering import render_response

if TYPE_CHECKING:
    from accountd.requirements.layers import Layer

MACHINE = Machine(Path("/codex"), Path("/home/me"), "Build-7")
BOTH = {"allowedLoginMethods": ["api", "chatgpt"]}


def bundle(*fragments: str, config: tuple[str, ...] = ()) -> bytes:
    """Make a bundle of fragments of requirements, and of configuration."""

    def managed(texts: tuple[str, ...]) -> dict[str, Any]:
        return {"enterprise_managed": [{"id": f"r{i}", "name": "Org", "contents": t} for i, t in enumerate(texts)]}

    return json.dumps({"config_toml": managed(config), "requirements_toml": managed(fragments)}).encode()


async def parse_here(body: bytes, machine: Machine, system: Layer) -> Layer:
    """Parse a bundle at once, for tests whose clock jumps while a thread is waited for."""
    return parse_bundle(body, machine, system)


def told(*fragments: str) -> dict[str, Any] | None:
    """Give what a client is told of a bundle, without the nulls of the top level."""
    values = parse_bundle(bundle(*fragments), MACHINE, NO_REQUIREMENTS).values
    requirements = json.loads(msgspec.json.encode(render_response(values, ("api", "chatgpt"))))["requirements"]
    return requirements and {key: value for key, value in requirements.items() if value is not None}


def failure(body: bytes) -> RequirementsUnavailable:
    """Give the failure of a bundle that cannot be used."""
    with pytest.raises(RequirementsUnavailable) as caught:
        parse_bundle(body, MACHINE, NO_REQUIREMENTS)
    return caught.value
