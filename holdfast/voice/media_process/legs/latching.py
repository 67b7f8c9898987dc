"""Whose packets a row listens to: its latch, and its sockets, which do what the latch says."""

from __future__ import annotations

from holdfast.voice.media.rtp.latch import (
    Heard,
    Latch,
    hear,
    reopen,
)
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.legs.rows import LegRows
from holdfast.voice.media_process.sockets.plain import PacketIO


class Latching:
    """Invariant: a row is connected exactly while the choice of its latch is final."""

    def __init__(self, rows: LegRows, io: PacketIO, facts: FactQueue) -> None:
        self._rows = rows
        self._io = io
        self._facts = facts

    def follow(self, at: int, latch: Latch) -> None:
        """Make the row's socket do what its latch says from now on."""
        rows = self._rows
        row, before = rows.used[at], rows.used[at].latch
        wanted = latch.listening
        if wanted != before.listening and wanted.only is not None and not self._io.connect(at, wanted.only):
            latch = reopen(before)
            wanted = latch.listening
        row.latch = latch
        if wanted != before.listening:
            if wanted.only is None:
                self._io.disconnect(at)
            self._io.admit(at, wanted.admitted)
            self._io.watch(at, wanted.watched)
            rows.settled[at] = wanted.only is not None
        if latch.settled is not None and latch.settled != before.settled:
            self._facts.put(m.FirstPacket(leg=row.leg, source=latch.settled))
        if latch.sends_to != before.sends_to:
            self._io.aim(at, latch.sends_to)
            rows.find_sending(at)

    def settle(self, at: int, heard: Heard) -> bool:
        """A valid packet came to a row that is not connected, or from its second address: whether it is believed."""
        self.follow(at, hear(self._rows.used[at].latch, heard, proven=bool(self._rows.sealed[at])))
        return self._rows.used[at].latch.settled == heard.source

    def strangers(self, at: int) -> tuple[int, m.Address | None]:
        """How many packets of a row came from where its latch admits nobody, and from where the newest did."""
        return self._io.strangers(at)

    def reopen(self, at: int, *, lost: bool) -> None:
        """The row's party is silent: packets from other addresses that are admitted may be its own now."""
        latch = self._rows.used[at].latch
        if latch.settled is not None or lost > latch.lost:
            self.follow(at, reopen(latch, lost=lost))
