"""Short tones that are added to what legs are sent when a participant enters or leaves. Speech goes on under them.

The entry tone rises, the exit tone falls. A leg hears each of the two at most once at a time: participants who enter
while the tone still plays share it. So a tick does at most two additions per leg, however many enter at once.

Units: 16-bit linear samples at 8 kHz; levels relative to full scale.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import (
    ALAW,
    DECODE,
    ENCODE,
    ULAW,
)
from holdfast.voice.media.frames import SAMPLES, Bytes, Numbers

Tone = Literal["entry", "exit"]
TONES: tuple[Tone, ...] = get_args(Tone)
STEPS_HZ: dict[Tone, tuple[float, float]] = {"entry": (1150.0, 1550.0), "exit": (1550.0, 1150.0)}
"""Two steps per tone, about a fourth apart. Neither is near a DTMF tone or a tone of a telephone network."""
LEVEL = 0.14
"""−20 dB, the level of speech on a telephone."""
STEP_S = 0.1
_EASE_S = 0.006
_LINEAR_INDEX: Numbers = DECODE.astype(np.intp) + 32768
"""Linear samples as indices of the encoding tables. Shape: `[companding, code]`; dtype intp."""
_ROWS_PER_ADDITION = 64
"""Rows per addition. Their sums fit in memory that is already mapped; larger arrays cost ten times as much per row."""
_NO_ROWS: Numbers = np.zeros(0, dtype=np.intp)
_RATE_HZ = 8000


def wave(tone: Tone) -> NDArray[np.int16]:
    """Return the int16 samples of a tone: two steps that begin and end without a click."""
    time = np.arange(round(STEP_S * _RATE_HZ)) / _RATE_HZ
    ease = np.minimum(1.0, np.minimum(time, time[::-1]) / _EASE_S)
    steps = [LEVEL * ease * np.sin(2 * np.pi * hz * time) for hz in STEPS_HZ[tone]]
    return np.rint(32767 * np.concatenate(steps)).astype(np.int16)


WAVES: NDArray[np.intp] = np.stack([wave(tone) for tone in TONES]).astype(np.intp).reshape(len(TONES), -1, SAMPLES)
"""The samples of all tones. Shape: `[tone, frame, 160]`; dtype intp."""
FRAMES = WAVES.shape[1]


class Beeps:
    """Beeps hold which tone plays to each row, and its position."""

    def __init__(self, rows: int) -> None:
        self._position: Numbers = np.full((len(TONES), rows), FRAMES, dtype=np.intp)
        self._playing = False

    def start(self, rows: Iterable[int], *, tone: Tone) -> None:
        """Start a tone for these rows; where it plays already it goes on."""
        position = self._position[TONES.index(tone)]
        for row in rows:
            if position[row] >= FRAMES:
                position[row] = 0
        self._playing = True

    def stop(self, row: int) -> None:
        """Stop all tones of a row."""
        self._position[:, row] = FRAMES

    def add_to(self, tx: Bytes, companding: Numbers) -> Numbers:
        """Add the next frame of each tone to the audio of its rows; return those rows.

        Shape: `tx[n, 160]`, codes of `companding[row]`.
        """
        if not self._playing:
            return _NO_ROWS
        n = len(tx)
        rows_playing = np.flatnonzero((self._position[:, :n] < FRAMES).any(axis=0))
        for waves, position in zip(WAVES, self._position, strict=True):
            for companding_code in (ULAW, ALAW):
                rows = rows_playing[(companding[rows_playing] == companding_code) & (position[rows_playing] < FRAMES)]
                for part in range(0, len(rows), _ROWS_PER_ADDITION):
                    _add(tx, rows[part : part + _ROWS_PER_ADDITION], waves, position, companding_code)
                position[rows] += 1
        self._playing = bool((self._position < FRAMES).any())
        return rows_playing


def _add(tx: Bytes, rows: Numbers, waves: Numbers, position: Numbers, companding_code: int) -> None:
    total = np.take(_LINEAR_INDEX[companding_code], tx[rows], mode="clip")
    total += np.take(waves, position[rows], axis=0, mode="clip")
    # Clipping the table index saturates the sum.
    tx[rows] = np.take(ENCODE[companding_code], total, mode="clip")
