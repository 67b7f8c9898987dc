"""Derive the source row of each leg from the seats of all legs.

The routing is derived again from all seats after each change, so there is nothing to undo. A leg that hears one other
leg gets the row of that leg; only a leg that hears several gets a mix. All of it is arrays, so that a conference of 250
costs what one of 10 costs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from holdfast.voice.media.codec.g711 import ALAW, ULAW
from holdfast.voice.media.frames import Layout, Mask, Numbers

NO_ROOM = -1
EVERY_LISTENER = -1
OWN_AUDIO = -1
NO_ROW = -2
"""In place of a row that is not open: it is heard by no leg, and says nothing."""


class Seats:
    """Seats hold the place of each leg by row. A leg without a room hears its own player.

    Shape: one value per row. `room` is the number of a room, 0 or more.
    """

    def __init__(self, rows: int) -> None:
        self.in_use: Mask = np.zeros(rows, dtype=np.bool_)
        self.sending: Mask = np.ones(rows, dtype=np.bool_)
        """Whether the leg is sent anything."""
        self.room: Numbers = np.full(rows, NO_ROOM, dtype=np.intp)
        self.held: Mask = np.zeros(rows, dtype=np.bool_)
        self.heard: Mask = np.zeros(rows, dtype=np.bool_)
        """Whether the leg is heard in its room."""
        self.listens: Mask = np.zeros(rows, dtype=np.bool_)
        """Whether the leg hears its room, and not its own player."""
        self.coached: Numbers = np.full(rows, EVERY_LISTENER, dtype=np.intp)
        """The only row that hears the leg, or every listener of its room."""
        self.rings: Mask = np.zeros(rows, dtype=np.bool_)
        """Whether others hear the leg's player in its place, and it hears nothing."""
        self.instead: Numbers = np.full(rows, OWN_AUDIO, dtype=np.intp)
        """The row that the leg hears in place of its room and its player, if any."""

    def open(self, row: int) -> None:
        """Open a row: it has no room, and hears its own player."""
        self.leave(row)
        self.in_use[row] = self.sending[row] = True

    def close(self, row: int) -> None:
        """Close a row: no leg hears it, whatever leg has the row next."""
        self.leave(row)
        self.in_use[row] = False
        self.coached[self.coached == row] = NO_ROW
        self.instead[self.instead == row] = NO_ROW

    def leave(self, row: int) -> None:
        """Take a leg out of its room: it hears its own player."""
        self.room[row] = NO_ROOM
        self.held[row] = self.heard[row] = self.listens[row] = self.rings[row] = False
        self.coached[row], self.instead[row] = EVERY_LISTENER, OWN_AUDIO

    def plays_own(self, row: int) -> bool:
        """Return whether a leg hears its own player."""
        return self.instead[row] == OWN_AUDIO and not (self.room[row] != NO_ROOM and self.listens[row])

    def heard_in(self, room: int) -> Numbers:
        """Return the rows that every listener of a room hears. Shape: `[k]`, sorted."""
        return np.flatnonzero(self.in_use & self.heard & (self.room == room) & (self.coached == EVERY_LISTENER))

    def unheld_in(self, room: int) -> Numbers:
        """Return the rows of a room that are not on hold. Shape: `[k]`, sorted."""
        return np.flatnonzero(self.in_use & ~self.held & (self.room == room))


@dataclass(frozen=True, slots=True, kw_only=True)
class MixBucket:
    """A mix bucket is a run of groups of one size, side by side.

    Shape: members `first` … `first + groups * size` of the plan.
    """

    first: int
    groups: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MixPlan:
    """A mix plan says which rows are added up for which listeners.

    Shape: `members` are rows, group after group. Listener k hears the sum of group `group_of_listener[k]` less the
    member at `self_of_listener[k]`; that index is `len(members)`, a silent member, for a listener that is not in its
    group. The first `ulaw_listeners` listeners get µ-law, the others A-law.
    """

    members: Numbers
    alaw_members: Numbers
    buckets: tuple[MixBucket, ...]
    group_of_listener: Numbers
    self_of_listener: Numbers
    ulaw_listeners: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """A routing says what each leg is sent.

    Shape: `source[row]` is a row of the frames matrix, dtype intp; for `player_rows` the player gives the row instead.
    What the players of `ringing_rows` play takes the place of what their parties say.
    `transcoded[companding]` are the rows with that companding whose source has the other one.
    """

    source: Numbers
    player_rows: Numbers
    ringing_rows: Numbers
    transcoded: tuple[Numbers, Numbers]
    mix: MixPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class _Talkers:
    """The legs that are heard: by every listener of their room (`everywhere`), or as a coach by one row.

    Shape: `rooms[row]`, `talks[row]` (the first kind); `number[room]` counts those. The coach at row `coaches[k]` is
    heard by row `pupils[k]`.
    """

    rooms: Numbers
    talks: Mask
    everywhere: Numbers
    number: Numbers
    coaches: Numbers
    pupils: Numbers


def derive(seats: Seats, *, companding: Numbers, layout: Layout, rows: int) -> Routing:
    """Derive the routing of the first `rows` rows. Shape: `companding[row]`.

    A row that is not in use is silent, and so is one that hears only such rows. Rows that are sent nothing are silent.
    """
    companding, in_use = companding[:rows], seats.in_use[:rows]
    receives, instead, rings = in_use & seats.sending[:rows], seats.instead[:rows], seats.rings[:rows]
    listens = receives & seats.listens[:rows] & (seats.room[:rows] != NO_ROOM) & (instead == OWN_AUDIO)
    source: Numbers = layout.silence(ULAW) + companding
    overhearing = np.flatnonzero(receives & (instead >= 0))
    overhearing = overhearing[in_use[instead[overhearing]]]
    source[overhearing] = instead[overhearing]
    talkers, listeners = _talkers(seats, in_use), np.flatnonzero(listens)
    heard, single = _number_heard(talkers, listeners)
    source[listeners[heard == 1]] = single[heard == 1]
    mixed = listeners[heard > 1]
    mixed = mixed[np.argsort(companding[mixed], kind="stable")]
    source[mixed] = layout.mixes + np.arange(len(mixed))
    unmixed = np.flatnonzero(source < layout.mixes)
    transcoded = unmixed[companding[source[unmixed]] != companding[unmixed]]
    return Routing(
        source=source,
        player_rows=np.flatnonzero(receives & ~listens & ~rings & (instead == OWN_AUDIO)),
        ringing_rows=np.flatnonzero(in_use & rings),
        transcoded=(transcoded[companding[transcoded] == ULAW], transcoded[companding[transcoded] == ALAW]),
        mix=_plan(mixed, talkers, companding),
    )


def _talkers(seats: Seats, in_use: Mask) -> _Talkers:
    rows = len(in_use)
    rooms, coached = seats.room[:rows], seats.coached[:rows]
    heard = in_use & seats.heard[:rows] & (rooms != NO_ROOM)
    talks = heard & (coached == EVERY_LISTENER)
    everywhere = np.flatnonzero(talks)
    coaches = np.flatnonzero(heard & (coached >= 0) & (coached != np.arange(rows)))
    coaches = coaches[rooms[coached[coaches]] == rooms[coaches]]
    return _Talkers(
        rooms=rooms,
        talks=talks,
        everywhere=everywhere,
        number=np.bincount(rooms[everywhere], minlength=int(rooms.max(initial=0)) + 1),
        coaches=coaches,
        pupils=coached[coaches],
    )


def _number_heard(talkers: _Talkers, listeners: Numbers) -> tuple[Numbers, Numbers]:
    """Return how many legs each listener hears, and the row of the leg where it is one."""
    rooms, rows, talks = talkers.rooms[listeners], len(talkers.rooms), talkers.talks[listeners]
    sums = _sums(talkers.rooms[talkers.everywhere], talkers.everywhere, len(talkers.number))
    number, single = talkers.number[rooms] - talks, sums[rooms] - listeners * talks
    if talkers.coaches.size:
        number += np.bincount(talkers.pupils, minlength=rows)[listeners]
        single += _sums(talkers.pupils, talkers.coaches, rows)[listeners]
    return number, single


def _sums(places: Numbers, values: Numbers, size: int) -> Numbers:
    """Return the sum of the values at each place: where there is one value, that value."""
    return np.bincount(places, weights=values, minlength=size).astype(np.intp)


def _plan(listeners: Numbers, talkers: _Talkers, companding: Numbers) -> MixPlan:
    """Plan one group for each room that is mixed, and one more for each of its listeners that has a coach.

    Listeners of a room share its sum, each less its own audio.
    """
    rooms, number = talkers.rooms, talkers.number
    has_coach = np.zeros(len(rooms), dtype=np.bool_)
    has_coach[talkers.pupils] = True
    plain = ~has_coach[listeners]
    is_mixed = np.zeros(len(number), dtype=np.bool_)
    is_mixed[rooms[listeners[plain]]] = True
    mixed_rooms = np.flatnonzero(is_mixed)
    mixed_rooms = mixed_rooms[np.argsort(number[mixed_rooms], kind="stable")]
    members = talkers.everywhere[is_mixed[rooms[talkers.everywhere]]]
    members = members[np.lexsort((rooms[members], number[rooms[members]]))]
    group_of_room, place = np.zeros(len(number), dtype=np.intp), np.full(len(rooms), -1, dtype=np.intp)
    group_of_room[mixed_rooms], place[members] = np.arange(len(mixed_rooms)), np.arange(len(members))
    group_of_listener = np.where(plain, group_of_room[rooms[listeners]], 0)
    self_of_listener = np.where(plain, place[listeners], -1)
    buckets = list(_buckets(number[mixed_rooms]))
    for extra, listener in enumerate(listeners[~plain].tolist()):
        group = _coached_group(listener, talkers)
        buckets.append(MixBucket(first=len(members), groups=1, size=len(group)))
        members = np.concatenate((members, group))
        group_of_listener[listeners == listener] = len(mixed_rooms) + extra
    self_of_listener[self_of_listener < 0] = len(members)
    return MixPlan(
        members=members,
        alaw_members=np.flatnonzero(companding[members] == ALAW),
        buckets=tuple(buckets),
        group_of_listener=group_of_listener,
        self_of_listener=self_of_listener,
        ulaw_listeners=int(np.count_nonzero(companding[listeners] == ULAW)),
    )


def _buckets(sizes: Numbers) -> Iterable[MixBucket]:
    """Yield the buckets of groups that lie in the order of their sizes."""
    first = 0
    for size, groups in zip(*(each.tolist() for each in np.unique(sizes, return_counts=True)), strict=True):
        yield MixBucket(first=first, groups=groups, size=size)
        first += groups * size


def _coached_group(listener: int, talkers: _Talkers) -> Numbers:
    """Return the rows that a listener with a coach hears."""
    everywhere = talkers.everywhere
    general = everywhere[(talkers.rooms[everywhere] == talkers.rooms[listener]) & (everywhere != listener)]
    return np.concatenate((general, talkers.coaches[talkers.pupils == listener]))
