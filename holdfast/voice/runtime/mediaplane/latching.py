"""Whose packets a row listens to: its latch, and its socket, which does what the latch says."""

from __future__ import annotations

from holdfast.voice.media.latch import Latch, hear, reopen
from holdfast.voice.runtime.mediaplane import messages as m
from holdfast.voice.runtime.mediaplane.outbox import Outbox
from holdfast.voice.runtime.mediaplane.packets import PacketIO
from holdfast.voice.runtime.mediaplane.rows import Rows


class Latching:
    """Invariant: a row is connected exactly while its latch is settled."""

    def __init__(self, rows: Rows, io: PacketIO, facts: Outbox) -> None:
        self._rows = rows
        self._io = io
        self._facts = facts

    def follow(self, at: int, latch: Latch) -> None:
        """Make the row's socket do what its latch says from now on."""
        rows = self._rows
        row = rows.used[at]
        if latch == row.latch:
            return
        if latch.settled is None:
            self._io.disconnect(at)
            rows.settled[at] = False
        elif self._io.connect(at, latch.settled):
            rows.settled[at] = True
            self._facts.put(m.FirstPacket(leg=row.leg, source=latch.settled))
        else:
            latch = reopen(row.latch)
        row.latch = latch
        self._io.aim(at, latch.sends_to)
        rows.find_sending(at)

    def settle(self, at: int, source: m.Address | None) -> bool:
        """A valid packet came to a row that listens to everybody: whether it is believed."""
        if source is not None:
            proven = bool(self._rows.sealed[at])
            self.follow(at, hear(self._rows.used[at].latch, source, proven=proven))
        return bool(self._rows.settled[at])

    def reopen(self, at: int, *, lost: bool) -> None:
        """The row's party is silent: whoever comes now from its host may be it; when it is lost, whoever insists."""
        latch = self._rows.used[at].latch
        if latch.settled is not None or lost > latch.lost:
            self.follow(at, reopen(latch, lost=lost))
