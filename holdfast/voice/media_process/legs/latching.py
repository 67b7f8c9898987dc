"""Latching of rows: the latch of each row, and its sockets, which follow the latch."""

from __future__ import annotations

from holdfast.voice.media.rtp.latch import (
    Latch,
    PacketIdentity,
    receive,
    unlock,
)
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.legs.rows import LegRows
from holdfast.voice.media_process.sockets.plain import PacketIO


class Latching:
    """Latching keeps latches and sockets in step.

    Invariant: a row is connected exactly while the choice of its latch is final.
    """

    def __init__(self, rows: LegRows, io: PacketIO, facts: FactQueue) -> None:
        self._rows = rows
        self._io = io
        self._facts = facts

    def apply(self, row: int, latch: Latch) -> None:
        """Apply a latch: set the row's sockets, and post a new source."""
        rows = self._rows
        leg_row, before = rows.used[row], rows.used[row].latch
        socket_filter = latch.socket_filter
        if (
            socket_filter != before.socket_filter
            and socket_filter.connected is not None
            and not self._io.connect(row, socket_filter.connected)
        ):
            latch = unlock(before)
            socket_filter = latch.socket_filter
        leg_row.latch = latch
        if socket_filter != before.socket_filter:
            if socket_filter.connected is None:
                self._io.disconnect(row)
            self._io.admit(row, socket_filter.admitted)
            self._io.watch(row, socket_filter.watched)
            rows.connected[row] = socket_filter.connected is not None
        if latch.latched is not None and latch.latched != before.latched:
            self._facts.post(m.FirstPacket(leg=leg_row.leg, source=latch.latched))
        if latch.remote != before.remote:
            self._io.set_destination(row, latch.remote)
            rows.update_sending(row)

    def accept(self, row: int, packet: PacketIdentity) -> bool:
        """Give a valid packet of a row that is not connected to its latch; return whether it is accepted."""
        self.apply(row, receive(self._rows.used[row].latch, packet, authenticated=bool(self._rows.encrypted[row])))
        return self._rows.used[row].latch.latched == packet.source

    def unauthenticated(self, row: int) -> tuple[int, m.Address | None]:
        """Return the number of unauthenticated packets of a row, and the source of the newest."""
        return self._io.unauthenticated(row)

    def unlock(self, row: int, *, peer_lost: bool) -> None:
        """Unlock the latch of a row whose party is silent: packets from other admitted addresses may be its own now."""
        latch = self._rows.used[row].latch
        if latch.latched is not None or peer_lost > latch.peer_lost:
            self.apply(row, unlock(latch, peer_lost=peer_lost))
