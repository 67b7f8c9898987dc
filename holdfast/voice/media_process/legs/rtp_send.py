"""What leaves in a tick: sound, or a telephone event in its place while a key is pressed for a leg; sealed or plain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.voice.media.dtmf.event_sender import OutgoingEvent, packet, plan
from holdfast.voice.media.frames import Numbers
from holdfast.voice.media.rtp.rtp import PACKET, OutgoingStreams
from holdfast.voice.media.rtp.srtp import SrtpLegs
from holdfast.voice.media_process.legs.rows import LegRows
from holdfast.voice.media_process.sockets.plain import PacketIO

MAX_RELAYED_TICKS = 100
"""Ticks of keys that wait to be passed on to a peer."""


@dataclass(slots=True, kw_only=True)
class DigitSending:
    """Keys being pressed for a leg: what is sent in each tick, of which so many are over, and how often all of it.

    `passed_on` are those of its peer. Invariant: `ticks` is not empty, `over` is less than its length, `rounds` ≥ 1.
    """

    ticks: Sequence[OutgoingEvent | None]
    done: int = 0
    loops: int = 1
    relayed: bool = False


class RtpSender:
    """Takes packets from their array to the sockets."""

    def __init__(self, rows: LegRows, *, io: PacketIO, streams: OutgoingStreams) -> None:
        self._rows = rows
        self._io = io
        self._streams = streams
        self._packets = [packet.data for packet in streams.packets]
        self._srtp_legs = SrtpLegs(streams.packets)
        self._sizes = self._srtp_legs.sizes
        self._sizes[:] = PACKET
        self._batch_rows: Numbers | None = None
        """The rows we send from, as they were when those that are sealed were looked for."""
        self._encrypted: Numbers = np.zeros(0, dtype=np.intp)
        self._protect_batch = self._srtp_legs.protect_batch((), ())
        self._digits: dict[int, DigitSending] = {}
        self._event_timestamps: dict[int, int] = {}
        """The timestamp at which the newest key of a leg began."""

    def send_digits(self, row: int, digits: str, *, loops: int) -> None:
        """Press these keys for a leg, from its next packet on."""
        ticks = plan(digits)
        if ticks:
            self._digits[row] = DigitSending(ticks=ticks, loops=loops)

    def relay_digit(self, row: int, digit: str) -> None:
        """Press a key of its peer's for a leg, behind those that wait; one too many is dropped."""
        current = self._digits.get(row)
        left = () if current is None or not current.relayed else tuple(current.ticks[current.done :])
        if len(left) < MAX_RELAYED_TICKS:
            self._digits[row] = DigitSending(ticks=(*left, *plan(digit)), relayed=True)

    def stop_relaying(self, row: int) -> None:
        """Press no more keys of its peer's for a leg; its own go on."""
        current = self._digits.get(row)
        if current is not None and current.relayed:
            self.stop_digits(row)

    def stop_digits(self, row: int) -> None:
        """Press nothing more for a leg."""
        self._digits.pop(row, None)

    def send(self, *, skipped: int) -> Numbers:
        """Send every packet that is to leave, after `skipped` ticks left out; the rows whose packet was taken."""
        rows, sending = self._rows, self._rows.sending
        event_rows = self._write_events() if self._digits else []
        if self._batch_rows is not sending:
            # There is another one whenever a leg was described.
            self._batch_rows = sending
            self._encrypted = sending[rows.encrypted[sending]]
            encrypted = self._encrypted.tolist()
            self._protect_batch = self._srtp_legs.protect_batch(encrypted, [rows.srtp[row] for row in encrypted])
        self._protect_batch.run()
        sizes = self._sizes[sending].astype(np.intp)
        if not sizes.all():
            sending, sizes = sending[sizes > 0], sizes[sizes > 0]
        sent = self._io.send(sending, sizes)
        # A number that was sealed is used up, whether its packet was taken or not: to seal another one with it would
        # tell what is in both. Source: RFC 3711 §9.1.
        used = sent if len(sent) == len(rows.sending) else np.union1d(sent, self._encrypted)
        self._streams.advance(rows.high, used, skipped=skipped)
        self._sizes[self._encrypted] = self._sizes[event_rows] = PACKET
        return sent

    def _replace_packet(self, row: int, data: bytes) -> None:
        """Send this in place of the row's packet."""
        self._packets[row][: len(data)] = data
        self._sizes[row] = len(data)

    def _write_events(self) -> list[int]:
        """Put the events of this tick in place of sound; the rows they are for.

        A leg without telephone events hears tones, which its player plays.
        """
        streams = self._streams
        event_rows = []
        for row, sending_digits in list(self._digits.items()):
            event = sending_digits.ticks[sending_digits.done]
            sending_digits.done += 1
            if sending_digits.done == len(sending_digits.ticks):
                sending_digits.done = 0
                sending_digits.loops -= 1
                if not sending_digits.loops:
                    del self._digits[row]
            leg_row = self._rows.used[row]
            payload_type = leg_row.dtmf_payload_type
            if event is not None and event.first:
                self._event_timestamps[row] = int(streams.timestamp[row])
            if event is not None and payload_type is not None and (leg_row.hears is not None) is sending_digits.relayed:
                numbers = {"sequence": int(streams.sequence[row]), "event_timestamp": self._event_timestamps[row]}
                self._replace_packet(row, packet(event, payload_type=payload_type, ssrc=streams.ssrc(row), **numbers))
                event_rows.append(row)
        return event_rows
