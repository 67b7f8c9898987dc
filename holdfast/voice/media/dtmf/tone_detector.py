"""Detect DTMF digits as tones in the audio of phones that did not negotiate telephone events.

All enabled legs are examined together, 20 ms of audio every 10 ms: one matrix product gives the power at the eight
frequencies, as eight Goertzel filters per leg would. A digit is one tone of each group, about equally strong, that
together are nearly all of the audio, in two looks in a row; it may come again after four looks without it.
Of two looks in a row one is at a whole frame. The look between two frames is taken only for rows where one of those two
has a digit, or a digit is pressed. A frame is examined closely only where every other sample of it may belong to a
digit.
Source: ITU-T Q.23 (frequencies), Q.24 (40 ms of tone are a digit, 23 ms are none; tolerance; levels).
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
DTMF_DIGITS = np.array(list("123A456B789C*0#D"))
STEP = SAMPLES // 2

MIN_POWER = 2 * 10 ** (-38 / 10)
"""The mean square of the softest digit, full scale being 1: two tones of −38 dB."""
MIN_SHARE = 0.7
"""The least share of the two tones in the power of the audio. A tone 1.5 % off keeps two thirds, one 3.5 % off much
less."""
MAX_TWIST_DB = 8.0
LOOKS_TO_BEGIN, LOOKS_TO_END = 2, 4

_NONE = -1
_SAMPLES: NDArray[np.float32] = (DECODE.astype(np.float32) / np.float32(32768)).astype(np.float32)
_time = np.arange(SAMPLES) / 8000
_FILTERS: NDArray[np.float32] = np.concatenate(
    [
        wave(2 * np.pi * hz * _time)[:, None] / (SAMPLES / np.sqrt(2))
        for wave in (np.cos, np.sin)
        for hz in (*LOW_HZ, *HIGH_HZ)
    ],
    axis=1,
).astype(np.float32)
"""Shape: `[160, 16]`, float32: first the eight cosines, then the eight sines. They are scaled so that the sum of the
squares of a tone's two products is its mean square."""
_COARSE_FILTERS: NDArray[np.float32] = np.ascontiguousarray(2 * _FILTERS[::2])
"""The same filters for every other sample. Shape: `[80, 16]`."""
_COARSE_SHARE = 0.7 * MIN_SHARE
_TWIST = 10 ** (MAX_TWIST_DB / 10)

Floats = NDArray[np.float32]


class ToneDetector:
    """A tone detector holds the state of each enabled row."""

    def __init__(self, rows: int) -> None:
        self._enabled: Mask = np.zeros(rows, dtype=np.bool_)
        self._rows: Numbers = np.zeros(0, dtype=np.intp)
        self._samples: Floats = np.zeros((rows, SAMPLES // 2), dtype=np.float32)
        """Memory to decode in: new memory each time costs more than the decoding."""
        self._second_half: Bytes = np.zeros((rows, STEP), dtype=np.uint8)
        """The second half of each row's last frame."""
        self._last_digit: Numbers = np.full(rows, _NONE, dtype=np.intp)
        self._looks_alike: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._pressed: Numbers = np.full(rows, _NONE, dtype=np.intp)
        self._looks_without: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)

    def set_enabled(self, row: int, *, enabled: bool) -> None:
        """Begin or stop to look for digits in a row; earlier audio is forgotten when that changes."""
        if enabled != self._enabled[row]:
            self._enabled[row] = enabled
            self._second_half[row] = SILENCE[ULAW]
            self._last_digit[row] = self._pressed[row] = _NONE
            self._rows = np.flatnonzero(self._enabled)

    def detect(self, frames: Bytes, companding: Numbers) -> list[tuple[int, str]]:
        """Examine the next frame of the first rows; return each row in which a digit begins, and the digit.

        Shape: `frames[rows, 160]`, uint8 codes of `companding[row]`.
        """
        rows = self._rows[: np.searchsorted(self._rows, len(frames))]
        if not rows.size:
            return []
        codes, compandings = frames[rows], companding[rows]
        # Where no digit is heard, was heard, or is held, nothing changes.
        active = self._last_digit[rows] & self._pressed[rows] != _NONE
        candidates = np.flatnonzero(self._may_be_digits(codes[:, ::2], compandings) | active)
        begun: list[tuple[int, str]] = []
        if candidates.size:
            looked_at, compandings = rows[candidates], compandings[candidates]
            between = np.concatenate([self._second_half[looked_at], codes[candidates, :STEP]], axis=1)
            self._update(looked_at, detect_digits(between, compandings), begun)
            self._update(looked_at, detect_digits(codes[candidates], compandings), begun)
        self._second_half[rows] = codes[:, STEP:]
        return begun

    def _may_be_digits(self, codes: Bytes, companding: Numbers) -> Mask:
        """Return whether each 20 ms of audio may hold a digit.

        All DTMF tones lie below half of 4 kHz; audio above that is folded down as noise, and stays as loud as it was.
        Shape: `codes[n, 80]`, every other sample, of `companding[n]`.
        """
        samples = _decoded(codes, companding, out=self._samples[: len(codes)])
        total = np.einsum("ns,ns->n", samples, samples) / (SAMPLES // 2)
        squares = np.square(samples @ _COARSE_FILTERS)
        possible: Mask = (squares.sum(axis=1) >= _COARSE_SHARE * total) & (total >= MIN_POWER / 2)
        return possible

    def _update(self, rows: Numbers, digits: Numbers, begun: list[tuple[int, str]]) -> None:
        """Update the state of these rows with one look and append the digits that begin. Shape: `digits[n]`."""
        self._looks_alike[rows] = np.where(digits == self._last_digit[rows], self._looks_alike[rows] + 1, 1)
        self._last_digit[rows] = digits
        self._looks_without[rows] = np.where(digits == self._pressed[rows], 0, self._looks_without[rows] + 1)
        ended = rows[(self._pressed[rows] != _NONE) & (self._looks_without[rows] >= LOOKS_TO_END)]
        self._pressed[ended] = _NONE
        begins = (digits != _NONE) & (self._looks_alike[rows] == LOOKS_TO_BEGIN) & (self._pressed[rows] != digits)
        for k in np.flatnonzero(begins).tolist():
            self._pressed[rows[k]] = digits[k]
            self._looks_without[rows[k]] = 0
            begun.append((int(rows[k]), str(DTMF_DIGITS[digits[k]])))


def _decoded(codes: Bytes, companding: Numbers, out: Floats | None = None) -> Floats:
    samples = np.take(_SAMPLES[ULAW], codes, out=out, mode="clip")
    if (alaw := np.flatnonzero(companding == ALAW)).size:
        samples[alaw] = np.take(_SAMPLES[ALAW], codes[alaw], mode="clip")
    return samples


def detect_digits(codes: Bytes, companding: Numbers) -> Numbers:
    """Return the index of the digit in each 20 ms of audio, or −1.

    Shape: `codes[n, 160]` of `companding[n]`; the result `[n]`, dtype intp.
    """
    samples = _decoded(codes, companding)
    total = np.einsum("ns,ns->n", samples, samples) / SAMPLES
    digits = np.full(len(total), _NONE, dtype=np.intp)
    squares = np.square(samples @ _FILTERS)
    power = squares[:, :8] + squares[:, 8:]
    # Two tones of one group may pass this; few other sounds do.
    tonal = power.sum(axis=1) >= MIN_SHARE * total
    candidates = np.flatnonzero(tonal & (total >= MIN_POWER))
    if not candidates.size:
        return digits
    power, total = power[candidates], total[candidates]
    low, high = np.argmax(power[:, :4], axis=1), np.argmax(power[:, 4:], axis=1)
    each = np.arange(len(candidates))
    low_power, high_power = power[each, low], power[each, 4 + high]
    fits = (low_power + high_power >= MIN_SHARE * total) & (low_power <= _TWIST * high_power)
    fits &= high_power <= _TWIST * low_power
    digits[candidates[fits]] = (4 * low + high)[fits]
    return digits
