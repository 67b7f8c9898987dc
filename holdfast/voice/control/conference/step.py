"""A step in progress on one room: its state so far and what it has said, in order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from holdfast.voice.control.conference.callbacks import status_callback
from holdfast.voice.control.entities import (
    ROOM_TRANSITIONS,
    Participant,
    Room,
    RoomStatus,
)
from holdfast.voice.control.read_only_state import Emitted, ReadOnlyState
from holdfast.voice.model.ids import CallSid


@dataclass(slots=True, kw_only=True)
class RoomStep:
    """One room's step in progress."""

    room: Room
    now: float
    view: ReadOnlyState
    emitted: list[Emitted] = field(default_factory=list)

    def emit(self, *emitted: Emitted) -> None:
        """Add to what is to happen."""
        self.emitted += emitted

    def send_callback(self, name: str, about: Participant | None = None, *more: tuple[str, str]) -> None:
        """Send the conference's status callback of an event."""
        self.room, callbacks = status_callback(self.room, name, self.now, about, *more)
        self.emit(*callbacks)

    def participant(self, call: CallSid) -> Participant:
        """The participant this call is, and it is one: messages come to the room a call is in."""
        return next(member for member in self.room.participants if member.call == call)

    def put(self, participant: Participant) -> None:
        """A participant's new values, in its old place."""
        members = tuple(participant if member.call == participant.call else member for member in self.room.participants)
        self.room = replace(self.room, participants=members, updated_at=self.now)

    def set_status(self, status: RoomStatus) -> None:
        """Take the room to another status. Invariant: only along the table."""
        assert status in ROOM_TRANSITIONS[self.room.status], f"{self.room.status} -> {status}"
        self.room = replace(self.room, status=status, updated_at=self.now)

    def remove(self, call: CallSid) -> None:
        """A participant is one no more."""
        members = tuple(participant for participant in self.room.participants if participant.call != call)
        self.room = replace(self.room, participants=members, updated_at=self.now)
