"""Keys of one of two who hear each other, passed on to the other in the way it understands."""

from __future__ import annotations

from holdfast.voice.media.dtmf.tone_generator import ToneGenerator
from holdfast.voice.media_process.legs.rows import LegRow, LegRows
from holdfast.voice.media_process.legs.rtp_send import RtpSender


class DtmfRelay:
    """For keys that are not in the sound already."""

    def __init__(self, rows: LegRows, *, sender: RtpSender, tone_generator: ToneGenerator) -> None:
        self._rows = rows
        self._sender = sender
        self._tone_generator = tone_generator

    def relay(self, leg_row: LegRow, digit: str) -> None:
        """Press this party's key for its peer: by telephone event where that was agreed, else by tones.

        Of three who hear each other nobody knows whom it is for, and who is held is heard by nobody.
        """
        peer = self._rows.peer_of(leg_row)
        if peer is None:
            return
        if self._rows.used[peer].dtmf_payload_type is None:
            self._tone_generator.add(peer, digit)
        else:
            self._sender.relay_digit(peer, digit)

    def clear(self, row: int) -> None:
        """This leg hears somebody else now: what waits for it was not meant for that ear."""
        self._tone_generator.clear(row)
        self._sender.stop_relaying(row)
