"""Relay the digits of one of two legs that hear each other to the other, in the form that it understands."""

from __future__ import annotations

from holdfast.voice.media.dtmf.tone_generator import ToneGenerator
from holdfast.voice.media_process.legs.rows import LegRow, LegRows
from holdfast.voice.media_process.legs.rtp_send import RtpSender


class DtmfRelay:
    """The DTMF relay handles digits that are not in the audio already."""

    def __init__(self, rows: LegRows, *, sender: RtpSender, tone_generator: ToneGenerator) -> None:
        self._rows = rows
        self._sender = sender
        self._tone_generator = tone_generator

    def relay(self, leg_row: LegRow, digit: str) -> None:
        """Send this party's digit to its peer: by telephone event where that was agreed, else by tones.

        With three legs that hear each other there is no single peer, and a held party is heard by no leg.
        """
        peer = self._rows.peer_of(leg_row)
        if peer is None:
            return
        if self._rows.used[peer].dtmf_payload_type is None:
            self._tone_generator.add(peer, digit)
        else:
            self._sender.relay_digit(peer, digit)

    def clear(self, row: int) -> None:
        """Drop the digits that wait for a leg that hears another leg now, or nothing: they were not meant for it."""
        self._tone_generator.clear(row)
        self._sender.stop_relaying(row)
