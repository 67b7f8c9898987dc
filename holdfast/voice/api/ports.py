"""Define what the REST API needs from the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from holdfast.voice.control.entities import (
    Call,
    Queue,
    Recording,
    Room,
)
from holdfast.voice.model.commands import RestCommand
from holdfast.voice.model.ids import CallSid, QueueSid, RecordingSid, RoomSid
from holdfast.voice.model.ports import JournalEntry


class StateView(Protocol):
    """The state after the newest step: the live nouns, and the newest finished ones."""

    @property
    def calls(self) -> Mapping[CallSid, Call]:
        """Return the calls by SID, in order of creation."""

    @property
    def rooms(self) -> Mapping[RoomSid, Room]:
        """Return the conferences and bridges by SID, in order of creation."""

    @property
    def queues(self) -> Mapping[QueueSid, Queue]:
        """Return the queues by SID, in order of creation."""

    @property
    def recordings(self) -> Mapping[RecordingSid, Recording]:
        """Return the recordings by SID, in order of creation."""

    def room_of(self, call: CallSid) -> Room | None:
        """Return the room that this call is in, or has a seat in."""

    def queue_of(self, call: CallSid) -> Queue | None:
        """Return the queue in which this call waits."""


class Recordings(Protocol):
    """Finds the files of recordings."""

    def path(self, recording: RecordingSid) -> Path | None:
        """Return the WAV file of a recording, or None when there is none."""


class SwitchPort(Protocol):
    """The engine's mailbox, as the REST API uses it."""

    @property
    def state(self) -> StateView:
        """Return the current engine state."""

    async def execute(self, command: RestCommand) -> None:
        """Post a command and return when its step is committed. Raises: AskedWrong."""

    def now(self) -> float:
        """Return the time. Units: seconds since the Unix epoch."""

    def orphan_entries(self, call: str) -> Sequence[JournalEntry]:
        """Return the ladder entries of a rejected call, as long as they are kept."""
