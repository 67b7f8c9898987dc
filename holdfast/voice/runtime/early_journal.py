"""Hold journal entries of calls that the engine state does not have yet: an INVITE arrives before its call exists.

Many such calls are never made, such as those of scanners or to unknown numbers. Their entries can be read for a while,
and are not stored, because otherwise any host that can send packets could fill the disk.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.voice.model.ports import JournalEntry

MAX_BYTES = 1 << 22
"""The maximum size of all entries; beyond it those of the oldest call are dropped."""


class OrphanTraces:
    """A bounded store holds the entries of the latest calls that do not exist yet."""

    def __init__(self) -> None:
        self.by_call: dict[str, list[JournalEntry]] = {}
        """The entries of each call in chronological order, the oldest call first."""
        self._bytes = 0

    def add(self, entry: JournalEntry) -> None:
        """Keep an entry until its call exists."""
        self.by_call.setdefault(entry.call, []).append(entry)
        self._bytes += len(entry.data)
        while self._bytes > MAX_BYTES:
            self.claim(next(iter(self.by_call)))

    def entries_of(self, call: str) -> Sequence[JournalEntry]:
        """Return the entries of this call in chronological order."""
        return tuple(self.by_call.get(call, ()))

    def claim(self, call: str) -> Sequence[JournalEntry]:
        """Remove and return the entries of this call."""
        entries = self.by_call.pop(call, [])
        self._bytes -= sum(len(entry.data) for entry in entries)
        return entries
