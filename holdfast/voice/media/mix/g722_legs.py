"""Decode and encode the legs that speak G.722.

Mixes, clips, DTMF and recordings work at 8 kHz only. A G.722 leg is decoded when its frame is played and encoded when
its packet is made, with a codec state each way; other legs are not touched. The library's codec runs at 8 kHz: it
carries the lower of the two bands, which is all that an 8 kHz phone at the other end can play.

Where a G.722 leg hears one other G.722 leg and nothing else, its frames pass unchanged, with both bands. Our own
encoder still runs, so that its output continues what the phone has decoded when it takes over (music, a beep, a lost
frame).
Deviation: the RTP clock of G.722 counts 8,000 a second though it samples 16,000, so that a frame of 20 ms is 160 bytes
and 160 ticks, as in G.711. Source: RFC 3551 §4.5.2; ITU-T G.722.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from G722 import G722
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import (
    DECODE,
    ENCODE,
    SILENCE,
    ULAW,
)
from holdfast.voice.media.frames import SAMPLES, Bytes, Numbers

PAYLOAD_TYPE = 9
_RATE_HZ, _BITS_PER_SECOND = 8000, 64_000


@dataclass(slots=True)
class _Leg:
    """A leg has one codec state for each direction."""

    decoder: G722 = field(default_factory=lambda: G722(_RATE_HZ, _BITS_PER_SECOND))
    encoder: G722 = field(default_factory=lambda: G722(_RATE_HZ, _BITS_PER_SECOND))


class G722Legs:
    """G.722 legs are the rows whose packets are G.722.

    Invariant: everywhere else in the process they are µ-law rows.
    """

    def __init__(self) -> None:
        self._legs: dict[int, _Leg] = {}
        self._received: dict[int, Bytes] = {}
        """The G.722 frame of each row in this tick."""
        self.rows: Numbers = np.zeros(0, dtype=np.intp)

    def add(self, row: int) -> None:
        """Treat a row as G.722 from now on; if it was before, its codec state is kept."""
        self._legs.setdefault(row, _Leg())
        self._sort()

    def remove(self, row: int) -> None:
        """Treat a row as G.722 no longer."""
        if self._legs.pop(row, None) is not None:
            self._sort()

    def decode(self, frames: Bytes, missed: NDArray[np.int64]) -> None:
        """Decode received frames to µ-law, and write µ-law silence where a frame is missing.

        Shape: `frames[n, 160]`, uint8; `missed[n]`.
        """
        self._received.clear()
        for row in self.rows[self.rows < len(frames)].tolist():
            if missed[row]:
                frames[row] = SILENCE[ULAW]
                continue
            self._received[row] = frames[row].copy()
            samples = np.frombuffer(self._legs[row].decoder.decode(frames[row].tobytes()), dtype=np.int16)
            frames[row] = ENCODE[ULAW][samples.astype(np.intp) + 32768]

    def encode(self, tx: Bytes, packets: Bytes, *, source: Numbers, altered: Numbers) -> None:
        """Write the payloads of G.722 rows: their TX audio encoded, or the frame of their source unchanged.

        Shape: `tx[n, 160]` is µ-law, `packets[n, 160]` the payloads, both uint8; `source[n]` is the row of the frames
        matrix that a row hears. `altered` are rows whose TX audio is more than their source.
        """
        altered_rows = set(altered.tolist())
        for row in self.rows[self.rows < len(tx)].tolist():
            encoded = self._legs[row].encoder.encode(DECODE[ULAW][tx[row]])
            received = None if row in altered_rows else self._received.get(int(source[row]))
            packets[row] = np.frombuffer(encoded, dtype=np.uint8, count=SAMPLES) if received is None else received

    def _sort(self) -> None:
        self.rows = np.array(sorted(self._legs), dtype=np.intp)
