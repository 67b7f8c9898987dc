"""Lines of the journal whose call is not on the board yet: an INVITE comes before its call does.

Many such calls never come: a scanner's, one to an unknown number. Their lines can be read for a while, and are not
written down, else whoever can send us packets could fill the disk.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.voice.model.ports import Entry

MAX_BYTES = 1 << 22
"""Of lines that wait for their calls; beyond it the call that began first loses its own."""


class OrphanTraces:
    """The lines of the latest calls that are not there yet."""

    def __init__(self) -> None:
        self._lines: dict[str, list[Entry]] = {}
        self._bytes = 0

    def add(self, entry: Entry) -> None:
        """Keep a line for when its call comes."""
        self._lines.setdefault(entry.call, []).append(entry)
        self._bytes += len(entry.data)
        while self._bytes > MAX_BYTES:
            self.claim(next(iter(self._lines)))

    def entries_of(self, call: str) -> Sequence[Entry]:
        """The lines of this call, in the order in which they happened."""
        return tuple(self._lines.get(call, ()))

    def claim(self, call: str) -> Sequence[Entry]:
        """The same, and they are kept no longer."""
        lines = self._lines.pop(call, [])
        self._bytes -= sum(len(line.data) for line in lines)
        return lines
