"""Seats, rows and routes in any order: each leg hears exactly the legs that a simple model of its room says."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.voice.media.frames import Layout, Numbers
from holdfast.voice.media.mix.routing import Routing, Seats, derive
from holdfast.voice.media_process.legs.seating import Seating
from holdfast.voice.model.effects import RouteAudio, Seat
from holdfast.voice.model.ids import CallSid, RoomSid

ROWS = 10
CALLS = tuple(CallSid(f"CA{number}") for number in range(12))
ROOMS = tuple(RoomSid(f"CF{number}") for number in range(4))
LAYOUT = Layout(rows=ROWS, clip_frames=4)
Heard = frozenset[int] | None
"""The rows whose audio a leg hears; None: its own player."""


@dataclass(slots=True)
class Model:
    """What control has said: the seat of each leg, and what it hears in place of its room."""

    rows: dict[str, int] = field(default_factory=dict)
    seats: dict[str, tuple[str, Seat]] = field(default_factory=dict)
    instead: dict[str, str] = field(default_factory=dict)

    def route(self, command: RouteAudio) -> None:
        for call in command.left:
            if self.seats.get(call, ("",))[0] == command.room:
                del self.seats[call]
                self.instead.pop(call, None)
        for seat in command.seats:
            self.seats[seat.call] = (command.room, seat)
            self.instead.pop(seat.call, None)

    def close(self, call: str) -> None:
        del self.rows[call]
        self.seats.pop(call, None)
        self.instead.pop(call, None)

    def hears(self, call: str) -> Heard:
        if call in self.instead:
            other = self.rows.get(self.instead[call])
            return frozenset() if other is None else frozenset({other})
        if call not in self.seats:
            return None
        room, seat = self.seats[call]
        if not seat.listens or seat.held:
            return None
        return frozenset(
            self.rows[other]
            for other, (elsewhere, said) in self.seats.items()
            if other != call
            and other in self.rows
            and elsewhere == room
            and not (said.held or said.muted)
            and said.coach in (None, call)
        )


def heard_by(row: int, routing: Routing) -> Heard:
    """Return what a row hears by a routing."""
    if row in routing.player_rows:
        return None
    source = int(routing.source[row])
    if source < LAYOUT.mixes:
        return frozenset({source})
    if source in (LAYOUT.silence(0), LAYOUT.silence(1)):
        return frozenset()
    listener = source - LAYOUT.mixes
    group, own = int(routing.mix.group_of_listener[listener]), int(routing.mix.self_of_listener[listener])
    for bucket in routing.mix.buckets:
        if group < bucket.groups:
            first = bucket.first + group * bucket.size
            return frozenset(
                int(routing.mix.members[each]) for each in range(first, first + bucket.size) if each != own
            )
        group -= bucket.groups
    raise AssertionError(f"listener {listener} has no group")


def command_of(dice: Random) -> RouteAudio:
    """Return a change of seats, also of legs without a row, and of legs that are in another room by now."""
    moved = dice.sample(CALLS, dice.randrange(5))
    cut = dice.randrange(len(moved) + 1)
    seats = tuple(
        Seat(
            call=call,
            held=dice.random() < 0.3,
            muted=dice.random() < 0.3,
            listens=dice.random() < 0.8,
            coach=dice.choice((None, None, dice.choice(CALLS))),
        )
        for call in moved[:cut]
    )
    return RouteAudio(room=dice.choice(ROOMS), seats=seats, left=tuple(moved[cut:]))


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_each_leg_hears_its_room_in_any_order_of_events(seed: int) -> None:
    dice, model, free = Random(seed), Model(), list(range(ROWS))
    seats, companding = Seats(ROWS), np.zeros(ROWS, dtype=np.intp)
    seating = Seating(seats, model.rows)
    for _ in range(40):
        call = dice.choice(CALLS)
        match dice.choice(("open", "open", "close", "hear", "route", "route", "route", "route")):
            case "open" if call not in model.rows and free:
                row = free.pop(dice.randrange(len(free)))
                seats.open(row)
                model.rows[call], companding[row] = row, dice.randrange(2)
                seating.opened(call)
            case "close" if call in model.rows:
                row = model.rows[call]
                model.close(call)
                seats.close(row)
                seating.closed(row)
                free.append(row)
            case "hear" if call in model.rows:
                source = dice.choice((None, dice.choice(CALLS)))
                seating.hear_leg(model.rows[call], source)
                model.instead.pop(call, None)
                if source is not None:
                    model.instead[call] = source
            case _:
                command = command_of(dice)
                seating.route(command)
                model.route(command)
        check(model, seats, companding)


def check(model: Model, seats: Seats, companding: Numbers) -> None:
    routing = derive(seats, companding=companding, layout=LAYOUT, rows=ROWS)
    for call, row in model.rows.items():
        assert heard_by(row, routing) == model.hears(call), f"{call} at row {row}"


def test_a_leg_without_a_row_keeps_its_seat_when_it_leaves_another_room() -> None:
    rows: dict[str, int] = {}
    seats = Seats(ROWS)
    seating = Seating(seats, rows)
    alice = Seat(call=CALLS[0], held=False, muted=False, listens=True, coach=None)
    seating.route(RouteAudio(room=ROOMS[1], seats=(alice,), left=()))
    seating.route(RouteAudio(room=ROOMS[0], seats=(), left=(alice.call,)))
    seats.open(0)
    rows[alice.call] = 0
    seating.opened(alice.call)
    assert seating.rooms() == {int(seats.room[0]): ROOMS[1]}


def test_a_leg_that_hears_another_goes_on_when_it_is_said_to_leave_a_room_that_has_no_seat() -> None:
    rows: dict[str, int] = {CALLS[0]: 0, CALLS[1]: 1}
    seats = Seats(ROWS)
    for row in rows.values():
        seats.open(row)
    seating = Seating(seats, rows)
    seating.hear_leg(0, CALLS[1])
    seating.route(RouteAudio(room=ROOMS[0], seats=(), left=(CALLS[0],)))
    assert seats.instead[0] == 1
