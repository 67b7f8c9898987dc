"""A step in progress on one room holds its state so far and what it has emitted, in order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from holdfast.voice.control.conference.status_callbacks import status_callback
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
    """A step in progress on one room."""

    room: Room
    now: float
    view: ReadOnlyState
    emitted: list[Emitted] = field(default_factory=list)

    def emit(self, *emitted: Emitted) -> None:
        """Add effects, commands or facts to the step."""
        self.emitted += emitted

    def send_callback(self, name: str, about: Participant | None = None, *more: tuple[str, str]) -> None:
        """Send the conference's status callback of an event."""
        self.room, callbacks = status_callback(self.room, name, self.now, about, *more)
        self.emit(*callbacks)

    def participant(self, call: CallSid) -> Participant:
        """Return the participant of this call. Precondition: the call is in this room."""
        return next(member for member in self.room.participants if member.call == call)

    def put(self, participant: Participant) -> None:
        """Replace a participant's values, in its old place."""
        members = tuple(participant if member.call == participant.call else member for member in self.room.participants)
        self.room = replace(self.room, participants=members, updated_at=self.now)

    def set_status(self, status: RoomStatus) -> None:
        """Set another status. Invariant: only along the table."""
        assert status in ROOM_TRANSITIONS[self.room.status], f"{self.room.status} -> {status}"
        self.room = replace(self.room, status=status, updated_at=self.now)

    def remove(self, call: CallSid) -> None:
        """Remove a participant."""
        members = tuple(participant for participant in self.room.participants if participant.call != call)
        self.room = replace(self.room, participants=members, updated_at=self.now)
