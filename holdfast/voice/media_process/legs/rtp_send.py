"""Send the packets of a tick: audio, or a telephone event in its place while a digit is sent; encrypted or plain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.voice.media.dtmf.event_sender import OutgoingEvent, packet, plan
from holdfast.voice.media.frames import Numbers
from holdfast.voice.media.mix.routing import Seats
from holdfast.voice.media.rtp.rtp import PACKET, OutgoingStreams
from holdfast.voice.media.rtp.srtp import SrtpLegs
from holdfast.voice.media.tick import MixEngine
from holdfast.voice.media_process.legs.rows import LegRows
from holdfast.voice.media_process.sockets.plain import PacketIO

MAX_RELAYED_TICKS = 100
"""Ticks of relayed digits that may wait for a leg."""


@dataclass(slots=True, kw_only=True)
class DigitSending:
    """Digit sending is the digits being sent to a leg: one packet or None per tick.

    `done` ticks are over, `loops` times all of it is sent, `relayed` digits are those of the leg's peer.
    Invariant: `ticks` is not empty, `done` is less than its length, `loops` ≥ 1.
    """

    ticks: Sequence[OutgoingEvent | None]
    done: int = 0
    loops: int = 1
    relayed: bool = False


class RtpSender:
    """The RTP sender moves packets from their array to the sockets."""

    def __init__(self, rows: LegRows, *, io: PacketIO, streams: OutgoingStreams, seats: Seats) -> None:
        self._rows = rows
        self._seats = seats
        self._io = io
        self._streams = streams
        self._packets = [packet.data for packet in streams.packets]
        self._srtp_legs = SrtpLegs(streams.packets)
        self._sizes = self._srtp_legs.sizes
        self._sizes[:] = PACKET
        self._batch_rows: Numbers | None = None
        """The rows we send from, as they were when the encrypted ones were looked for."""
        self._encrypted: Numbers = np.zeros(0, dtype=np.intp)
        self._protect_batch = self._srtp_legs.protect_batch((), ())
        self._digits: dict[int, DigitSending] = {}
        self._event_timestamps: dict[int, int] = {}
        """The timestamp at which the newest digit of a leg began."""

    def send_digits(self, row: int, digits: str, *, loops: int) -> None:
        """Send these digits to a leg, from its next packet on."""
        ticks = plan(digits)
        if ticks:
            self._digits[row] = DigitSending(ticks=ticks, loops=loops)

    def relay_digit(self, row: int, digit: str) -> None:
        """Send a digit of its peer to a leg, behind those that wait; when too many wait, the digit is dropped."""
        current = self._digits.get(row)
        left = () if current is None or not current.relayed else tuple(current.ticks[current.done :])
        if len(left) < MAX_RELAYED_TICKS:
            self._digits[row] = DigitSending(ticks=(*left, *plan(digit)), relayed=True)

    def stop_relaying(self, row: int) -> None:
        """Send no more digits of its peer to a leg; its own go on."""
        current = self._digits.get(row)
        if current is not None and current.relayed:
            self.stop_digits(row)

    def stop_digits(self, row: int) -> None:
        """Send no more digits to a leg."""
        self._digits.pop(row, None)

    def send(self, *, skipped: int) -> Numbers:
        """Send every packet of this tick; return the rows whose packet was taken.

        `skipped` ticks were left out before it.
        """
        rows, sending = self._rows, self._rows.sending
        event_rows = self._write_events() if self._digits else []
        if self._batch_rows is not sending:
            # There is a new array after each description of a leg.
            self._batch_rows = sending
            self._encrypted = sending[rows.encrypted[sending]]
            encrypted = self._encrypted.tolist()
            self._protect_batch = self._srtp_legs.protect_batch(encrypted, [rows.srtp[row] for row in encrypted])
        self._protect_batch.run()
        sizes = self._sizes[sending].astype(np.intp)
        if not sizes.all():
            sending, sizes = sending[sizes > 0], sizes[sizes > 0]
        sent = self._io.send(sending, sizes)
        # A sequence number that was encrypted is used up, whether its packet was taken or not: to encrypt another
        # packet with it would reveal the content of both. Source: RFC 3711 §9.1.
        used = sent if len(sent) == len(rows.sending) else np.union1d(sent, self._encrypted)
        self._streams.advance(rows.high, used, skipped=skipped)
        self._sizes[self._encrypted] = self._sizes[event_rows] = PACKET
        return sent

    def _replace_packet(self, row: int, data: bytes) -> None:
        """Write these bytes in place of the row's packet."""
        self._packets[row][: len(data)] = data
        self._sizes[row] = len(data)

    def _write_events(self) -> list[int]:
        """Write the events of this tick in place of audio; return their rows.

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
            if (
                event is not None
                and payload_type is not None
                and self._seats.plays_own(row) is not sending_digits.relayed
            ):
                numbers = {"sequence": int(streams.sequence[row]), "event_timestamp": self._event_timestamps[row]}
                self._replace_packet(row, packet(event, payload_type=payload_type, ssrc=streams.ssrc(row), **numbers))
                event_rows.append(row)
        return event_rows


class DtmfRelay:
    """The DTMF relay sends the digits of one of two legs that hear each other to the other, in the form that it takes.

    It handles digits that are not in the audio already.
    """

    def __init__(self, rows: LegRows, *, sender: RtpSender, mix_engine: MixEngine) -> None:
        self._rows = rows
        self._sender = sender
        self._mix_engine = mix_engine
        self._source = mix_engine.routing(0).source
        """What each row heard when the routing was derived last."""

    def relay(self, row: int, digit: str) -> None:
        """Send this party's digit to its peer: by telephone event where that was agreed, else by tones.

        With three legs that hear each other there is no single peer, and a held party is heard by no leg.
        """
        source = self._mix_engine.routing(self._rows.high).source
        peer = int(source[row])
        if peer >= len(source) or peer == row or source[peer] != row:
            return
        if self._rows.used[peer].dtmf_payload_type is None:
            self._mix_engine.tone_generator.add(peer, digit)
        else:
            self._sender.relay_digit(peer, digit)

    def clear_rerouted(self, n: int) -> None:
        """Drop the digits that wait for a leg that hears another leg now, or nothing: they were not meant for it."""
        before, self._source = self._source, self._mix_engine.routing(n).source
        both = min(len(before), n)
        for row in np.flatnonzero(before[:both] != self._source[:both]).tolist():
            self.clear(row)

    def clear(self, row: int) -> None:
        """Drop the digits of its peer that wait for a leg."""
        self._mix_engine.tone_generator.clear(row)
        self._sender.stop_relaying(row)
