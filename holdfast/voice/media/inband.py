"""Keys pressed on a phone that sends them as tones in its sound, because telephone events were not agreed.

All legs that are listened to are looked at together, 20 ms of sound every 10 ms: one matrix product gives the power at
the eight frequencies, as eight Goertzel filters per leg would. A key is one tone of each group, about equally strong,
that together are nearly all there is to hear, for two looks in a row; it may come again after four looks without it.
Source: ITU-T Q.23 (frequencies), Q.24 (40 ms of tone are a key, 23 ms are none; tolerance; levels).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codecs import DECODE
from holdfast.voice.media.frames import SAMPLES, Bytes, Mask, Numbers

LOW_HZ, HIGH_HZ = (697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0, 1633.0)
KEYS = np.array(list("123A456B789C*0#D"))
STEP = SAMPLES // 2

LEAST_POWER = 2 * 10 ** (-38 / 10)
"""Mean square, full scale being 1, of the softest key: −38 dB and two tones of it."""
LEAST_SHARE = 0.7
"""Of all that is heard. A tone 1.5 % off keeps two thirds, one 3.5 % off much less."""
MOST_TWIST_DB = 8.0
LOOKS, LOOKS_WITHOUT = 2, 4

_NONE = -1
_SOUND: NDArray[np.float32] = (DECODE.astype(np.float32) / np.float32(32768)).astype(np.float32)
_time = np.arange(SAMPLES) / 8000
_FILTERS: NDArray[np.float32] = np.concatenate(
    [
        wave(2 * np.pi * hz * _time)[:, None] / (SAMPLES / np.sqrt(2))
        for hz in (*LOW_HZ, *HIGH_HZ)
        for wave in (np.cos, np.sin)
    ],
    axis=1,
).astype(np.float32)
"""Shape: `[160, 16]`. Scaled so that the squares of a tone's two are its mean square."""
_TWIST = 10 ** (MOST_TWIST_DB / 10)


class InbandKeys:
    """What each listened-to row has been heard to press."""

    def __init__(self, rows: int) -> None:
        self._listens: Mask = np.zeros(rows, dtype=np.bool_)
        self._before: NDArray[np.float32] = np.zeros((rows, STEP), dtype=np.float32)
        self._seen: Numbers = np.full(rows, _NONE, dtype=np.intp)
        self._looks: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._held: Numbers = np.full(rows, _NONE, dtype=np.intp)
        self._gone: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)

    def listen(self, row: int, *, wanted: bool) -> None:
        """Whether keys are looked for in this row's sound; what was heard before is forgotten when that changes."""
        if wanted != self._listens[row]:
            self._listens[row] = wanted
            self._before[row] = 0
            self._seen[row] = self._held[row] = _NONE

    def hear(self, frames: Bytes, law: Numbers) -> list[tuple[int, str]]:
        """Look at the next frame of the first rows: each row in which a key begins, and the key."""
        rows = np.flatnonzero(self._listens[: len(frames)])
        if not rows.size:
            return []
        now = _SOUND[law[rows][:, None], frames[rows]]
        sound = np.concatenate([self._before[rows], now], axis=1)
        self._before[rows] = now[:, STEP:]
        pressed: list[tuple[int, str]] = []
        for first in (0, STEP):
            self._look(rows, _keys(np.ascontiguousarray(sound[:, first : first + SAMPLES])), pressed)
        return pressed

    def _look(self, rows: Numbers, keys: Numbers, pressed: list[tuple[int, str]]) -> None:
        self._looks[rows] = np.where(keys == self._seen[rows], self._looks[rows] + 1, 1)
        self._seen[rows] = keys
        self._gone[rows] = np.where(keys == self._held[rows], 0, self._gone[rows] + 1)
        over = rows[(self._held[rows] != _NONE) & (self._gone[rows] >= LOOKS_WITHOUT)]
        self._held[over] = _NONE
        begun = (keys != _NONE) & (self._looks[rows] == LOOKS) & (self._held[rows] != keys)
        for k in np.flatnonzero(begun).tolist():
            self._held[rows[k]] = keys[k]
            self._gone[rows[k]] = 0
            pressed.append((int(rows[k]), str(KEYS[keys[k]])))


def _keys(sound: NDArray[np.float32]) -> Numbers:
    """The key in each piece of sound, or none. Shape: `sound[n, 160]`."""
    total = np.einsum("ns,ns->n", sound, sound) / SAMPLES
    keys = np.full(len(sound), _NONE, dtype=np.intp)
    loud = np.flatnonzero(total >= LEAST_POWER)
    if not loud.size:
        return keys
    power = np.square(sound[loud] @ _FILTERS).reshape(len(loud), 8, 2).sum(axis=2)
    low, high = np.argmax(power[:, :4], axis=1), np.argmax(power[:, 4:], axis=1)
    each = np.arange(len(loud))
    low_power, high_power = power[each, low], power[each, 4 + high]
    fits = (low_power + high_power >= LEAST_SHARE * total[loud]) & (low_power <= _TWIST * high_power)
    fits &= high_power <= _TWIST * low_power
    keys[loud[fits]] = (4 * low + high)[fits]
    return keys
