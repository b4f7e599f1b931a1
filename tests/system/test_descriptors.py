"""Open files: how far the limit is raised, and how many clients that is enough for. In processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

_PROGRAM = """\
import resource, sys
from accountd.system.descriptors import make_room
soft, hard, clients = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(make_room(clients), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "clients", "expected"),
    [
        (100, 500, 200, "200 328 500"),  # raised as far as it is needed
        (400, 500, 200, "200 400 500"),  # never lowered
        (100, 200, 4096, "72 200 200"),  # as far as it may be, and then there are fewer clients
        (40, 40, 4096, "1 40 40"),  # and at last one
    ],
)
def test_the_limit_is_raised_as_far_as_clients_need_it(soft: int, hard: int, clients: int, expected: str) -> None:
    """128 are kept back, for what the daemon does itself."""
    command = [sys.executable, "-c", _PROGRAM, str(soft), str(hard), str(clients)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == expected
