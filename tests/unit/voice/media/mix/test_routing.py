"""Routing and mixing, against adding up one listener at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.codec.g711 import (
    ALAW,
    DECODE,
    ENCODE,
    SILENCE,
    TRANSCODE,
    ULAW,
)
from holdfast.voice.media.frames import Layout
from holdfast.voice.media.mix.mixer import Mixer
from holdfast.voice.media.mix.routing import Hears, derive

ROWS = 8
LAYOUT = Layout(rows=ROWS, clip_frames=ROWS)
PLAYED = LAYOUT.clips(ULAW)
"""What each row's player plays."""


def audio_of(hears: Mapping[int, Hears], compandings: list[int], frames: np.ndarray) -> list[bytes]:
    """Return the audio of each row by way of the routing."""
    frames = frames.copy()
    routing = derive(hears, compandings=compandings, layout=LAYOUT, rows=ROWS)
    listeners = len(routing.mix.group_of_listener)
    if listeners:
        Mixer().mix(frames, routing.mix, frames[LAYOUT.mixes : LAYOUT.mixes + listeners])
    source = routing.source.copy()
    source[routing.player_rows] = PLAYED + routing.player_rows
    heard = frames[source]
    for companding, rows in enumerate(routing.transcoded):
        heard[rows] = TRANSCODE[1 - companding][heard[rows]]
    return [row.tobytes() for row in heard]


def naive(hears: Mapping[int, Hears], compandings: list[int], frames: np.ndarray) -> list[bytes]:
    """Return the audio of each row, listener by listener, sample by sample in plain integers."""
    sent = []
    for listener in range(ROWS):
        companding = compandings[listener]
        heard = hears.get(listener, ())
        if heard is None:
            sent.append(frames[PLAYED + listener].tobytes())
            continue
        speakers = [row for row in dict.fromkeys(heard) if row in hears]
        if not speakers:
            sent.append(bytes([SILENCE[companding]]) * 160)
        elif len(speakers) == 1:
            frame = frames[speakers[0]]
            sent.append(
                (frame if compandings[speakers[0]] == companding else TRANSCODE[1 - companding][frame]).tobytes()
            )
        else:
            total = sum(DECODE[compandings[row]][frames[row]].astype(int) for row in speakers)
            sent.append(ENCODE[companding][np.clip(total, -32768, 32767) + 32768].tobytes())
    return sent


hearing = st.none() | st.lists(st.integers(0, ROWS - 1), max_size=6).map(tuple)
maps = st.dictionaries(st.integers(0, ROWS - 1), hearing, max_size=ROWS)
rooms = st.sets(st.integers(0, ROWS - 1), min_size=2).flatmap(
    lambda room: st.sets(st.sampled_from(sorted(room))).map(
        lambda silent: {
            listener: tuple(other for other in sorted(room - silent) if other != listener) for listener in room
        }
    )
)
companding_lists = st.lists(st.sampled_from([ULAW, ALAW]), min_size=ROWS, max_size=ROWS)


def noise(seed: int, compandings: list[int]) -> np.ndarray:
    frames = LAYOUT.matrix()
    noisy = np.random.default_rng(seed).integers(0, 256, (2, ROWS, 160))
    frames[:ROWS], frames[PLAYED : PLAYED + ROWS] = noisy
    return frames


@given(maps | rooms, companding_lists, st.integers(0, 2**32))
def test_every_listener_gets_the_exact_sum_of_its_sources(
    hears: Mapping[int, Hears], compandings: list[int], seed: int
) -> None:
    frames = noise(seed, compandings)
    assert audio_of(hears, compandings, frames) == naive(hears, compandings, frames)


@given(rooms)
def test_a_conference_is_added_up_once(hears: Mapping[int, Hears]) -> None:
    """Speakers and silent listeners share one sum, unless two speak and so hear each other unmixed."""
    plan = derive(hears, compandings=[ULAW] * ROWS, layout=LAYOUT, rows=ROWS).mix
    assert len(plan.buckets) <= 1
    assert sum(bucket.groups for bucket in plan.buckets) <= 1


def test_two_legs_hear_each_other_unmixed() -> None:
    routing = derive({0: (1,), 1: (0,)}, compandings=[ULAW] * ROWS, layout=LAYOUT, rows=ROWS)
    assert routing.source[:2].tolist() == [1, 0]
    assert not len(routing.mix.members)
    assert [rows.tolist() for rows in routing.transcoded] == [[], []]


def test_conferences_of_one_size_lie_side_by_side() -> None:
    hears: dict[int, Hears] = {0: (1, 2), 1: (0, 2), 2: (0, 1), 3: (4, 5), 4: (3, 5), 5: (3, 4)}
    plan = derive(hears, compandings=[ULAW] * ROWS, layout=LAYOUT, rows=ROWS).mix
    assert [(bucket.first, bucket.groups, bucket.size) for bucket in plan.buckets] == [(0, 2, 3)]
    assert plan.members.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_coach_is_heard_by_the_coached_leg_alone() -> None:
    frames = LAYOUT.matrix()
    for row in range(3):
        frames[row] = 0x40 + row
    agent, customer, coach = 0, 1, 2
    hears: dict[int, Hears] = {agent: (customer, coach), customer: (agent,), coach: (agent, customer)}
    heard = audio_of(hears, [ULAW] * ROWS, frames)
    assert heard[customer] == frames[agent].tobytes()
    assert heard == naive(hears, [ULAW] * ROWS, frames)


def test_a_sum_of_many_loud_legs_is_clipped() -> None:
    frames = LAYOUT.matrix()
    frames[:ROWS] = 0x80
    all_legs: dict[int, Hears] = {
        listener: tuple(row for row in range(ROWS) if row != listener) for listener in range(ROWS)
    }
    assert set(audio_of(all_legs, [ULAW] * ROWS, frames)) == {b"\x80" * 160}


def test_a_leg_may_hear_itself() -> None:
    frames = noise(1, [ULAW] * ROWS)
    hears: dict[int, Hears] = {0: (0,), 1: (0, 1), 2: ()}
    heard = audio_of(hears, [ULAW] * ROWS, frames)
    assert heard[0] == frames[0].tobytes()
    assert heard == naive(hears, [ULAW] * ROWS, frames)
