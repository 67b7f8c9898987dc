"""Define what the REST API needs from the engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from holdfast.voice.control.read_only_state import ReadOnlyState
from holdfast.voice.model.commands import RestCommand
from holdfast.voice.model.ids import RecordingSid
from holdfast.voice.model.ports import JournalEntry


class Recordings(Protocol):
    """Finds the files of recordings."""

    def path(self, recording: RecordingSid) -> Path | None:
        """Return the WAV file of a recording, or None when there is none."""


class SwitchPort(Protocol):
    """The engine's mailbox, as the REST API uses it."""

    @property
    def state(self) -> ReadOnlyState:
        """Return the current engine state."""

    async def execute(self, command: RestCommand) -> None:
        """Post a command and return when its step is committed. Raises: AskedWrong."""

    def now(self) -> float:
        """Return the time. Units: seconds since the Unix epoch."""

    def orphan_entries(self, call: str) -> Sequence[JournalEntry]:
        """Return the ladder entries of a rejected call, as long as they are kept."""
