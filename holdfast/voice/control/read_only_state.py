"""The read-only view of all nouns that a machine has while it handles a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from holdfast.voice.control.entities import (
    Call,
    Queue,
    Recording,
    Room,
)
from holdfast.voice.model.commands import RestCommand
from holdfast.voice.model.effects import Effect
from holdfast.voice.model.facts import Fact
from holdfast.voice.model.ids import CallSid, QueueSid, RecordingSid, RoomSid
from holdfast.voice.model.internal_commands import NounCommand

Message = RestCommand | NounCommand | Fact
Emitted = Effect | RestCommand | NounCommand | Fact
"""What a step emits: effects for the runtime, commands and facts for other nouns."""


class ReadOnlyState(Protocol):
    """A machine may read the engine's state through this interface, and not change it."""

    @property
    def calls(self) -> Mapping[CallSid, Call]:
        """Return every call by its SID."""

    @property
    def rooms(self) -> Mapping[RoomSid, Room]:
        """Return every conference and bridge by its SID."""

    @property
    def queues(self) -> Mapping[QueueSid, Queue]:
        """Return every queue by its SID."""

    @property
    def recordings(self) -> Mapping[RecordingSid, Recording]:
        """Return every recording by its SID."""

    def recordings_of(self, owner: CallSid | RoomSid) -> tuple[Recording, ...]:
        """Return the recordings of a call or a conference that are being written."""

    def room_of(self, call: CallSid) -> Room | None:
        """Return the room in which this call is a participant, or is listed as one."""

    def queue_of(self, call: CallSid) -> Queue | None:
        """Return the queue in which this call waits."""
