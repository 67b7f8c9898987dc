"""Packet loss concealment: the last audio is continued pitch by pitch and fades out.

At the first missing frame the pitch of the last 60 ms is found, and the audio is continued for 60 ms and a crossfade.
Each missing frame takes its part of that, and the first frame that arrives again is crossfaded with the continuation.
After 60 ms there is silence, and audio that arrives again rises out of it. Rows without loss cost nothing but a copy of
each frame.

Deviation: nothing is delayed by 3.75 ms to blend the beginning with audio that is still to be played. The continuation
begins one pitch period back, where it fits best, and the step that is left at the joint is removed over 2.5 ms. (Of the
methods tried this hurts a vowel least; mirroring the last audio hurts it most.)
Shape: the first index is the row of the leg; frames are uint8 codes. Units: samples at 8 kHz.
Source: ITU-T G.711 appendix I.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import DECODE, ENCODE
from holdfast.voice.media.frames import SAMPLES, Bytes, Numbers
from holdfast.voice.media.rtp.jitter import NOTHING_TO_MISS

MAX_CONCEALED = 3
"""Missing frames in a row that are concealed: 60 ms."""
MIN_PITCH, MAX_PITCH = 40, 120
"""Pitch periods that are searched: 200 Hz to 66 Hz."""
CROSSFADE = 40
"""The crossfade from concealed to real audio: 5 ms."""
_HISTORY_FRAMES = 3
_HISTORY = _HISTORY_FRAMES * SAMPLES
_COMPARED = 160
_FULL_STRENGTH = 80
"""10 ms at full strength, then a fifth less every 10 ms."""
_CONTINUATION = MAX_CONCEALED * SAMPLES + CROSSFADE

_FADE: NDArray[np.float32] = np.clip(1.0 - (np.arange(_CONTINUATION) - _FULL_STRENGTH) / 400.0, 0.0, 1.0).astype(
    np.float32
)
_FALL: NDArray[np.float32] = (1.0 - np.arange(CROSSFADE // 2) / (CROSSFADE // 2)).astype(np.float32)
_RISE: NDArray[np.float32] = ((np.arange(CROSSFADE) + 0.5) / CROSSFADE).astype(np.float32)
_LAGS: Numbers = np.arange(MIN_PITCH, MAX_PITCH + 1, dtype=np.intp)


class Concealment:
    """Concealment holds the last frames of each row and the continuation made from them."""

    def __init__(self, rows: int) -> None:
        self._history: Bytes = np.zeros((rows, _HISTORY_FRAMES, SAMPLES), dtype=np.uint8)
        self._newest = 0
        self._continuation: NDArray[np.float32] = np.zeros((rows, _CONTINUATION), dtype=np.float32)
        self.concealed: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)

    def open(self, row: int, *, silence: int) -> None:
        """Begin a leg: it has no earlier audio."""
        self._history[row] = silence
        self._continuation[row] = 0
        self.concealed[row] = 0

    def reset(self, row: int, *, silence: int) -> None:
        """Forget the earlier audio of a row, so that nothing of it is continued."""
        self._history[row] = silence
        self._continuation[row] = 0

    def conceal(
        self,
        frames: Bytes,
        *,
        companding: Numbers,
        missed: NDArray[np.int64],
        missed_before: NDArray[np.int64],
        cut: Numbers,
    ) -> None:
        """Fill in missing frames, crossfade the frames after them, and remember all frames.

        Shape: `frames[n, 160]` hold silence where a frame is missing. `missed[n]` counts the missing frames in a row up
        to this tick, `missed_before[n]` up to the tick before. `cut` are rows where one frame was left out before this
        one.
        """
        # Both are counts: as unsigned numbers, 0 less 1 is larger than any count.
        affected = np.minimum((missed - 1).view(np.uint64), (missed_before - 1).view(np.uint64)) < NOTHING_TO_MISS - 1
        if cut.size or affected.any():
            self._conceal_rows(frames, companding=companding, missed=missed, missed_before=missed_before, cut=cut)
        self._newest = (self._newest + 1) % _HISTORY_FRAMES
        self._history[: len(frames), self._newest] = frames

    def _conceal_rows(
        self,
        frames: Bytes,
        *,
        companding: Numbers,
        missed: NDArray[np.int64],
        missed_before: NDArray[np.int64],
        cut: Numbers,
    ) -> None:
        """Conceal rows whose frame is missing or follows a missing one."""
        first = np.flatnonzero((missed == 1) & (missed_before == 0))
        if cut.size:
            first = np.union1d(first, cut)
        if first.size:
            self._continue_audio(first, companding[first])
        missing = np.flatnonzero((missed > 0) & (missed <= MAX_CONCEALED))
        if missing.size:
            self.concealed[missing] += 1
            indices = (missed[missing] - 1)[:, None] * SAMPLES + np.arange(SAMPLES)
            frames[missing] = _encode(
                np.take_along_axis(self._continuation[missing], indices, axis=1), companding[missing]
            )
        resumed = np.flatnonzero((missed == 0) & (missed_before > 0) & (missed_before < NOTHING_TO_MISS))
        if cut.size:
            resumed = np.union1d(resumed, cut)
        if resumed.size:
            indices = np.minimum(missed_before[resumed], MAX_CONCEALED)[:, None] * SAMPLES + np.arange(CROSSFADE)
            continuation = np.take_along_axis(self._continuation[resumed], indices, axis=1)
            real = DECODE[companding[resumed][:, None], frames[resumed, :CROSSFADE]]
            frames[resumed, :CROSSFADE] = _encode(continuation * (1 - _RISE) + real * _RISE, companding[resumed])

    def _continue_audio(self, rows: Numbers, companding: Numbers) -> None:
        """Continue the last audio of these rows for 60 ms and a crossfade."""
        order = (self._newest + 1 + np.arange(_HISTORY_FRAMES)) % _HISTORY_FRAMES
        past = DECODE[companding[:, None], self._history[rows][:, order].reshape(len(rows), _HISTORY)].astype(
            np.float32
        )
        period = _pitch(past)[:, None]
        # The last period, its end crossfaded with the audio before it, so that it repeats without a click.
        blend = period // 4
        place = np.arange(MAX_PITCH)
        cycle = np.take_along_axis(past, np.minimum(_HISTORY - period + place, _HISTORY - 1), axis=1)
        previous_cycle = np.take_along_axis(past, np.clip(_HISTORY - 2 * period + place, 0, _HISTORY - 1), axis=1)
        rise = np.clip((place - (period - blend) + 0.5) / blend, 0.0, 1.0).astype(np.float32)
        cycle = cycle * (1 - rise) + previous_cycle * rise
        continuation = np.take_along_axis(cycle, np.arange(_CONTINUATION) % period, axis=1) * _FADE
        step = past[:, -1:] - np.take_along_axis(past, _HISTORY - 1 - period, axis=1)
        continuation[:, : len(_FALL)] += step * _FALL
        self._continuation[rows] = continuation


def _pitch(past: NDArray[np.float32]) -> Numbers:
    """Return the pitch period of each row: the lag at which the last 20 ms are most like the audio before.

    Shape: `past[n, 480]`, float32 samples. Where nothing is alike (noise, silence) the longest lag is the least
    audible.
    """
    coarse = past[:, ::2]
    last = coarse[:, -_COMPARED // 2 :]
    lags = _LAGS[::2] // 2
    starts = coarse.shape[1] - _COMPARED // 2 - lags
    windows = sliding_window_view(coarse, _COMPARED // 2, axis=1)[:, starts]
    likeness = np.einsum("nls,ns->nl", windows, last)
    strength = np.sqrt(np.einsum("nls,nls->nl", windows, windows)) + 1.0
    best = lags[np.argmax(likeness / strength, axis=1)] * 2
    # Every other sample finds the lag within one; all samples find it exactly.
    near = np.clip(best[:, None] + np.array([-1, 0, 1]), MIN_PITCH, MAX_PITCH)
    place = past.shape[1] - _COMPARED + np.arange(_COMPARED)
    rows = np.arange(len(past))[:, None, None]
    shifted = past[rows, place[None, None, :] - near[:, :, None]]
    exact = np.einsum("nls,ns->nl", shifted, past[:, -_COMPARED:])
    exact /= np.sqrt(np.einsum("nls,nls->nl", shifted, shifted)) + 1.0
    found: Numbers = np.take_along_axis(near, np.argmax(exact, axis=1)[:, None], axis=1)[:, 0]
    return found


def _encode(samples: NDArray[np.float32], companding: Numbers) -> Bytes:
    coded: Bytes = ENCODE[companding[:, None], np.clip(np.rint(samples).astype(np.intp) + 32768, 0, 65535)]
    return coded
