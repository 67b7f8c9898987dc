"""The frames matrix has one row of 20 ms for everything that a leg can hear, so a leg hears a row by its number.

Shape: `F[2 * rows + 2 + 2 * clip_frames, 160]`, uint8 codes: first what each leg sends us, then the mixes, then one row
of silence per companding, then all clips in µ-law, then all clips in A-law.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import SILENCE

SAMPLES = 160
"""Samples, which are bytes, in a frame: 20 ms at 8 kHz. Source: RFC 3551 §4.2."""

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A layout says where each kind of row lies, for a number of legs and of clip frames."""

    rows: int
    clip_frames: int = 0

    @property
    def mixes(self) -> int:
        """The row of the first mix."""
        return self.rows

    def silence(self, companding: int) -> int:
        """Return the row of silence in a companding."""
        return 2 * self.rows + companding

    def clips(self, companding: int) -> int:
        """Return the row of the first clip frame in a companding."""
        return 2 * self.rows + len(SILENCE) + companding * self.clip_frames

    def matrix(self) -> Bytes:
        """Return a new frames matrix: legs and mixes are silent in µ-law, and there are no clips yet."""
        # Pages of zeros cost no memory until they are written.
        frames = np.zeros((self.clips(len(SILENCE)), SAMPLES), dtype=np.uint8)
        frames[: self.silence(0)] = SILENCE[0]
        for companding, silent in enumerate(SILENCE):
            frames[self.silence(companding)] = silent
        return frames
