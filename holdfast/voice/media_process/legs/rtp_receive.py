"""Receive RTP, packet by packet of all rows: is it accepted, and is it audio or a DTMF event."""

from __future__ import annotations

import numpy as np

from holdfast.voice.media.dtmf import event_receiver
from holdfast.voice.media.frames import Bytes, Mask, Numbers
from holdfast.voice.media.rtp import rtp
from holdfast.voice.media.rtp.latch import PacketIdentity
from holdfast.voice.media.rtp.receiver_stats import ReceiverStats
from holdfast.voice.media.rtp.srtp import SrtpBatch, SrtpLegs
from holdfast.voice.media.tick import MixEngine
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.legs.latching import Latching
from holdfast.voice.media_process.legs.rows import COMPANDING, LegRows
from holdfast.voice.media_process.legs.rtp_send import DtmfRelay
from holdfast.voice.media_process.sockets.plain import PacketIO, ReceivedDatagrams
from holdfast.voice.model.facts import DigitPressed
from holdfast.voice.model.ids import CallSid

MAX_ROUNDS = 8
"""Packets read from one socket in one tick. Others that wait are read in the next one."""
MAX_AUDIO = 1600
"""Bytes of audio in a packet: 200 ms, which our descriptions name as `maxptime`. Longer packets show that the party is
there, and are not played. Source: RFC 3551 §4.2; RFC 8866 §6.5."""
COMFORT_NOISE = 13
"""The payload type of comfort noise, which phones send in place of silence.

Some send it without having agreed to: it is a sign of life, and not audio. Source: RFC 3389 §4; RFC 3551 §6.
"""


class RtpReceiver:
    """The RTP receiver moves packets from the sockets to the jitter buffers."""

    def __init__(
        self,
        rows: LegRows,
        *,
        io: PacketIO,
        mix_engine: MixEngine,
        latching: Latching,
        dtmf_relay: DtmfRelay,
        facts: FactQueue,
    ) -> None:
        capacity = len(rows.received)
        self.receiver_stats = ReceiverStats(capacity)
        self._rows = rows
        self._io = io
        self._mix_engine = mix_engine
        self._latching = latching
        self._dtmf_relay = dtmf_relay
        self._facts = facts
        self._datagrams = ReceivedDatagrams.allocate(capacity)
        self._srtp_legs = SrtpLegs(self._datagrams.data)
        self._unprotect_batch = self._srtp_legs.unprotect_batch((), ())
        self._batch_key: tuple[int, bytes, bytes] = (0, b"", b"")

    def receive(self, now: float) -> None:
        """Receive some packets of every row."""
        for round_number in range(MAX_ROUNDS):
            count = self._io.receive(self._datagrams, round_number=round_number)
            if not count:
                break
            self._process(count, now)
        for _ in range(MAX_ROUNDS if self._io.has_watched else 0):
            count = self._io.receive_watched(self._datagrams)
            if not count:
                break
            self._process(count, now)

    def _process(self, count: int, now: float) -> None:
        """Process one packet of each of some rows: decrypt, parse and store it."""
        state, datagrams = self._rows, self._datagrams
        rows, data, lengths = datagrams.rows[:count], datagrams.data[:count], datagrams.lengths[:count]
        if state.srtp and (encrypted := np.flatnonzero(state.encrypted[rows])).size:
            self._srtp_legs.sizes[encrypted] = lengths[encrypted]
            self._batch_for(encrypted, rows[encrypted]).run()
            lengths[encrypted] = self._srtp_legs.sizes[encrypted]
        packets = rtp.parse_simple(data, lengths, state.audio_payload_type[rows], max_payload=MAX_AUDIO)
        if packets is not None and not datagrams.sources and state.connected[rows].all():
            self._count(packets, rows, slice(None), now)
            self._mix_engine.put(packets, data, rows, packets.size > 0)
        else:
            self._classify(rtp.parse(data, lengths), data, rows, now)

    def _batch_for(self, lines: Numbers, rows: Numbers) -> SrtpBatch:
        """Return the batch that decrypts these lines, which came to these rows: mostly the same as in the last tick."""
        key = (self._rows.srtp_generation, lines.tobytes(), rows.tobytes())
        if key != self._batch_key:
            self._batch_key = key
            self._unprotect_batch = self._srtp_legs.unprotect_batch(
                lines.tolist(), [self._rows.srtp[row] for row in rows.tolist()]
            )
        return self._unprotect_batch

    def _classify(self, packets: rtp.Packets, data: Bytes, rows: Numbers, now: float) -> None:
        """Classify packets one by one (slow path): payload type, source, irregular headers."""
        state, datagrams = self._rows, self._datagrams
        is_audio = packets.payload_type == state.audio_payload_type[rows]
        changes = np.zeros(len(rows), dtype=np.bool_)
        if state.alternatives:
            for k in np.flatnonzero(~is_audio).tolist():
                is_audio[k] = changes[k] = state.accepts(int(rows[k]), int(packets.payload_type[k]))
        is_event = (packets.payload_type[:, np.newaxis] == state.event_payload_types[rows]).any(axis=1)
        is_not_audio = is_event | (packets.payload_type == COMFORT_NOISE)
        accepted = packets.valid & state.receiving[rows] & (is_not_audio | is_audio)
        for k, source in datagrams.sources.items():
            if accepted[k]:
                identity = PacketIdentity(source=source, ssrc=int(packets.ssrc[k]), sequence=int(packets.sequence[k]))
                accepted[k] = self._latching.accept(int(rows[k]), identity)
        state.refused[rows[~accepted]] += 1
        if not accepted.any():
            return
        self._count(packets, rows, accepted, now)
        too_long = packets.size > MAX_AUDIO
        state.too_long[rows[accepted & too_long]] += 1
        accepted &= ~too_long
        for k in np.flatnonzero(accepted & changes).tolist():
            row, codec = int(rows[k]), state.switch_codec(int(rows[k]), int(packets.payload_type[k]))
            self._mix_engine.describe(
                row,
                companding=COMPANDING[codec],
                receive=True,
                g722=codec == "G722",
                payload_type=state.used[row].payload_types.sending(codec),
            )
        self._mix_engine.put(packets, data, rows, accepted & ~is_not_audio & (packets.size > 0))
        paused = np.flatnonzero(accepted & is_not_audio)
        if paused.size:
            self._mix_engine.jitter.pause(rows[paused])
        for k in paused[is_event[paused]].tolist():
            start, end = int(packets.start[k]), int(packets.start[k] + packets.size[k])
            self._handle_event(
                int(rows[k]),
                data[k, start:end].tobytes(),
                timestamp=int(packets.timestamp[k]),
                marker=bool(packets.marker[k]),
                ssrc=int(packets.ssrc[k]),
            )

    def _count(self, packets: rtp.Packets, rows: Numbers, which: Mask | slice, now: float) -> None:
        """Count these packets as their parties', whatever is in them."""
        counted = rows[which]
        self._rows.received[counted] += 1
        self._rows.received_at[counted] = now
        self.receiver_stats.count(
            counted,
            ssrc=packets.ssrc[which],
            sequence=packets.sequence[which],
            timestamp=packets.timestamp[which],
            arrival=int(now * 8000),
        )

    def _handle_event(self, row: int, payload: bytes, *, timestamp: int, marker: bool, ssrc: int) -> None:
        leg_row = self._rows.used[row]
        leg_row.digit_press, digit = event_receiver.receive(
            leg_row.digit_press, payload, timestamp=timestamp, marker=marker, ssrc=ssrc
        )
        if digit is not None:
            self._facts.post(DigitPressed(call=CallSid(leg_row.leg), digit=digit))
            self._dtmf_relay.relay(row, digit)
