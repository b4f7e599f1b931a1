"""All scenarios, by name: each module enters its own as it is imported."""

from compat.scenarios import (
    SCENARIOS,
    api_key,
    browser,
    connections,
    device_code,
    external,
    sessions,
    starts,
    stored,
)

__all__ = (
    "SCENARIOS",
    "api_key",
    "browser",
    "connections",
    "device_code",
    "external",
    "sessions",
    "starts",
    "stored",
)
