"""Routing and mixing, against adding up one listener at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
from holdfast.voice.media.mix.routing import NO_ROW, Seats, derive

ROWS = 8
LAYOUT = Layout(rows=ROWS, clip_frames=ROWS)
PLAYED = LAYOUT.clips(ULAW)
"""What each row's player plays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One leg of a scene: its room and its place there. `coached`: the row that alone hears it."""

    room: int | None = 0
    held: bool = False
    muted: bool = False
    listens: bool = True
    coached: int | None = None
    instead: int | None = None
    sending: bool = True


Scene = Mapping[int, Leg]


def seated(scene: Scene) -> Seats:
    """Return the seats of a scene. Rows that it does not name are closed."""
    seats = Seats(ROWS)
    for row, leg in scene.items():
        seats.open(row)
        seats.sending[row] = leg.sending
        if leg.room is not None:
            seats.room[row], seats.held[row] = leg.room, leg.held
            seats.heard[row], seats.listens[row] = not (leg.held or leg.muted), leg.listens and not leg.held
            if leg.coached is not None:
                seats.coached[row] = leg.coached if leg.coached in scene else NO_ROW
        if leg.instead is not None:
            seats.instead[row] = leg.instead if leg.instead in scene else NO_ROW
    return seats


def heard_by(scene: Scene, listener: int) -> list[int] | None:
    """Return the rows that a leg hears, pair by pair; None for its own player."""
    leg = scene[listener]
    if leg.instead is not None:
        return [leg.instead] if leg.instead in scene else []
    if leg.room is None or leg.held or not leg.listens:
        return None
    return [row for row, other in scene.items() if row != listener and audible(row, other, listener, leg)]


def audible(row: int, speaker: Leg, listener: int, leg: Leg) -> bool:
    """Return whether one leg hears another."""
    if speaker.room != leg.room or speaker.held or speaker.muted:
        return False
    return speaker.coached is None or speaker.coached == listener


def audio_of(scene: Scene, compandings: list[int], frames: np.ndarray) -> list[bytes]:
    """Return the audio of each row by way of the routing."""
    frames = frames.copy()
    routing = derive(seated(scene), companding=np.array(compandings), layout=LAYOUT, rows=ROWS)
    listeners = len(routing.mix.group_of_listener)
    if listeners:
        Mixer().mix(frames, routing.mix, frames[LAYOUT.mixes : LAYOUT.mixes + listeners])
    source = routing.source.copy()
    source[routing.player_rows] = PLAYED + routing.player_rows
    heard = frames[source]
    for companding, rows in enumerate(routing.transcoded):
        heard[rows] = TRANSCODE[1 - companding][heard[rows]]
    return [row.tobytes() for row in heard]


def naive(scene: Scene, compandings: list[int], frames: np.ndarray) -> list[bytes]:
    """Return the audio of each row, listener by listener, sample by sample in plain integers."""
    sent = []
    for listener in range(ROWS):
        companding = compandings[listener]
        receives = listener in scene and scene[listener].sending
        speakers = heard_by(scene, listener) if receives else []
        if speakers is None:
            sent.append(frames[PLAYED + listener].tobytes())
        elif not speakers:
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


row_numbers = st.integers(0, ROWS - 1)
one_in_four = st.sampled_from([False, False, False, True])
legs = st.builds(
    Leg,
    room=st.none() | st.integers(0, 2),
    held=one_in_four,
    muted=one_in_four,
    listens=one_in_four.map(lambda alone: not alone),
    coached=st.none() | st.none() | row_numbers,
    instead=st.none() | st.none() | st.none() | row_numbers,
    sending=one_in_four.map(lambda refused: not refused),
)
scenes = st.dictionaries(row_numbers, legs, max_size=ROWS)
conferences = st.dictionaries(row_numbers, st.builds(Leg, muted=st.booleans()), min_size=2, max_size=ROWS)
companding_lists = st.lists(st.sampled_from([ULAW, ALAW]), min_size=ROWS, max_size=ROWS)


def noise(seed: int) -> np.ndarray:
    frames = LAYOUT.matrix()
    noisy = np.random.default_rng(seed).integers(0, 256, (2, ROWS, 160))
    frames[:ROWS], frames[PLAYED : PLAYED + ROWS] = noisy
    return frames


@given(scenes | conferences, companding_lists, st.integers(0, 2**32))
def test_every_listener_gets_the_exact_sum_of_its_sources(scene: Scene, compandings: list[int], seed: int) -> None:
    frames = noise(seed)
    assert audio_of(scene, compandings, frames) == naive(scene, compandings, frames)


@given(conferences)
def test_a_conference_is_added_up_once(scene: Scene) -> None:
    """Speakers and silent listeners share one sum, unless two speak and so hear each other unmixed."""
    plan = derive(seated(scene), companding=np.zeros(ROWS, dtype=np.intp), layout=LAYOUT, rows=ROWS).mix
    assert len(plan.buckets) <= 1
    assert sum(bucket.groups for bucket in plan.buckets) <= 1


@given(st.lists(st.tuples(row_numbers, legs | st.none()), max_size=30))
def test_a_walk_of_changes_leads_to_the_routing_of_its_last_state(changes: list[tuple[int, Leg | None]]) -> None:
    """A row that closed and opened again is heard where it sits now, and by no leg that heard its former leg."""
    scene: dict[int, Leg] = {}
    seats = seated(scene)
    for row, leg in changes:
        if row in scene:
            seats.close(row)
            scene = {
                each: replace(
                    other,
                    coached=-5 if other.coached == row else other.coached,
                    instead=-5 if other.instead == row else other.instead,
                )
                for each, other in scene.items()
                if each != row
            }
        if leg is not None:
            coached = None if leg.coached is None or leg.room is None else leg.coached if leg.coached in scene else -5
            instead = None if leg.instead is None else leg.instead if leg.instead in scene else -5
            scene[row] = replace(leg, coached=coached, instead=instead)
            seats.open(row)
            fresh = seated(scene)
            for name in ("sending", "room", "held", "heard", "listens", "coached", "instead"):
                getattr(seats, name)[row] = getattr(fresh, name)[row]
    frames, compandings = noise(len(changes)), [ULAW, ALAW] * (ROWS // 2)
    derived = derive(seats, companding=np.array(compandings), layout=LAYOUT, rows=ROWS)
    again = derive(seated(scene), companding=np.array(compandings), layout=LAYOUT, rows=ROWS)
    assert derived.source.tolist() == again.source.tolist()
    assert derived.player_rows.tolist() == again.player_rows.tolist()
    assert audio_of(scene, compandings, frames) == naive(scene, compandings, frames)


def test_two_legs_hear_each_other_unmixed() -> None:
    routing = derive(seated({0: Leg(), 1: Leg()}), companding=np.zeros(ROWS, dtype=np.intp), layout=LAYOUT, rows=ROWS)
    assert routing.source[:2].tolist() == [1, 0]
    assert not len(routing.mix.members)
    assert [rows.tolist() for rows in routing.transcoded] == [[], []]


def test_conferences_of_one_size_lie_side_by_side() -> None:
    scene = {row: Leg(room=row // 3) for row in range(6)}
    plan = derive(seated(scene), companding=np.zeros(ROWS, dtype=np.intp), layout=LAYOUT, rows=ROWS).mix
    assert [(bucket.first, bucket.groups, bucket.size) for bucket in plan.buckets] == [(0, 2, 3)]
    assert plan.members.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_coach_is_heard_by_the_coached_leg_alone() -> None:
    frames = LAYOUT.matrix()
    for row in range(3):
        frames[row] = 0x40 + row
    agent, customer, coach = 0, 1, 2
    scene = {agent: Leg(), customer: Leg(), coach: Leg(coached=agent)}
    heard = audio_of(scene, [ULAW] * ROWS, frames)
    assert heard[customer] == frames[agent].tobytes()
    assert heard == naive(scene, [ULAW] * ROWS, frames)


def test_a_sum_of_many_loud_legs_is_clipped() -> None:
    frames = LAYOUT.matrix()
    frames[:ROWS] = 0x80
    assert set(audio_of({row: Leg() for row in range(ROWS)}, [ULAW] * ROWS, frames)) == {b"\x80" * 160}


def test_a_leg_may_hear_itself() -> None:
    frames = noise(1)
    scene = {0: Leg(instead=0), 1: Leg(muted=True)}
    heard = audio_of(scene, [ULAW] * ROWS, frames)
    assert heard[0] == frames[0].tobytes()
    assert heard == naive(scene, [ULAW] * ROWS, frames)
