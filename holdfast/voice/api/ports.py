"""What the REST door asks of the engine behind it."""

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
from holdfast.voice.model.ports import Entry


class StateView(Protocol):
    """Every noun as it is after the newest step: the living, and the finished up to a cap."""

    @property
    def calls(self) -> Mapping[CallSid, Call]:
        """Calls by SID, in order of creation."""

    @property
    def rooms(self) -> Mapping[RoomSid, Room]:
        """Conferences and bridges by SID, in order of creation."""

    @property
    def queues(self) -> Mapping[QueueSid, Queue]:
        """Queues by SID, in order of creation."""

    @property
    def recordings(self) -> Mapping[RecordingSid, Recording]:
        """Recordings by SID, in order of creation."""

    def room_of(self, call: CallSid) -> Room | None:
        """The room this call is in, or has a seat in."""

    def queue_of(self, call: CallSid) -> Queue | None:
        """The queue this call waits in."""


class Recordings(Protocol):
    """Where the sound of recordings is."""

    def path(self, recording: RecordingSid) -> Path | None:
        """The WAV file of a recording, if there is one."""


class SwitchPort(Protocol):
    """The one mailbox of the engine."""

    @property
    def state(self) -> StateView:
        """What is."""

    async def execute(self, command: RestCommand) -> None:
        """Return when the step is committed. Raises: AskedWrong."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""

    def orphan_entries(self, call: str) -> Sequence[Entry]:
        """What the ladder shows of a call that was turned away, while it is remembered."""
