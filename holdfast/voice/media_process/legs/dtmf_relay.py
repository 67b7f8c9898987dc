"""Keys of one of two who hear each other, passed on to the other in the way it understands."""

from __future__ import annotations

from holdfast.voice.media.dtmf.tone_generator import ToneGenerator
from holdfast.voice.media_process.legs.rows import LegRows, Row
from holdfast.voice.media_process.legs.rtp_send import RtpSender


class DtmfRelay:
    """For keys that are not in the sound already."""

    def __init__(self, rows: LegRows, *, outgoing: RtpSender, tones: ToneGenerator) -> None:
        self._rows = rows
        self._outgoing = outgoing
        self._tones = tones

    def pass_on(self, row: Row, digit: str) -> None:
        """Press this party's key for its peer: by telephone event where that was agreed, else by tones.

        Of three who hear each other nobody knows whom it is for, and who is held is heard by nobody.
        """
        peer = self._rows.peer_of(row)
        if peer is None:
            return
        if self._rows.used[peer].dtmf_payload_type is None:
            self._tones.press(peer, digit)
        else:
            self._outgoing.pass_on(peer, digit)

    def rerouted(self, at: int) -> None:
        """This leg hears somebody else now, or nothing: what waits for it was not meant for that ear."""
        self._tones.end(at)
        self._outgoing.pass_on_no_more(at)
