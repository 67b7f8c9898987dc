"""The frames matrix: one row of 20 ms for everything that can be heard, so that hearing it is knowing its row number.

Shape: `F[3 * rows + 2, 160]`, bytes of a law: what each leg says, then what each leg's player plays, then the mixes,
then one row of silence per law.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codecs import SILENCE

SAMPLES = 160
"""Samples, which are bytes, in a frame: 20 ms at 8 kHz. Source: RFC 3551 §4.2."""

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where each kind of row lies, for a number of legs."""

    rows: int

    def player(self, row: int) -> int:
        """What the leg's own player plays."""
        return self.rows + row

    @property
    def mixes(self) -> int:
        """The first mix."""
        return 2 * self.rows

    def silence(self, law: int) -> int:
        """Silence in a law."""
        return 3 * self.rows + law

    def matrix(self) -> Bytes:
        """A new frames matrix, silent in µ-law, with the rows of silence at its end."""
        frames = np.full((3 * self.rows + len(SILENCE), SAMPLES), SILENCE[0], dtype=np.uint8)
        for law, silent in enumerate(SILENCE):
            frames[self.silence(law)] = silent
        return frames
