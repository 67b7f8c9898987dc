"""G.722 legs: their sound becomes 8 kHz samples like everybody's, and goes out in their code.

Mixes, clips, keys and recordings know telephone sound only. A leg that speaks G.722 is decoded as it is played and
encoded as it is sent, with a state each way; all other legs pass by. The codec itself is a library's, told to work at
8 kHz: of the two bands it carries the lower one, which is all that a telephone at the other end could hear.

Where a G.722 leg hears one other and nothing else, and that one speaks G.722 too, its frames pass as they came, both
bands of them. Our own encoder goes on beside, so that what it says where it takes over (music, a beep, a frame that was
lost) follows on what the phone has decoded so far.
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
    """The memory of both directions."""

    decoder: G722 = field(default_factory=lambda: G722(_RATE_HZ, _BITS_PER_SECOND))
    encoder: G722 = field(default_factory=lambda: G722(_RATE_HZ, _BITS_PER_SECOND))


class G722Legs:
    """The rows whose packets are G.722. Invariant: everywhere else in the process they are µ-law rows."""

    def __init__(self) -> None:
        self._legs: dict[int, _Leg] = {}
        self._came: dict[int, Bytes] = {}
        """What came of each row in this tick, in its code."""
        self.rows: Numbers = np.zeros(0, dtype=np.intp)

    def begin(self, row: int) -> None:
        """The row speaks G.722 from now on; if it did before, its memory is kept."""
        self._legs.setdefault(row, _Leg())
        self._sort()

    def end(self, row: int) -> None:
        """The row speaks something else, or nothing."""
        if self._legs.pop(row, None) is not None:
            self._sort()

    def decode(self, frames: Bytes, missed: NDArray[np.int64]) -> None:
        """Turn what came into µ-law, and what did not come into its silence. Shape: `frames[n, 160]`, `missed[n]`."""
        self._came.clear()
        for row in self.rows[self.rows < len(frames)].tolist():
            if missed[row]:
                frames[row] = SILENCE[ULAW]
                continue
            self._came[row] = frames[row].copy()
            samples = np.frombuffer(self._legs[row].decoder.decode(frames[row].tobytes()), dtype=np.int16)
            frames[row] = ENCODE[ULAW][samples.astype(np.intp) + 32768]

    def encode(self, heard: Bytes, packets: Bytes, *, source: Numbers, touched: Numbers) -> None:
        """Make the payloads of these rows: G.722 of what they hear, or the very frame that came for them.

        Shape: `heard[n, 160]` is µ-law, `packets[n, 160]` the payloads; `source[n]` is the row of the frames matrix
        that a row hears; what the `touched` rows hear is more than their source.
        """
        altered = set(touched.tolist())
        for row in self.rows[self.rows < len(heard)].tolist():
            coded = self._legs[row].encoder.encode(DECODE[ULAW][heard[row]])
            came = None if row in altered else self._came.get(int(source[row]))
            packets[row] = np.frombuffer(coded, dtype=np.uint8, count=SAMPLES) if came is None else came

    def _sort(self) -> None:
        self.rows = np.array(sorted(self._legs), dtype=np.intp)
