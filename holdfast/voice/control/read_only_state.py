"""What one noun may see of the others while it takes a step: read only."""

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
"""What a step says: effects for the runtime, commands and facts for other nouns."""


class ReadOnlyState(Protocol):
    """The board, as a step may read it."""

    @property
    def calls(self) -> Mapping[CallSid, Call]:
        """Every call."""

    @property
    def rooms(self) -> Mapping[RoomSid, Room]:
        """Every conference and bridge."""

    @property
    def queues(self) -> Mapping[QueueSid, Queue]:
        """Every queue."""

    @property
    def recordings(self) -> Mapping[RecordingSid, Recording]:
        """Every recording."""

    def recordings_of(self, owner: CallSid | RoomSid) -> tuple[Recording, ...]:
        """The recordings of a call or a conference that are being made."""

    def room_of(self, call: CallSid) -> Room | None:
        """The room this call is in, or has a seat in."""

    def queue_of(self, call: CallSid) -> Queue | None:
        """The queue this call waits in."""
