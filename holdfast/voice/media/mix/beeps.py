"""Short tones laid over whatever legs hear: somebody came in, or went out. Speech goes on under them.

The tone that tells of an entry rises, the one of an exit falls. A leg hears each of the two once at a time: of people
who come in while the tone of one still sounds, that tone tells too. So however many come at once, a tick's work is two
additions per leg at most.

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
"""About a fourth, up or down. Neither is near a tone of a key or of a telephone network."""
LEVEL = 0.14
"""−20 dB, as speech on a telephone."""
STEP_S = 0.1
_EASE_S = 0.006
_RAISED: Numbers = DECODE.astype(np.intp) + 32768
"""Samples as indices of the tables that encode."""
_AT_ONCE = 64
"""Rows whose sums fit where memory is at hand: larger arrays cost ten times as much a row, in pages that are new."""
_NOBODY: Numbers = np.zeros(0, dtype=np.intp)
_RATE_HZ = 8000


def wave(tone: Tone) -> NDArray[np.int16]:
    """The samples of a tone: two steps that begin and end without a click."""
    time = np.arange(round(STEP_S * _RATE_HZ)) / _RATE_HZ
    ease = np.minimum(1.0, np.minimum(time, time[::-1]) / _EASE_S)
    steps = [LEVEL * ease * np.sin(2 * np.pi * hz * time) for hz in STEPS_HZ[tone]]
    return np.rint(32767 * np.concatenate(steps)).astype(np.int16)


WAVES: NDArray[np.intp] = np.stack([wave(tone) for tone in TONES]).astype(np.intp).reshape(len(TONES), -1, SAMPLES)
"""Shape: `[tone, frame, 160]`."""
FRAMES = WAVES.shape[1]


class Beeps:
    """Which tone each row hears, and how far it is."""

    def __init__(self, rows: int) -> None:
        self._next: Numbers = np.full((len(TONES), rows), FRAMES, dtype=np.intp)
        self._any = False

    def begin(self, rows: Iterable[int], *, tone: Tone) -> None:
        """Let these rows hear a tone; where it sounds already it goes on."""
        at = self._next[TONES.index(tone)]
        for row in rows:
            if at[row] >= FRAMES:
                at[row] = 0
        self._any = True

    def end(self, row: int) -> None:
        """The row is closed: what sounds to it is over."""
        self._next[:, row] = FRAMES

    def lay(self, heard: Bytes, law: Numbers) -> Numbers:
        """Add a frame of each tone to what its rows hear; those rows. Shape: `heard[n, 160]`, codes of `law[row]`."""
        if not self._any:
            return _NOBODY
        n = len(heard)
        hearing = np.flatnonzero((self._next[:, :n] < FRAMES).any(axis=0))
        for waves, at in zip(WAVES, self._next, strict=True):
            for coding in (ULAW, ALAW):
                rows = hearing[(law[hearing] == coding) & (at[hearing] < FRAMES)]
                for part in range(0, len(rows), _AT_ONCE):
                    _add(heard, rows[part : part + _AT_ONCE], waves, at, coding)
                at[rows] += 1
        self._any = bool((self._next < FRAMES).any())
        return hearing


def _add(heard: Bytes, rows: Numbers, waves: Numbers, at: Numbers, coding: int) -> None:
    total = np.take(_RAISED[coding], heard[rows], mode="clip")
    total += np.take(waves, at[rows], axis=0, mode="clip")
    # Clipping the index of the table is clipping the sum.
    heard[rows] = np.take(ENCODE[coding], total, mode="clip")
