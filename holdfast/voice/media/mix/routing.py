"""From who hears whom to row numbers: what each leg is sent is one row of the frames matrix.

The whole is derived anew from the map each time it changes, so there is nothing to undo. A leg that hears one other
is given that leg's own row; only who hears several gets a mix.
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
"""The rows a leg hears, or (None) its own player."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixBucket:
    """Groups of one size, side by side. Shape: members `first` … `first + groups * size` of the plan."""

    first: int
    groups: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MixPlan:
    """What to add up for whom.

    Shape: `members` are rows, group after group; ear k hears the sum of group `group_of_ear[k]` less the member at
    `self_of_ear[k]`, which is `len(members)`, a silent one, for an ear that is not in its group. The first
    `ulaw_ears` ears hear µ-law, the others A-law.
    """

    members: Numbers
    alaw_members: Numbers
    buckets: tuple[MixBucket, ...]
    group_of_ear: Numbers
    self_of_ear: Numbers
    ulaw_ears: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """What each leg is sent. Shape: `source[row]` of the frames matrix, but for the rows `own`, which hear what their
    player plays; `recoded[law]` are the rows whose source is in the other law than their own, `law`.
    """

    source: Numbers
    own: Numbers
    recoded: tuple[Numbers, Numbers]
    mix: MixPlan


def derive(
    hears: Mapping[int, Hears], *, laws: Sequence[int], layout: Layout, rows: int, deaf: Collection[int] = ()
) -> Routing:
    """The routing of the first `rows` rows. Rows that `hears` does not name, and rows they hear, are silent; so is what
    the `deaf` rows hear.

    Shape: `laws[row]`.
    """
    source = np.array([layout.silence(laws[row]) for row in range(rows)], dtype=np.intp)
    own: list[int] = []
    recoded: tuple[list[int], list[int]] = ([], [])
    mixed: dict[int, tuple[int, ...]] = {}
    for ear, heard in hears.items():
        if ear in deaf:
            continue
        if heard is None:
            own.append(ear)
            continue
        present = heard if len(heard) < 2 else tuple(dict.fromkeys(heard))
        present = tuple(row for row in present if row in hears)
        if len(present) == 1:
            source[ear] = present[0]
            if laws[present[0]] != laws[ear]:
                recoded[laws[ear]].append(ear)
        elif present:
            mixed[ear] = present
    ears = sorted(mixed, key=lambda ear: (laws[ear], ear))
    source[ears] = layout.mixes + np.arange(len(ears))
    return Routing(
        source=source,
        own=np.array(own, dtype=np.intp),
        recoded=(np.array(recoded[ULAW], dtype=np.intp), np.array(recoded[ALAW], dtype=np.intp)),
        mix=_plan(ears, mixed, laws),
    )


def _plan(ears: Sequence[int], mixed: Mapping[int, tuple[int, ...]], laws: Sequence[int]) -> MixPlan:
    """Groups as few as can be: ears that hear each other share one sum, each less itself."""
    group_of = {ear: group for ear, group in zip(ears, _groups(ears, mixed), strict=True)}
    groups = sorted(set(group_of.values()), key=lambda group: (len(group), group))
    members: list[int] = []
    buckets: list[MixBucket] = []
    place: dict[tuple[int, ...], int] = {}
    number: dict[tuple[int, ...], int] = {}
    for size, same_size in groupby(groups, key=len):
        first, before = len(members), len(number)
        for group in same_size:
            place[group], number[group] = len(members), len(number)
            members += group
        buckets.append(MixBucket(first=first, groups=len(number) - before, size=size))
    self_of_ear = [
        place[group_of[ear]] + group_of[ear].index(ear)
        if ear in group_of[ear] and ear not in mixed[ear]
        else len(members)
        for ear in ears
    ]
    return MixPlan(
        members=np.array(members, dtype=np.intp),
        alaw_members=np.array([k for k, row in enumerate(members) if laws[row] == ALAW], dtype=np.intp),
        buckets=tuple(buckets),
        group_of_ear=np.array([number[group_of[ear]] for ear in ears], dtype=np.intp),
        self_of_ear=np.array(self_of_ear, dtype=np.intp),
        ulaw_ears=sum(laws[ear] == ULAW for ear in ears),
    )


def _groups(ears: Sequence[int], mixed: Mapping[int, tuple[int, ...]]) -> list[tuple[int, ...]]:
    """For each ear what it hears, or that and itself: whichever more ears can share."""
    alone = [tuple(sorted(mixed[ear])) for ear in ears]
    joined = [group if ear in group else tuple(sorted((*group, ear))) for ear, group in zip(ears, alone, strict=True)]
    shared = Counter(alone)
    shared.update(with_self for group, with_self in zip(alone, joined, strict=True) if with_self != group)
    return [
        with_self if shared[with_self] > shared[group] else group
        for group, with_self in zip(alone, joined, strict=True)
    ]
