"""How much memory the daemon takes, and what it gives back; in a process of its own, whose limit it is."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from accountd.system.memory import OWN, PER_CLIENT

pytestmark = pytest.mark.process

NONE = resource.RLIM_INFINITY
_BOUND = """
import resource, sys
from accountd.system.memory import bound_memory
resource.setrlimit(resource.RLIMIT_DATA, tuple(map(int, sys.argv[1:])))
bound_memory(10, 1 << 20)
print(*resource.getrlimit(resource.RLIMIT_DATA))
"""
_RELEASE = """
from accountd.system.memory import release_memory
def resident():
    status = open("/proc/self/status").read()
    return int(status.partition("VmRSS:")[2].split()[0]) >> 10
class Thing:
    def __init__(self):
        self.itself, self.text = self, bytes(60_000)
before = resident()
things = [Thing() for _ in range(1000)]
pins = [bytes(600) for _ in range(1000)]
during = resident()
del things
release_memory()
print(during - before, resident() - before)
"""


def run(program: str, *arguments: int) -> list[int]:
    """Run a program, and give the numbers that it prints."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return [int(word) for word in subprocess.run(command, capture_output=True, check=True).stdout.split()]


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [(NONE, NONE, OWN + 10 * PER_CLIENT + (2 << 20)), (1 << 29, NONE, 1 << 29), (1 << 29, 1 << 30, 1 << 29)],
    ids=["none", "a lower one", "a hard one"],
)
def test_the_limit_is_what_clients_may_need(soft: int, hard: int, expected: int) -> None:
    """And never more than it was."""
    assert run(_BOUND, soft, hard) == [expected, hard]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc, and the memory of glibc, are Linux's")
def test_what_is_free_is_given_back() -> None:
    """Also of what refers to itself in a circle, and lies between what is still in use."""
    during, after = run(_RELEASE)
    assert during > 30
    assert after < 10
