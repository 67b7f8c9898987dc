"""The audio of all legs, and the one pass over it every 20 ms.

POINT OF VIEW: RX IS FROM THE PARTY TO US, TX IS FROM US TO THE PARTY. ROW r IS THE SAME LEG IN EVERY ARRAY.

    RX packets -> jitter buffers -> F                           SRC[r] is the row of F that leg r hears
                               +------------------------+
                       row 0   | RX of leg 0            |       SRC[1] = 0                 leg 1 hears leg 0
                       row 1   | RX of leg 1            |       SRC[0] = 1                 leg 0 hears leg 1
                       row 2   | RX of leg 2 (held)     |
                        rows   +------------------------+
                               | one mix per listener   |       SRC[r] = rows + k          leg r hears several
                    2 * rows   +------------------------+
                               | silence, µ-law, A-law  |       SRC[r] = 2 * rows          leg r hears nothing
                2 * rows + 2   +------------------------+
                               | clips, µ-law, A-law    |       SRC[2] = 2 * rows + 2 + f  leg 2 hears music
                               +------------------------+

    tx = F[SRC], transcoded where the companding differs, then beeps and DTMF tones -> TX packets

A hold is one number: `SRC` of the held row is a frame of its player, and no sum contains the row. A resume is the old
number again.
"""

from __future__ import annotations

import numpy as np

from holdfast.voice.media.codec.g711 import (
    PAYLOAD_TYPE,
    SILENCE,
    TRANSCODE,
    ULAW,
)
from holdfast.voice.media.dtmf.tone_detector import ToneDetector
from holdfast.voice.media.dtmf.tone_generator import ToneGenerator
from holdfast.voice.media.frames import SAMPLES, Bytes, Layout, Mask, Numbers
from holdfast.voice.media.mix.beeps import Beeps
from holdfast.voice.media.mix.clips import ClipBank, Players
from holdfast.voice.media.mix.concealment import Concealment
from holdfast.voice.media.mix.g722_legs import PAYLOAD_TYPE as G722_PAYLOAD_TYPE
from holdfast.voice.media.mix.g722_legs import G722Legs
from holdfast.voice.media.mix.mixer import Mixer
from holdfast.voice.media.mix.routing import Routing, Seats, derive
from holdfast.voice.media.mix.vad import HOLD_LOUD_DB, HOLD_LOUD_FRAMES, VoiceActivity
from holdfast.voice.media.rtp.jitter import G722, JitterBuffers
from holdfast.voice.media.rtp.rtp import HEADER, OutgoingStreams, Packets


class MixEngine:
    """The mix engine holds the arrays of every leg.

    Rows are opened, described, routed and closed between ticks only.
    """

    def __init__(self, *, rows: int, clip_frames: int) -> None:
        self.layout = Layout(rows=rows, clip_frames=clip_frames)
        self.frames: Bytes = self.layout.matrix()
        self.jitter = JitterBuffers(rows)
        self.concealment = Concealment(rows)
        self.g722_legs = G722Legs()
        self.tone_detector = ToneDetector(rows)
        self.digits: list[tuple[int, str]] = []
        """The rows in whose audio a digit began in the newest tick, and the digits."""
        self.voice_activity = VoiceActivity(rows)
        self.speech_changes: list[tuple[int, bool]] = []
        """The rows whose party began to speak in the newest tick (True), or stopped (False)."""
        self.holder_activity = VoiceActivity(rows, loud_db=HOLD_LOUD_DB, loud_frames=HOLD_LOUD_FRAMES)
        self.holder_changes: list[tuple[int, bool]] = []
        """The rows whose phone holds and began in the newest tick to send no silence (True), or stopped (False)."""
        self.streams = OutgoingStreams(rows)
        self.clips = ClipBank(self.frames[self.layout.clips(ULAW) :])
        self.players = Players(self.layout)
        self.beeps = Beeps(rows)
        self.tone_generator = ToneGenerator()
        self.companding: Numbers = np.zeros(rows, dtype=np.intp)
        self.seats = Seats(rows)
        self._dropping: set[int] = set()
        self.tx: Bytes = np.zeros((rows, SAMPLES), dtype=np.uint8)
        """The TX frame of each leg in the newest tick, in its companding.

        Shape: `[rows, 160]`, uint8.
        """
        self._mixer = Mixer()
        self._routing: Routing | None = None

    def open(self, row: int, *, ssrc: int, sequence: int, timestamp: int) -> None:
        """Begin a leg: it is silent, and hears its own player, which plays nothing yet."""
        self.streams.open(row, ssrc=ssrc, sequence=sequence, timestamp=timestamp)
        self.jitter.open(row, coding=0)
        self.concealment.open(row, silence=SILENCE[0])
        self.players.stop(row)
        self.seats.open(row)
        self.describe(row, companding=0, receive=False)

    def describe(
        self, row: int, *, companding: int, receive: bool, g722: bool = False, payload_type: int | None = None
    ) -> None:
        """Set the companding of a leg for both directions, and the payload type of its TX packets if it is not static.

        Frames that wait are dropped when the leg may not send, or its companding changed. A leg whose packets are G.722
        has µ-law as its companding.
        """
        if companding != self.companding[row] or not receive or g722 != (row in self.g722_legs.rows):
            self.jitter.reset(row, coding=G722 if g722 else companding)
            self.concealment.reset(row, silence=SILENCE[companding])
            self.frames[row] = SILENCE[companding]
        self.companding[row] = companding
        self.players.describe(row, companding=companding)
        static = G722_PAYLOAD_TYPE if g722 else PAYLOAD_TYPE[companding]
        self.streams.describe(row, payload_type=static if payload_type is None else payload_type)
        if g722:
            self.g722_legs.add(row)
        else:
            self.g722_legs.remove(row)
        self._routing = None

    def close(self, row: int) -> None:
        """Close a leg: its listeners hear silence in its place."""
        self.g722_legs.remove(row)
        self.tone_detector.set_enabled(row, enabled=False)
        self.voice_activity.set_enabled(row, enabled=False)
        self.holder_activity.set_enabled(row, enabled=False)
        self.beeps.stop(row)
        self.tone_generator.clear(row)
        self.players.stop(row)
        self._dropping.discard(row)
        self.seats.close(row)
        self._routing = None

    def reroute(self) -> None:
        """Derive the routing again, because the seats changed."""
        self._routing = None

    @property
    def is_rerouted(self) -> bool:
        """Return whether the routing is to be derived again."""
        return self._routing is None

    def routing(self, n: int) -> Routing:
        """Return the routing of the first `n` rows."""
        if self._routing is None or len(self._routing.source) != n:
            self._routing = derive(self.seats, companding=self.companding, layout=self.layout, rows=n)
        return self._routing

    def set_sending(self, row: int, *, sending: bool) -> None:
        """Set whether a leg is sent anything.

        A leg that is sent nothing, because its own phone holds, hears silence: a recording of its TX audio contains
        nothing of the parties that it keeps on hold.
        """
        self.seats.sending[row] = sending
        self._routing = None

    def drop(self, row: int) -> None:
        """Drop the RX audio of a leg that waits in its jitter buffer, before the next tick.

        A frame of silence takes its place, so that concealment continues nothing of it either.
        """
        self._dropping.add(row)

    def put(self, packets: Packets, data: Bytes, rows: Numbers, chosen: Mask) -> None:
        """Store the chosen packets of some rows. Shape: as `rtp.parse` gave them, one per row; `chosen[k]`."""
        if chosen.all():
            chosen_rows: slice | Numbers = slice(None)
        elif (chosen_rows := np.flatnonzero(chosen)).size:
            # What lies behind the longest of them need not be copied.
            data = data[:, : int((packets.start[chosen_rows] + packets.size[chosen_rows]).max())]
        else:
            return
        self.jitter.put(
            rows[chosen_rows],
            timestamp=packets.timestamp[chosen_rows],
            ssrc=packets.ssrc[chosen_rows],
            marker=packets.marker[chosen_rows],
            data=data[chosen_rows],
            start=packets.start[chosen_rows],
            size=packets.size[chosen_rows],
        )

    def tick(self, n: int, *, skipped: int) -> Numbers:
        """Write the next packet of the first `n` rows, after `skipped` ticks that were left out.

        Return the rows whose clip ended. Shape: `[k]`, dtype intp.
        """
        frames, layout, tx = self.frames, self.layout, self.tx[:n]
        routing = self.routing(n)
        if skipped:
            self.jitter.skip(n, frames=skipped)
        rx, jitter = frames[:n], self.jitter
        while self._dropping:
            jitter.drop(self._dropping.pop())
        cut = jitter.play(rx)
        self.g722_legs.decode(rx, jitter.missed)
        self.concealment.conceal(
            rx,
            companding=self.companding[:n],
            missed=jitter.missed[:n],
            missed_before=jitter.missed_before[:n],
            cut=cut,
        )
        self.digits = self.tone_detector.detect(rx, self.companding)
        self.speech_changes = list(self.voice_activity.detect(rx, self.companding))
        self.holder_changes = list(self.holder_activity.detect(rx, self.companding))
        ended = self.players.advance()
        if (ringing := routing.ringing_rows).size:
            frames[ringing] = frames[self.players.frame_row[ringing]]
        listeners = len(routing.mix.group_of_listener)
        if listeners:
            self._mixer.mix(frames, routing.mix, frames[layout.mixes : layout.mixes + listeners])
        source = routing.source.copy()
        source[routing.player_rows] = self.players.frame_row[routing.player_rows]
        np.take(frames, source, axis=0, out=tx, mode="clip")
        for companding, rows in enumerate(routing.transcoded):
            if rows.size:
                tx[rows] = TRANSCODE[1 - companding][tx[rows]]
        # A digit must not be lost under a beep.
        altered = np.concatenate(
            (self.beeps.add_to(tx, self.companding), self.tone_generator.write_to(tx, self.companding))
        )
        self.streams.write(tx)
        if self.g722_legs.rows.size:
            payloads = self.streams.packets[:n, HEADER : HEADER + SAMPLES]
            self.g722_legs.encode(tx, payloads, source=routing.source, altered=altered)
        return ended
