"""All sound of all legs, and the one pass that is made over it every 20 ms.

Hold is one number: the held row is routed to its own player, and is in nobody's sum. Resume is the old number.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from holdfast.voice.media.codec.g711 import (
    PAYLOAD_TYPE,
    SILENCE,
    TO_OTHER_LAW,
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
from holdfast.voice.media.mix.routing import Hears, Routing, derive
from holdfast.voice.media.mix.vad import VoiceActivity
from holdfast.voice.media.rtp.jitter import G722, JitterBuffers
from holdfast.voice.media.rtp.rtp import HEADER, Headers, Packets


class MixEngine:
    """The arrays of every leg. Rows are opened, described, routed and closed between ticks only."""

    def __init__(self, *, rows: int, clip_frames: int) -> None:
        self.layout = Layout(rows=rows, clip_frames=clip_frames)
        self.frames: Bytes = self.layout.matrix()
        self.jitter = JitterBuffers(rows)
        self.concealment = Concealment(rows)
        self.wideband = G722Legs()
        self.keys = ToneDetector(rows)
        self.pressed: list[tuple[int, str]] = []
        """The rows in whose sound a key began in the newest tick, and the keys."""
        self.speech = VoiceActivity(rows)
        self.turned: list[tuple[int, bool]] = []
        """The rows whose party began to speak in the newest tick, or stopped."""
        self.headers = Headers(rows)
        self.bank = ClipBank(self.frames[self.layout.clips(ULAW) :])
        self.players = Players(self.layout)
        self.beeps = Beeps(rows)
        self.key_tones = ToneGenerator()
        self.law: Numbers = np.zeros(rows, dtype=np.intp)
        self.hears: dict[int, Hears] = {}
        self._dropping: set[int] = set()
        self._deaf: set[int] = set()
        """The rows that are sent nothing."""
        self.heard: Bytes = np.zeros((rows, SAMPLES), dtype=np.uint8)
        """What each leg was sent in the last tick, in its law."""
        self._mixer = Mixer()
        self._routing: Routing | None = None

    def open(self, row: int, *, ssrc: int, sequence: int, timestamp: int) -> None:
        """Begin a leg: it is silent, and hears its own player, which plays nothing yet."""
        self.headers.open(row, ssrc=ssrc, sequence=sequence, timestamp=timestamp)
        self.jitter.open(row, law=0)
        self.concealment.open(row, silence=SILENCE[0])
        self.players.stop(row)
        self._deaf.discard(row)
        self.route({row: None})
        self.describe(row, law=0, may_speak=False)

    def describe(self, row: int, *, law: int, may_speak: bool, g722: bool = False) -> None:
        """Set the law of a leg both ways. What waits of a leg that may not speak, or spoke another law, is dropped.

        A leg whose packets are G.722 has µ-law as its law.
        """
        if law != self.law[row] or not may_speak or g722 != (row in self.wideband.rows):
            self.jitter.silence(row, law=G722 if g722 else law)
            self.concealment.forget(row, silence=SILENCE[law])
            self.frames[row] = SILENCE[law]
        self.law[row] = law
        self.players.describe(row, law=law)
        self.headers.describe(row, payload_type=G722_PAYLOAD_TYPE if g722 else PAYLOAD_TYPE[law])
        if g722:
            self.wideband.begin(row)
        else:
            self.wideband.end(row)
        self._routing = None

    def close(self, row: int) -> None:
        """End a leg: whoever heard it hears silence in its place."""
        self.wideband.end(row)
        self.keys.listen(row, wanted=False)
        self.speech.listen(row, wanted=False)
        self.beeps.end(row)
        self.key_tones.end(row)
        self.players.stop(row)
        del self.hears[row]
        self._routing = None

    def route(self, hears: Mapping[int, Hears]) -> None:
        """Change what these rows hear."""
        self.hears.update(hears)
        self._routing = None

    def let_hear(self, row: int, *, wanted: bool) -> None:
        """Whether a leg is sent anything. One that is not, because its own phone holds, hears silence: a recording of
        what it hears has nothing of those whom it keeps on hold.
        """
        self._deaf = self._deaf - {row} if wanted else self._deaf | {row}
        self._routing = None

    def drop(self, row: int) -> None:
        """Let nobody hear what a leg has said until the next tick: neither what waits to be played nor, since a frame
        of silence takes its place, anything made up from it.
        """
        self._dropping.add(row)

    def put(self, packets: Packets, data: Bytes, rows: Numbers, chosen: Mask) -> None:
        """Take in the chosen packets of some rows. Shape: as `rtp.read` gave them, one per row."""
        if chosen.all():
            which: slice | Numbers = slice(None)
        elif (which := np.flatnonzero(chosen)).size:
            # What lies behind the longest of them need not be copied.
            data = data[:, : int((packets.start[which] + packets.size[which]).max())]
        else:
            return
        self.jitter.put(
            rows[which],
            timestamp=packets.timestamp[which],
            ssrc=packets.ssrc[which],
            marker=packets.marker[which],
            data=data[which],
            start=packets.start[which],
            size=packets.size[which],
        )

    def tick(self, n: int, *, skipped: int) -> Numbers:
        """Make the next packet of the first `n` rows, after `skipped` ticks left out; the rows whose sound ended."""
        frames, layout, heard = self.frames, self.layout, self.heard[:n]
        if self._routing is None or len(self._routing.source) != n:
            self._routing = derive(self.hears, laws=self.law[:n].tolist(), layout=layout, rows=n, deaf=self._deaf)
        routing = self._routing
        if skipped:
            self.jitter.skip(n, frames=skipped)
        said, jitter = frames[:n], self.jitter
        while self._dropping:
            jitter.drop(self._dropping.pop())
        cut = jitter.play(said)
        self.wideband.decode(said, jitter.missed)
        self.concealment.conceal(
            said, law=self.law[:n], missed=jitter.missed[:n], before=jitter.missed_before[:n], cut=cut
        )
        self.pressed = self.keys.hear(said, self.law)
        self.turned = list(self.speech.hear(said, self.law))
        ended = self.players.play()
        ears = len(routing.mix.group_of_ear)
        if ears:
            self._mixer.mix(frames, routing.mix, frames[layout.mixes : layout.mixes + ears])
        source = routing.source.copy()
        source[routing.own] = self.players.at[routing.own]
        np.take(frames, source, axis=0, out=heard, mode="clip")
        for law, rows in enumerate(routing.recoded):
            if rows.size:
                heard[rows] = TO_OTHER_LAW[1 - law][heard[rows]]
        # A key must not be lost under a beep.
        touched = np.concatenate((self.beeps.lay(heard, self.law), self.key_tones.lay(heard, self.law)))
        self.headers.write(heard)
        if self.wideband.rows.size:
            payloads = self.headers.packets[:n, HEADER : HEADER + SAMPLES]
            self.wideband.encode(heard, payloads, source=routing.source, touched=touched)
        return ended
