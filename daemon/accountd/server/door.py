"""What a way in permits to those who come by it: one value that the accept loop and all its connections share.

There are two. By the main one come the programs of the person, which are trusted; by the token socket come guests,
with quotas of their own, so that whatever they do the others have their places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from accountd.framing.base import PORTION
from accountd.protocol.methods import TOKEN_METHODS, TOKEN_NOTIFICATIONS
from accountd.server.guests import RECEIVE_SIZE as GUEST_RECEIVE_SIZE
from accountd.server.guests import Guest
from accountd.server.overload import Load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from accountd.config.limits import Limits
    from accountd.server.guests import Guests


class Door:
    """A way in. `limits` are those of its clients; `room` is for how many of them there are descriptors.

    So many have `places`, and `taken` counts those who have one; `turned_away` are being told that there is none.
    `methods` and `notifications` name what they have, None for all; `guests` is None where they are trusted.
    """

    def __init__(
        self,
        name: Literal["main", "token"],
        limits: Limits,
        room: int | None = None,
        *,
        methods: frozenset[str] | None = None,
        notifications: frozenset[str] | None = None,
        guests: Guests | None = None,
    ) -> None:
        self.name = name
        self.limits = limits
        self.load = Load(limits)
        self.places = limits.connections if room is None else min(room, limits.connections)
        self.taken = 0
        self.turned_away = 0
        self.was_full = False
        self.methods = methods
        self.notifications = notifications
        self.guests = guests
        self.receive_size = PORTION if guests is None else GUEST_RECEIVE_SIZE

    @property
    def has_place(self) -> bool:
        """Whether there is a place for one more."""
        return self.taken < self.places

    def enter(self) -> None:
        """Take a place."""
        self._count(1)

    def leave(self) -> None:
        """Give a place back."""
        self._count(-1)
        if self.taken < self.places * 7 // 8:
            self.was_full = False

    def _count(self, step: int) -> None:
        self.taken += step
        if self.guests is not None:
            self.guests.counters.connections += step

    @property
    def fields(self) -> Mapping[str, object]:
        """What logs and the audit log say of where somebody came in: that it is not the main door."""
        return {} if self.guests is None else {"door": self.name}

    def welcome(self) -> Guest | None:
        """Give what a new connection may do, None for all."""
        return None if self.guests is None else Guest(self.guests)


def make_token_door(limits: Limits, guests: Guests, room: int | None = None) -> Door:
    """Make the door of the token socket."""
    return Door(
        "token",
        limits.of_guests(),
        room,
        methods=TOKEN_METHODS,
        notifications=TOKEN_NOTIFICATIONS,
        guests=guests,
    )


def share_room(room: int, clients: int, guests: int) -> tuple[int, int]:
    """Divide the descriptors: for all clients and all guests, or where they are short, an eighth for guests."""
    if room < clients + guests:
        guests = min(guests, room // 8)
        clients = room - guests
    return clients, guests
