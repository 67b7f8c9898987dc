"""Derive the source row of each leg from the map of which legs hear which.

The routing is derived again from the whole map after each change, so there is nothing to undo. A leg that hears one
other leg gets the row of that leg; only a leg that hears several gets a mix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from holdfast.voice.media.codec.g711 import ALAW, ULAW
from holdfast.voice.media.frames import Layout, Numbers

Hears = tuple[int, ...] | None
"""The rows that a leg hears, or (None) its own player."""


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
    `transcoded[companding]` are the rows with that companding whose source has the other one.
    """

    source: Numbers
    player_rows: Numbers
    transcoded: tuple[Numbers, Numbers]
    mix: MixPlan


def derive(
    hears: Mapping[int, Hears], *, compandings: Sequence[int], layout: Layout, rows: int, deaf: Collection[int] = ()
) -> Routing:
    """Derive the routing of the first `rows` rows.

    A row that is not in `hears` is silent, and so is one that hears only such rows. Rows in `deaf` are sent silence.
    Shape: `compandings[row]`.
    """
    source = np.array([layout.silence(compandings[row]) for row in range(rows)], dtype=np.intp)
    player_rows: list[int] = []
    transcoded: tuple[list[int], list[int]] = ([], [])
    mixed: dict[int, tuple[int, ...]] = {}
    for listener, sources in hears.items():
        if listener in deaf:
            continue
        if sources is None:
            player_rows.append(listener)
            continue
        sources = sources if len(sources) < 2 else tuple(dict.fromkeys(sources))
        sources = tuple(row for row in sources if row in hears)
        if len(sources) == 1:
            source[listener] = sources[0]
            if compandings[sources[0]] != compandings[listener]:
                transcoded[compandings[listener]].append(listener)
        elif sources:
            mixed[listener] = sources
    listeners = sorted(mixed, key=lambda listener: (compandings[listener], listener))
    source[listeners] = layout.mixes + np.arange(len(listeners))
    return Routing(
        source=source,
        player_rows=np.array(player_rows, dtype=np.intp),
        transcoded=(np.array(transcoded[ULAW], dtype=np.intp), np.array(transcoded[ALAW], dtype=np.intp)),
        mix=_plan(listeners, mixed, compandings),
    )


def _plan(listeners: Sequence[int], mixed: Mapping[int, tuple[int, ...]], compandings: Sequence[int]) -> MixPlan:
    """Plan as few groups as possible: listeners that hear each other share one sum, each less its own audio."""
    group_by_listener = {listener: group for listener, group in zip(listeners, _groups(listeners, mixed), strict=True)}
    groups = sorted(set(group_by_listener.values()), key=lambda group: (len(group), group))
    members: list[int] = []
    buckets: list[MixBucket] = []
    first_member: dict[tuple[int, ...], int] = {}
    group_number: dict[tuple[int, ...], int] = {}
    for size, same_size in groupby(groups, key=len):
        first, before = len(members), len(group_number)
        for group in same_size:
            first_member[group], group_number[group] = len(members), len(group_number)
            members += group
        buckets.append(MixBucket(first=first, groups=len(group_number) - before, size=size))
    self_of_listener = [
        first_member[group_by_listener[listener]] + group_by_listener[listener].index(listener)
        if listener in group_by_listener[listener] and listener not in mixed[listener]
        else len(members)
        for listener in listeners
    ]
    return MixPlan(
        members=np.array(members, dtype=np.intp),
        alaw_members=np.array([k for k, row in enumerate(members) if compandings[row] == ALAW], dtype=np.intp),
        buckets=tuple(buckets),
        group_of_listener=np.array(
            [group_number[group_by_listener[listener]] for listener in listeners], dtype=np.intp
        ),
        self_of_listener=np.array(self_of_listener, dtype=np.intp),
        ulaw_listeners=sum(compandings[listener] == ULAW for listener in listeners),
    )


def _groups(listeners: Sequence[int], mixed: Mapping[int, tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the group of each listener: the rows it hears, or those and itself, whichever more listeners share."""
    own_group = [tuple(sorted(mixed[listener])) for listener in listeners]
    including_self = [
        group if listener in group else tuple(sorted((*group, listener)))
        for listener, group in zip(listeners, own_group, strict=True)
    ]
    shared = Counter(own_group)
    shared.update(with_self for group, with_self in zip(own_group, including_self, strict=True) if with_self != group)
    return [
        with_self if shared[with_self] > shared[group] else group
        for group, with_self in zip(own_group, including_self, strict=True)
    ]
