"""What has come, packet by packet of all rows: who may speak, is it believed, is it sound or a key."""

from __future__ import annotations

import numpy as np

from holdfast.voice.media.dtmf import event_receiver
from holdfast.voice.media.frames import Bytes, Mask, Numbers
from holdfast.voice.media.rtp import rtp
from holdfast.voice.media.rtp.latch import Heard
from holdfast.voice.media.rtp.receiver_stats import ReceiverStats
from holdfast.voice.media.rtp.srtp import SrtpBatch, SrtpLegs
from holdfast.voice.media.tick import MixEngine
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.legs.dtmf_relay import DtmfRelay
from holdfast.voice.media_process.legs.latching import Latching
from holdfast.voice.media_process.legs.rows import LAWS, LegRows
from holdfast.voice.media_process.sockets.plain import Arrived, PacketIO

ROUNDS = 8
"""Packets taken of one socket in one tick. What else waits there is taken in the next one."""
MOST_SOUND = 500
"""Bytes of sound in a packet: 60 ms and some. Larger ones are refused."""
COMFORT_NOISE = 13
"""What phones send now and then in place of silence, some without having agreed to: a sign of life, and no sound.
Source: RFC 3389 §4; RFC 3551 §6."""


class RtpReceiver:
    """Takes packets from the sockets to the jitter buffers."""

    def __init__(
        self, rows: LegRows, *, io: PacketIO, sound: MixEngine, latching: Latching, passing: DtmfRelay, facts: FactQueue
    ) -> None:
        capacity = len(rows.received)
        self.reception = ReceiverStats(capacity)
        self._rows = rows
        self._io = io
        self._sound = sound
        self._latching = latching
        self._passing = passing
        self._facts = facts
        self._arrived = Arrived.room_for(capacity)
        self._lines = SrtpLegs(self._arrived.data)
        self._opening = self._lines.opening((), ())
        self._asked: tuple[int, bytes, bytes] = (0, b"", b"")

    def receive(self, now: float) -> None:
        """Take in some packets of every row."""
        for round_number in range(ROUNDS):
            count = self._io.receive(self._arrived, round_number=round_number)
            if not count:
                break
            self._take(count, now)
        for _ in range(ROUNDS if self._io.watches else 0):
            count = self._io.receive_watched(self._arrived)
            if not count:
                break
            self._take(count, now)

    def _take(self, count: int, now: float) -> None:
        """One packet of each of some rows."""
        state, arrived = self._rows, self._arrived
        rows, data, lengths = arrived.rows[:count], arrived.data[:count], arrived.lengths[:count]
        if state.srtp and (sealed := np.flatnonzero(state.sealed[rows])).size:
            self._lines.sizes[sealed] = lengths[sealed]
            self._opening_of(sealed, rows[sealed]).run()
            lengths[sealed] = self._lines.sizes[sealed]
        packets = rtp.plain(data, lengths, state.sound_type[rows], most=MOST_SOUND)
        if packets is not None and not arrived.sources and state.settled[rows].all():
            self._believe(packets, rows, slice(None), now)
            self._sound.put(packets, data, rows, packets.size > 0)
        else:
            self._choose(rtp.read(data, lengths), data, rows, now)

    def _opening_of(self, lines: Numbers, rows: Numbers) -> SrtpBatch:
        """What opens the packets in these lines, which came to these rows: mostly the same as in the last tick."""
        asked = (self._rows.rekeyed, lines.tobytes(), rows.tobytes())
        if asked != self._asked:
            self._asked = asked
            self._opening = self._lines.opening(lines.tolist(), [self._rows.srtp[row] for row in rows.tolist()])
        return self._opening

    def _choose(self, packets: rtp.Packets, data: Bytes, rows: Numbers, now: float) -> None:
        """Some are no sound, or come from who knows whom, or have headers of their own kind."""
        state, arrived = self._rows, self._arrived
        is_sound = packets.payload_type == state.sound_type[rows]
        changes = np.zeros(len(rows), dtype=np.bool_)
        if state.others:
            for k in np.flatnonzero(~is_sound).tolist():
                is_sound[k] = changes[k] = state.may_change_to(int(rows[k]), int(packets.payload_type[k]))
        is_event = packets.payload_type == state.dtmf_type[rows]
        is_rest = is_event | (packets.payload_type == COMFORT_NOISE)
        believed = packets.good & state.may_speak[rows] & (packets.size <= MOST_SOUND) & (is_rest | is_sound)
        for k, source in arrived.sources.items():
            if believed[k]:
                heard = Heard(source=source, ssrc=int(packets.ssrc[k]), sequence=int(packets.sequence[k]))
                believed[k] = self._latching.settle(int(rows[k]), heard)
        state.refused[rows[~believed]] += 1
        if not believed.any():
            return
        for k in np.flatnonzero(believed & changes).tolist():
            at, codec = int(rows[k]), state.change(int(rows[k]), int(packets.payload_type[k]))
            self._sound.describe(at, law=LAWS[codec], may_speak=True, g722=codec == "G722")
        self._believe(packets, rows, believed, now)
        self._sound.put(packets, data, rows, believed & ~is_rest & (packets.size > 0))
        resting = np.flatnonzero(believed & is_rest)
        if resting.size:
            self._sound.jitter.rest(rows[resting])
        for k in resting[is_event[resting]].tolist():
            start, end = int(packets.start[k]), int(packets.start[k] + packets.size[k])
            self._hear_key(
                int(rows[k]),
                data[k, start:end].tobytes(),
                timestamp=int(packets.timestamp[k]),
                marker=bool(packets.marker[k]),
                ssrc=int(packets.ssrc[k]),
            )

    def _believe(self, packets: rtp.Packets, rows: Numbers, which: Mask | slice, now: float) -> None:
        """These packets are their parties', whatever is in them."""
        heard = rows[which]
        self._rows.received[heard] += 1
        self._rows.heard_at[heard] = now
        self.reception.count(
            heard,
            ssrc=packets.ssrc[which],
            sequence=packets.sequence[which],
            timestamp=packets.timestamp[which],
            arrival=int(now * 8000),
        )

    def _hear_key(self, at: int, payload: bytes, *, timestamp: int, marker: bool, ssrc: int) -> None:
        row = self._rows.used[at]
        row.press, digit = event_receiver.hear(row.press, payload, timestamp=timestamp, marker=marker, ssrc=ssrc)
        if digit is not None:
            self._facts.put(m.RowDigitPressed(leg=row.leg, digit=digit))
            self._passing.pass_on(row, digit)
