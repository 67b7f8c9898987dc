"""Who speaks: for rows that are listened to, whether their sound has been loud for a while, or quiet for longer.

Levels alone are looked at. A phone that hums or plays music speaks; one in a silent room does not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import DECODE
from holdfast.voice.media.frames import Bytes, Mask, Numbers

LOUD_DB = -40.0
"""Root mean square of a frame, full scale being 0, from which it is loud. Speech on a telephone lies around −26 dB,
the noise of a quiet room below −50."""
LOUD_FRAMES, QUIET_FRAMES = 5, 50
"""So many loud frames in a row begin a speech, 100 ms; so many quiet ones end it, a second."""

_SQUARE: NDArray[np.float32] = (DECODE.astype(np.float32) / np.float32(32768)) ** 2
_LOUD = np.float32(10 ** (LOUD_DB / 10))


class VoiceActivity:
    """What each listened-to row has been heard to do."""

    def __init__(self, rows: int) -> None:
        self._listens: Mask = np.zeros(rows, dtype=np.bool_)
        self._rows: Numbers = np.zeros(0, dtype=np.intp)
        self._speaks: Mask = np.zeros(rows, dtype=np.bool_)
        self._against: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        """Frames in a row that are not as before: loud ones of a row that is quiet, quiet ones of one that speaks."""

    def listen(self, row: int, *, wanted: bool) -> None:
        """Begin to listen to a row, which is quiet so far, or stop."""
        if self._listens[row] != wanted:
            self._listens[row] = wanted
            self._speaks[row], self._against[row] = False, 0
            self._rows = np.flatnonzero(self._listens)

    def hear(self, frames: Bytes, law: Numbers) -> Iterator[tuple[int, bool]]:
        """One frame of each row: the rows that begin to speak, and those that stop.

        Shape: `frames` is `[rows, 160]` in each row's law.
        """
        rows = self._rows[self._rows < len(frames)]
        if not rows.size:
            return
        loud = _SQUARE[law[rows][:, None], frames[rows]].mean(axis=1) >= _LOUD
        speaks = self._speaks[rows]
        against = np.where(loud == speaks, 0, self._against[rows] + 1)
        turns = against >= np.where(speaks, QUIET_FRAMES, LOUD_FRAMES)
        self._against[rows] = np.where(turns, 0, against)
        self._speaks[rows] = speaks ^ turns
        for row in rows[turns].tolist():
            yield row, bool(self._speaks[row])
