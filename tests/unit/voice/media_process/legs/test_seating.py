"""Seats by name become rows: after any changes each leg hears what a model of plain sets says."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.voice.media.frames import Layout
from holdfast.voice.media.mix.routing import MixPlan, Seats, derive
from holdfast.voice.media_process.legs.seating import Seating
from holdfast.voice.model.effects import Beep, RouteAudio, Seat
from holdfast.voice.model.ids import CallSid, RoomSid

ROWS = 6
CALLS = [CallSid(f"CA{number}") for number in range(ROWS)]
ROOMS = [RoomSid("CF1"), RoomSid("CF2")]
LAYOUT = Layout(rows=ROWS, clip_frames=1)

seats = st.builds(
    Seat,
    call=st.sampled_from(CALLS),
    held=st.booleans(),
    muted=st.booleans(),
    listens=st.sampled_from([True, True, False]),
    coach=st.none() | st.none() | st.sampled_from(CALLS),
    rings=st.sampled_from([False, False, True]),
)
changes = st.one_of(
    st.builds(RouteAudio, room=st.sampled_from(ROOMS), seats=st.lists(seats, max_size=3).map(tuple)),
    st.builds(RouteAudio, room=st.sampled_from(ROOMS), left=st.lists(st.sampled_from(CALLS), max_size=2).map(tuple)),
    st.tuples(st.just("open"), st.sampled_from(CALLS)),
    st.tuples(st.just("close"), st.sampled_from(CALLS)),
)


class Model:
    """The rooms as plain sets: which call sits where, and which call has a row."""

    def __init__(self) -> None:
        self.seats: dict[CallSid, tuple[RoomSid, Seat]] = {}
        self.open: set[CallSid] = set()

    def heard_by(self, call: CallSid) -> set[CallSid] | None:
        """Return the calls that a call hears, pair by pair; None for its own player."""
        room, seat = self.seats.get(call, (None, None))
        if seat is not None and seat.rings:
            return set()
        if seat is None or seat.held or not seat.listens:
            return None
        return {other for other in self.open & self.seats.keys() if other != call and self.audible(other, room, call)}

    def audible(self, speaker: CallSid, room: RoomSid | None, listener: CallSid) -> bool:
        """Return whether a listener of a room hears a speaker."""
        where, seat = self.seats[speaker]
        return where == room and not (seat.held or seat.muted) and seat.coach in (None, listener)


@settings(deadline=None)
@given(st.lists(changes, max_size=40))
def test_after_any_changes_each_leg_hears_as_the_model_does(walk: list[RouteAudio | tuple[str, CallSid]]) -> None:
    arrays, rows, model = Seats(ROWS), dict[str, int](), Model()
    seating = Seating(arrays, rows)
    for change in walk:
        match change:
            case RouteAudio(room=room):
                seating.route(change)
                for call in change.left:
                    if call in model.seats and (model.seats[call][0] == room or call not in model.open):
                        del model.seats[call]
                model.seats.update({seat.call: (room, seat) for seat in change.seats})
            case ("open", call) if call not in model.open:
                rows[call] = next(row for row in range(ROWS) if row not in rows.values())
                arrays.open(rows[call])
                seating.opened(call)
                model.open.add(call)
            case ("close", call) if call in model.open:
                row = rows.pop(call)
                arrays.close(row)
                seating.closed(row)
                model.open.remove(call)
                model.seats.pop(call, None)
            case _:
                pass
        check(arrays, rows, seating, model)


def check(arrays: Seats, rows: dict[str, int], seating: Seating, model: Model) -> None:
    """Assert that the arrays say of every open leg, and of every room, what the model says."""
    routing = derive(arrays, companding=np.zeros(ROWS, dtype=np.intp), layout=LAYOUT, rows=ROWS)
    players = set(routing.player_rows.tolist())
    assert {rows[call] for call in model.open & model.seats.keys() if model.seats[call][1].rings} == set(
        routing.ringing_rows.tolist()
    )
    for call in model.open:
        heard, source = model.heard_by(call), int(routing.source[rows[call]])
        assert (rows[call] in players) == (heard is None)
        if heard is None or not heard:
            assert source == LAYOUT.silence(0)
        elif len(heard) == 1:
            assert source == rows[next(iter(heard))]
        else:
            assert rows_of_mix(routing.mix, source - LAYOUT.mixes) == {rows[each] for each in heard}
    for room in ROOMS:
        inside = {call: seat for call, (where, seat) in model.seats.items() if where == room and call in model.open}
        said = {rows[call] for call, seat in inside.items() if not (seat.held or seat.muted or seat.coach)}
        assert set(seating.rows_saying(room)) == said
        beeped = set(seating.rows_to_beep(Beep(room=room, tone="entry", moved=(), without=(CALLS[0],))))
        assert beeped == {rows[call] for call, seat in inside.items() if not seat.held and call != CALLS[0]}


def rows_of_mix(plan: MixPlan, listener: int) -> set[int]:
    """Return the rows that a listener of a mix plan hears."""
    group = int(plan.group_of_listener[listener])
    for bucket in plan.buckets:
        if group < bucket.groups:
            first = bucket.first + group * bucket.size
            own = int(plan.self_of_listener[listener])
            members = range(first, first + bucket.size)
            return {int(plan.members[k]) for k in members if k != own}
        group -= bucket.groups
    raise AssertionError("the group is in no bucket")
