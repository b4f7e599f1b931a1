"""What all clients together may have kept: who gets how much of it, and that all of it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.config.limits import Limits
from accountd.server.overload import SMALL, Allowance, Load, Share

POT = Limits().kept_bytes


@pytest.mark.parametrize("clients", [1, 8, 4096])
def test_a_crowd_of_any_size_leaves_something(clients: int) -> None:
    """Those who take all that they can have get alike, once they are full; the same is left for one more."""
    load = Load(Limits())
    crowd = [Share(load) for _ in range(clients)]
    allowances = [Allowance(share) for share in crowd]
    step = POT // (clients + 1) // 64
    grown = 1
    while grown:
        grown = sum(allowance.grow(allowance.size + step) for allowance in allowances)
    fair = POT / (clients + 1)
    assert all(allowance.size - SMALL == pytest.approx(fair, rel=0.05) for allowance in allowances)
    assert load.spare == pytest.approx(fair, rel=1)
    for share in crowd:
        share.close()
    assert load.spare == POT


@pytest.mark.parametrize("clients", [1, 8, 100])
def test_requests_of_a_crowd_leave_room_for_one_more(clients: int) -> None:
    """As bytes do: those who have as many wait as they can leave as many for one that comes after them."""
    load = Load(Limits(requests=1024, requests_per_connection=1024))
    own = dict.fromkeys([Share(load) for _ in range(clients)], 0)
    while not all(share.is_too_much(number, 100) for share, number in own.items()):
        for share in own:
            if not share.is_too_much(own[share], 100):
                share.begin(100)
                own[share] += 1
    assert all(number == pytest.approx(1024 / (clients + 1), abs=1) for number in own.values())
    assert not Share(load).is_too_much(0, 100)


def test_what_is_small_needs_nobodys_leave() -> None:
    """A client that comes when others have taken all there is has what honest messages need."""
    load = Load(Limits())
    load.spare = 0
    share = Share(load)
    assert Allowance(share).size == SMALL
    assert not Allowance(share).grow(SMALL + 1)
    assert not share.is_too_much(0, SMALL)
    assert share.is_too_much(0, SMALL + 1)


def test_a_request_is_charged_for_what_it_may_become() -> None:
    """Four times its bytes, from when it begins to wait until it has ended; small ones by their number."""
    load = Load(Limits())
    share = Share(load)
    for size, weight in ((SMALL, 0), (1 << 20, 4 << 20)):
        share.begin(size)
        assert (load.requests, POT - load.spare) == (1, weight)
        share.end(size)
        assert (load.requests, load.spare) == (0, POT)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, POT)), max_size=40))
def test_nothing_is_lost_or_made(steps: list[tuple[int, int]]) -> None:
    """However allowances grow and shrink, all of it is the pot, and what is refused changes nothing."""
    load = Load(Limits())
    shares = [Share(load) for _ in range(2)]
    allowances = [Allowance(share) for share in shares for _ in range(2)]
    for number, size in steps:
        allowance = allowances[number]
        before = allowance.size
        if size < before:
            allowance.resize(size)
        elif not allowance.grow(size):
            assert allowance.size == before
        assert load.spare + sum(one.size - SMALL for one in allowances) == POT
        assert load.spare >= 0
    for share in shares:
        share.close()
    assert load.spare == POT
