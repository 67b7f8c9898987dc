"""Relay the digits of one of two legs that hear each other to the other, in the form that it understands."""

from __future__ import annotations

import numpy as np

from holdfast.voice.media.tick import MixEngine
from holdfast.voice.media_process.legs.rows import LegRows
from holdfast.voice.media_process.legs.rtp_send import RtpSender


class DtmfRelay:
    """The DTMF relay handles digits that are not in the audio already."""

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
