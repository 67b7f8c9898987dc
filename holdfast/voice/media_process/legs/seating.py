"""Seat legs in rooms: names of calls and rooms become rows and numbers, from which the routing is derived."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from holdfast.voice.media.frames import Numbers
from holdfast.voice.media.mix.routing import EVERY_LISTENER, NO_ROW, OWN_AUDIO, Seats
from holdfast.voice.model.effects import Beep, RouteAudio, Seat


class Seating:
    """Seating keeps the seats of the open legs as control names them.

    A leg may be named before it has a row: it takes its seat when it has one. With its row it loses the seat.
    """

    def __init__(self, seats: Seats, rows: Mapping[str, int]) -> None:
        self._seats = seats
        self._rows = rows
        self._rooms: dict[str, int] = {}
        """The numbers of the rooms that have a seat."""
        self._unopened: dict[str, tuple[str, Seat]] = {}
        """The legs without a row that have a seat, each with its room."""
        self._coached: dict[int, str] = {}
        """The coaches' rows, each with the leg that it coaches."""
        self._instead: dict[int, str] = {}
        """The rows that hear another leg in place of their room, each with that leg."""

    def route(self, command: RouteAudio) -> None:
        """Change seats of a room."""
        for row in self.rows_of(command.left) if command.room in self._rooms else ():
            if self._seats.room[row] == self._rooms[command.room]:
                self._leave(row)
        for call in command.left:
            if self._unopened.get(call, ("",))[0] == command.room:
                del self._unopened[call]
        for seat in command.seats:
            if seat.call in self._rows:
                self._sit(self._rows[seat.call], seat, self._number(command.room))
            else:
                self._unopened[seat.call] = (command.room, seat)
        if command.left:
            self._forget_empty()

    def hear_leg(self, row: int, source: str | None) -> None:
        """Let a row hear a leg in place of its room, until its seat changes; None: no longer."""
        self._instead.pop(row, None)
        self._seats.instead[row] = OWN_AUDIO
        if source is not None:
            self._instead[row] = source
            self._seats.instead[row] = self._rows.get(source, NO_ROW)

    def leave_all(self) -> None:
        """Take every leg out of its room."""
        for row in self._rows.values():
            self._leave(row)
        self._rooms.clear()
        self._unopened.clear()

    def opened(self, leg: str) -> None:
        """Seat a leg that has a row now, and let those hear it that were to hear it."""
        if leg in self._unopened:
            room, seat = self._unopened.pop(leg)
            self._sit(self._rows[leg], seat, self._number(room))
        for row in (row for row, coached in self._coached.items() if coached == leg):
            self._seats.coached[row] = self._rows[leg]
        for row in (row for row, source in self._instead.items() if source == leg):
            self._seats.instead[row] = self._rows[leg]

    def closed(self, row: int) -> None:
        """Forget the seat of a row."""
        self._coached.pop(row, None)
        self._instead.pop(row, None)
        self._forget_empty()

    def rooms(self) -> Mapping[int, str]:
        """Return the names of the rooms by their numbers."""
        return {number: room for room, number in self._rooms.items()}

    def rows_saying(self, name: str) -> Iterable[int]:
        """Return the rows whose audio a leg says, or a room: there those that all who listen may hear."""
        if name in self._rows:
            return (self._rows[name],)
        number = self._rooms.get(name)
        return () if number is None else self._seats.heard_in(number).tolist()

    def rows_to_beep(self, command: Beep) -> Iterable[int]:
        """Return the rows that hear a beep."""
        number = self._rooms.get(command.room)
        if number is None:
            return ()
        without = frozenset(self.rows_of(command.without))
        inside: Numbers = self._seats.unheld_in(number)
        return (row for row in inside.tolist() if row not in without)

    def rows_of(self, legs: Iterable[str]) -> Iterable[int]:
        """Yield the rows of these legs; those that are not open are left out."""
        return (row for leg in legs if (row := self._rows.get(leg)) is not None)

    def _sit(self, row: int, seat: Seat, number: int) -> None:
        self._leave(row)
        seats = self._seats
        seats.room[row], seats.held[row] = number, seat.held
        seats.heard[row], seats.rings[row] = not (seat.held or seat.muted), seat.rings
        seats.listens[row] = seat.listens and not (seat.held or seat.rings)
        seats.coached[row] = EVERY_LISTENER if seat.coach is None else self._rows.get(seat.coach, NO_ROW)
        if seat.coach is not None:
            self._coached[row] = seat.coach

    def _leave(self, row: int) -> None:
        self._seats.leave(row)
        self._coached.pop(row, None)
        self._instead.pop(row, None)

    def _number(self, room: str) -> int:
        """Return the number of a room: a small one, since arrays are as long as the highest."""
        if room not in self._rooms:
            taken = set(self._rooms.values())
            self._rooms[room] = next(number for number in range(len(taken) + 1) if number not in taken)
        return self._rooms[room]

    def _forget_empty(self) -> None:
        in_use = set(self._seats.room[list(self._rows.values())].tolist())
        self._rooms = {room: number for room, number in self._rooms.items() if number in in_use}
