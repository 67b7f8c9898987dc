"""Generate DTMF tones, and write them in place of the audio of legs without telephone events.

Units: 8,000 samples a second; levels relative to full scale.
"""

from __future__ import annotations

from functools import cache
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import ENCODE
from holdfast.voice.media.dtmf.event_sender import OFF_FRAMES, ON_FRAMES
from holdfast.voice.media.frames import SAMPLES, Bytes, Numbers

DTMF_HZ = {
    digit: (low, high)
    for low, row in ((697.0, "123A"), (770.0, "456B"), (852.0, "789C"), (941.0, "*0#D"))
    for digit, high in zip(row, (1209.0, 1336.0, 1477.0, 1633.0), strict=True)
}
"""The two frequencies of each digit. Source: ITU-T Q.23."""
DTMF_LEVELS = (0.18, 0.22)
"""The levels of the low and the high group; the high one is a little stronger, because lines attenuate it more. Source:
ITU-T Q.24."""
MAX_WAITING = 100
"""Frames of tones that may wait for one leg."""
_EASE_S = 0.006
_RATE_HZ = 8000
_NO_ROWS: Numbers = np.zeros(0, dtype=np.intp)


def tone(digit: str) -> NDArray[np.float64]:
    """Return the float64 samples of one digit, which begin and end without a click. Raises: KeyError."""
    time = np.arange(ON_FRAMES * SAMPLES) / _RATE_HZ
    ease = np.minimum(1.0, np.arange(len(time)) / (_EASE_S * _RATE_HZ))
    sines = [level * np.sin(2 * np.pi * hz * time) for level, hz in zip(DTMF_LEVELS, DTMF_HZ[digit], strict=True)]
    samples: NDArray[np.float64] = (sines[0] + sines[1]) * ease * ease[::-1]
    return samples


@cache
def _frames(digit: str, companding: int) -> Bytes:
    """Return the frames of one digit. Shape: `[ON_FRAMES, 160]`, uint8 codes."""
    samples = np.rint(32767 * tone(digit)).astype(np.intp)
    frames: Bytes = ENCODE[companding][samples + 32768].reshape(ON_FRAMES, SAMPLES)
    return frames


class ToneGenerator:
    """A tone generator holds the digits that wait for each leg.

    Between two digits a leg hears its own audio.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, list[tuple[str, int] | None]] = {}
        """For each frame the digit and the number of its frame, or None for the leg's audio; the next one is last."""

    def add(self, row: int, digit: str) -> None:
        """Queue a digit for a leg. When too many wait, the digit is dropped."""
        waiting = self._waiting.get(row, [])
        if digit in DTMF_HZ and len(waiting) < MAX_WAITING:
            frames = chain(zip(repeat(digit), range(ON_FRAMES), strict=False), repeat(None, OFF_FRAMES))
            self._waiting[row] = [*reversed(tuple(frames)), *waiting]

    def clear(self, row: int) -> None:
        """Drop all digits that wait for a leg."""
        self._waiting.pop(row, None)

    def write_to(self, tx: Bytes, companding: Numbers) -> Numbers:
        """Write the next frame of each tone over the audio of its leg; return those rows.

        Shape: `tx[n, 160]`, codes of `companding[row]`.
        """
        if not self._waiting:
            return _NO_ROWS
        rows = []
        for row, waiting in list(self._waiting.items()):
            digit_frame = waiting.pop()
            if not waiting:
                del self._waiting[row]
            if digit_frame is not None:
                digit, number = digit_frame
                tx[row] = _frames(digit, int(companding[row]))[number]
                rows.append(row)
        return np.array(rows, dtype=np.intp)
