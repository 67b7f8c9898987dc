"""Voice activity detection: report when a party begins to speak, or a holder to send music, and when it stops.

Only levels are compared. A phone that hums or plays music counts as speaking; one in a silent room does not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import DECODE
from holdfast.voice.media.frames import Bytes, Mask, Numbers

LOUD_DB = -40.0
"""The level from which a frame is loud: root mean square relative to full scale. Speech on a telephone lies around −26
dB, the noise of a quiet room below −50 dB."""
LOUD_FRAMES, QUIET_FRAMES = 5, 50
"""The frames in a row that begin speech (100 ms of loud ones) and that end it (1 s of quiet ones)."""

HOLD_LOUD_DB = -50.0
"""The level from which a frame of a phone that holds is no silence: music may be softer than speech."""
HOLD_LOUD_FRAMES = 15
"""The loud frames in a row from which such a phone is heard: 300 ms. A click is shorter."""

_SQUARE: NDArray[np.float32] = (DECODE.astype(np.float32) / np.float32(32768)) ** 2


class VoiceActivity:
    """Voice activity holds the detector state of each enabled row."""

    def __init__(self, rows: int, *, loud_db: float = LOUD_DB, loud_frames: int = LOUD_FRAMES) -> None:
        self._loud = np.float32(10 ** (loud_db / 10))
        self._loud_frames = loud_frames
        self._enabled: Mask = np.zeros(rows, dtype=np.bool_)
        self._rows: Numbers = np.zeros(0, dtype=np.intp)
        self._speaking: Mask = np.zeros(rows, dtype=np.bool_)
        self._opposing: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        """Frames in a row that differ from the state: loud frames of a quiet row, quiet frames of a speaking one."""

    def set_enabled(self, row: int, *, enabled: bool) -> None:
        """Begin to watch a row, which counts as quiet at first, or stop."""
        if self._enabled[row] != enabled:
            self._enabled[row] = enabled
            self._speaking[row], self._opposing[row] = False, 0
            self._rows = np.flatnonzero(self._enabled)

    def detect(self, frames: Bytes, companding: Numbers) -> Iterator[tuple[int, bool]]:
        """Feed one frame of each row; yield each row that begins to speak (True) or stops (False).

        Shape: `frames[rows, 160]`, uint8 codes; `companding[rows]`.
        """
        rows = self._rows[self._rows < len(frames)]
        if not rows.size:
            return
        loud = _SQUARE[companding[rows][:, None], frames[rows]].mean(axis=1) >= self._loud
        speaking = self._speaking[rows]
        opposing = np.where(loud == speaking, 0, self._opposing[rows] + 1)
        changes = opposing >= np.where(speaking, QUIET_FRAMES, self._loud_frames)
        self._opposing[rows] = np.where(changes, 0, opposing)
        self._speaking[rows] = speaking ^ changes
        for row in rows[changes].tolist():
            yield row, bool(self._speaking[row])
