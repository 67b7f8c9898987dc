"""Recognise which known sounds are in a window of audio.

Each window is fitted to the tones of all known sounds at once (least squares), which gives the power of each tone
even where two of them are closer than the window resolves by itself. A chord is heard when all of its tones are, a
melody when any is; power that no heard sound explains makes the window `UNKNOWN` as well.

Shape: windows are `[n, 160]` 16-bit samples.
Units: power relative to a full-scale square wave (a sine of amplitude A has A²/2).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from holdfast.testing.signals import FRAME_SAMPLES, RATE_HZ, Chord, Melody, Samples, Sound

Heard = frozenset[str]
"""The names of what is heard in a window: sounds, or exactly one of `SILENCE` and `NO_PACKETS`."""

UNKNOWN = "unknown"
SILENCE: Heard = frozenset({"silence"})
NO_PACKETS: Heard = frozenset({"no packets"})

FLOOR = 3e-6
"""The power (-55 dB) below which a window is silence."""

CHORD_SHARE = 0.01
"""The least share of a window's power for each tone of a chord: a party 16 dB below another one is still heard."""

MELODY_SHARE = 0.15
UNEXPLAINED_SHARE = 0.25


class Recogniser:
    """A recogniser of the known sounds.

    Raises: ValueError if two tones are too close to be distinguished in one window.
    """

    def __init__(self, sounds: Iterable[Sound]) -> None:
        self.sounds = tuple(sounds)
        self._tones_hz = sorted({tone_hz for sound in self.sounds for tone_hz in sound.tones_hz})
        for lower, upper in zip(self._tones_hz, self._tones_hz[1:], strict=False):
            if upper - lower < RATE_HZ / FRAME_SAMPLES / 2:
                raise ValueError(f"{lower} Hz and {upper} Hz cannot be told apart in one frame")
        self._members = [[self._tones_hz.index(tone_hz) for tone_hz in sound.tones_hz] for sound in self.sounds]
        self._projection = _least_squares(self._tones_hz)

    def recognise(self, windows: Samples) -> list[Heard]:
        """Return what is heard in each window. Shape: windows [n, 160], int16."""
        if not len(windows):
            return []
        wave = windows.astype(np.float64) / 32768
        total = np.mean(wave**2, axis=1)
        power = self._tone_power(wave)
        present = np.stack([self._present(number, power, total) for number in range(len(self.sounds))], axis=1)
        explained = self._explained(present, power)
        unknown = total - explained > np.maximum(UNEXPLAINED_SHARE * total, FLOOR)
        return [
            self._name(present[row], loud=bool(total[row] > FLOOR), unknown=bool(unknown[row]))
            for row in range(len(windows))
        ]

    def _tone_power(self, wave: NDArray[np.float64]) -> NDArray[np.float64]:
        amplitudes = wave @ self._projection.T
        cosines, sines = amplitudes[:, 0::2], amplitudes[:, 1::2]
        power: NDArray[np.float64] = (cosines**2 + sines**2) / 2
        return power

    def _present(self, number: int, power: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.bool_]:
        own = power[:, self._members[number]]
        match self.sounds[number]:
            case Chord():
                heard: NDArray[np.bool_] = own.min(axis=1) > np.maximum(CHORD_SHARE * total, FLOOR / 4)
            case Melody():
                heard = own.sum(axis=1) > np.maximum(MELODY_SHARE * total, FLOOR / 2)
            case other:
                assert_never(other)
        return heard

    def _explained(self, present: NDArray[np.bool_], power: NDArray[np.float64]) -> NDArray[np.float64]:
        counted = np.zeros(power.shape, dtype=np.bool_)
        for number, members in enumerate(self._members):
            counted[:, members] |= present[:, [number]]
        explained: NDArray[np.float64] = np.sum(power * counted, axis=1)
        return explained

    def _name(self, present: NDArray[np.bool_], *, loud: bool, unknown: bool) -> Heard:
        if not loud:
            return SILENCE
        names = {self.sounds[number].name for number in np.flatnonzero(present)}
        if unknown or not names:
            names.add(UNKNOWN)
        return frozenset(names)


def describe(heard: Heard) -> str:
    """Return what is heard as text: `"agent + customer"`."""
    return " + ".join(sorted(heard))


def _least_squares(tones_hz: list[float]) -> NDArray[np.float64]:
    """Return the matrix that turns a window into the cosine and sine amplitude of each tone, in turn."""
    seconds = np.arange(FRAME_SAMPLES) / RATE_HZ
    waves = []
    for tone_hz in tones_hz:
        waves += [np.cos(2 * np.pi * tone_hz * seconds), np.sin(2 * np.pi * tone_hz * seconds)]
    return np.linalg.pinv(np.array(waves).T)
