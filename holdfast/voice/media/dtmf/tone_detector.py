"""Keys pressed on a phone that sends them as tones in its sound, because telephone events were not agreed.

All legs that are listened to are looked at together, 20 ms of sound every 10 ms: one matrix product gives the power at
the eight frequencies, as eight Goertzel filters per leg would. A key is one tone of each group, about equally strong,
that together are nearly all there is to hear, for two looks in a row; it may come again after four looks without it.
Of two looks in a row one is at a whole frame: the look between two frames is taken only of rows where one of these two
has a key, or one is pressed. And a frame is looked at closely only where every other sample of it might be a key's.
Source: ITU-T Q.23 (frequencies), Q.24 (40 ms of tone are a key, 23 ms are none; tolerance; levels).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import (
    ALAW,
    DECODE,
    SILENCE,
    ULAW,
)
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
        for wave in (np.cos, np.sin)
        for hz in (*LOW_HZ, *HIGH_HZ)
    ],
    axis=1,
).astype(np.float32)
"""Shape: `[160, 16]`, first the eight cosines, then the eight sines. Scaled so that the squares of a tone's two are its
mean square."""
_COARSE_FILTERS: NDArray[np.float32] = np.ascontiguousarray(2 * _FILTERS[::2])
"""The same for every other sample."""
_COARSE_SHARE = 0.7 * LEAST_SHARE
_TWIST = 10 ** (MOST_TWIST_DB / 10)

Floats = NDArray[np.float32]


class ToneDetector:
    """What each listened-to row has been heard to press."""

    def __init__(self, rows: int) -> None:
        self._listens: Mask = np.zeros(rows, dtype=np.bool_)
        self._rows: Numbers = np.zeros(0, dtype=np.intp)
        self._sound: Floats = np.zeros((rows, SAMPLES // 2), dtype=np.float32)
        """Room to decode in: memory that is new each time costs more than the decoding."""
        self._late: Bytes = np.zeros((rows, STEP), dtype=np.uint8)
        """The second half of each row's last frame."""
        self._seen: Numbers = np.full(rows, _NONE, dtype=np.intp)
        self._looks: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._held: Numbers = np.full(rows, _NONE, dtype=np.intp)
        self._gone: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)

    def listen(self, row: int, *, wanted: bool) -> None:
        """Whether keys are looked for in this row's sound; what was heard before is forgotten when that changes."""
        if wanted != self._listens[row]:
            self._listens[row] = wanted
            self._late[row] = SILENCE[ULAW]
            self._seen[row] = self._held[row] = _NONE
            self._rows = np.flatnonzero(self._listens)

    def hear(self, frames: Bytes, law: Numbers) -> list[tuple[int, str]]:
        """Look at the next frame of the first rows: each row in which a key begins, and the key."""
        rows = self._rows[: np.searchsorted(self._rows, len(frames))]
        if not rows.size:
            return []
        codes, laws = frames[rows], law[rows]
        # Where no key is, was, or is held, nothing changes.
        watched = self._seen[rows] & self._held[rows] != _NONE
        some = np.flatnonzero(self._may_be_keys(codes[:, ::2], laws) | watched)
        pressed: list[tuple[int, str]] = []
        if some.size:
            at, laws = rows[some], laws[some]
            between = np.concatenate([self._late[at], codes[some, :STEP]], axis=1)
            self._look(at, keys_in(between, laws), pressed)
            self._look(at, keys_in(codes[some], laws), pressed)
        self._late[rows] = codes[:, STEP:]
        return pressed

    def _may_be_keys(self, codes: Bytes, law: Numbers) -> Mask:
        """Whether there may be a key in each 20 ms of sound. Shape: `codes[n, 80]`, every other sample, of `law[n]`.

        All tones of keys lie below half of 4 kHz; what lies above comes down as noise, and is as loud as it was.
        """
        sound = _decoded(codes, law, out=self._sound[: len(codes)])
        total = np.einsum("ns,ns->n", sound, sound) / (SAMPLES // 2)
        squares = np.square(sound @ _COARSE_FILTERS)
        may: Mask = (squares.sum(axis=1) >= _COARSE_SHARE * total) & (total >= LEAST_POWER / 2)
        return may

    def _look(self, rows: Numbers, keys: Numbers, pressed: list[tuple[int, str]]) -> None:
        """One more look at these rows. Shape: `keys[n]`."""
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


def _decoded(codes: Bytes, law: Numbers, out: Floats | None = None) -> Floats:
    sound = np.take(_SOUND[ULAW], codes, out=out, mode="clip")
    if (alaw := np.flatnonzero(law == ALAW)).size:
        sound[alaw] = np.take(_SOUND[ALAW], codes[alaw], mode="clip")
    return sound


def keys_in(codes: Bytes, law: Numbers) -> Numbers:
    """The key in each 20 ms of sound, or none. Shape: `codes[n, 160]` of `law[n]`."""
    sound = _decoded(codes, law)
    total = np.einsum("ns,ns->n", sound, sound) / SAMPLES
    keys = np.full(len(total), _NONE, dtype=np.intp)
    squares = np.square(sound @ _FILTERS)
    power = squares[:, :8] + squares[:, 8:]
    # Two tones of one group may pass this; few other sounds do.
    tonal = power.sum(axis=1) >= LEAST_SHARE * total
    some = np.flatnonzero(tonal & (total >= LEAST_POWER))
    if not some.size:
        return keys
    power, total = power[some], total[some]
    low, high = np.argmax(power[:, :4], axis=1), np.argmax(power[:, 4:], axis=1)
    each = np.arange(len(some))
    low_power, high_power = power[each, low], power[each, 4 + high]
    fits = (low_power + high_power >= LEAST_SHARE * total) & (low_power <= _TWIST * high_power)
    fits &= high_power <= _TWIST * low_power
    keys[some[fits]] = (4 * low + high)[fits]
    return keys
