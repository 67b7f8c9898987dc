"""What is heard of a frame that did not come: the last sound goes on, pitch by pitch, and dies away.

At the first missing frame the pitch of a leg's last 60 ms is found and the sound is carried on for 60 ms and a little
more; each missing frame takes its part of that, and the first frame that comes again is blended with what follows.
After 60 ms there is silence, out of which what comes again rises. Only the rows that miss something cost anything but
the keeping of what was heard.

Deviation: nothing is delayed by 3.75 ms to blend the beginning with sound that is still to be heard. The carried-on
sound begins one pitch period back, where it fits best, and the step that is left where they meet is taken out of it,
less and less for 2.5 ms. (Of what was tried this hurts a vowel least; the last sound mirrored hurts it most.)
Shape: first index the leg's row; frames are codes of a law. Units: samples at 8 kHz.
Source: ITU-T G.711 appendix I.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import DECODE, ENCODE
from holdfast.voice.media.frames import SAMPLES, Bytes, Numbers
from holdfast.voice.media.rtp.jitter import NOTHING_TO_MISS

CONCEALED = 3
"""Frames that are made up in a row: 60 ms."""
SHORTEST, LONGEST = 40, 120
"""Pitch periods looked for: 200 Hz to 66 Hz."""
BLEND = 40
"""5 ms over which made-up sound gives way to real one."""
_KEPT = 3
_PAST = _KEPT * SAMPLES
_COMPARED = 160
_STEADY = 80
"""10 ms at full strength, then a fifth less every 10 ms."""
_MADE = CONCEALED * SAMPLES + BLEND

_FADE: NDArray[np.float32] = np.clip(1.0 - (np.arange(_MADE) - _STEADY) / 400.0, 0.0, 1.0).astype(np.float32)
_FALL: NDArray[np.float32] = (1.0 - np.arange(BLEND // 2) / (BLEND // 2)).astype(np.float32)
_RISE: NDArray[np.float32] = ((np.arange(BLEND) + 0.5) / BLEND).astype(np.float32)
_LAGS: Numbers = np.arange(SHORTEST, LONGEST + 1, dtype=np.intp)


class Concealment:
    """The past of each row, and what is made up from it."""

    def __init__(self, rows: int) -> None:
        self._past: Bytes = np.zeros((rows, _KEPT, SAMPLES), dtype=np.uint8)
        self._newest = 0
        self._made: NDArray[np.float32] = np.zeros((rows, _MADE), dtype=np.float32)
        self.concealed: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)

    def open(self, row: int, *, silence: int) -> None:
        """Begin anew: nothing was heard before."""
        self._past[row] = silence
        self._made[row] = 0
        self.concealed[row] = 0

    def forget(self, row: int, *, silence: int) -> None:
        """What was heard is over, or was in another law: nothing of it is carried on."""
        self._past[row] = silence
        self._made[row] = 0

    def conceal(
        self, frames: Bytes, *, law: Numbers, missed: NDArray[np.int64], before: NDArray[np.int64], cut: Numbers
    ) -> None:
        """Fill in the missing frames of the first rows, blend those that come after missing ones, and remember.

        Shape: `frames[n, 160]` hold silence where a frame is missing; `missed` and `before` count the missing frames
        in a row up to this tick, and up to the one before; `cut` are rows before whose frame one was left out.
        """
        # Both are counts: one less, a row that misses nothing is larger than any.
        some = np.minimum((missed - 1).view(np.uint64), (before - 1).view(np.uint64)) < NOTHING_TO_MISS - 1
        if cut.size or some.any():
            self._fill_in(frames, law=law, missed=missed, before=before, cut=cut)
        self._newest = (self._newest + 1) % _KEPT
        self._past[: len(frames), self._newest] = frames

    def _fill_in(
        self, frames: Bytes, *, law: Numbers, missed: NDArray[np.int64], before: NDArray[np.int64], cut: Numbers
    ) -> None:
        """Frames that are missing, or come after such."""
        first = np.flatnonzero((missed == 1) & (before == 0))
        if cut.size:
            first = np.union1d(first, cut)
        if first.size:
            self._carry_on(first, law[first])
        missing = np.flatnonzero((missed > 0) & (missed <= CONCEALED))
        if missing.size:
            self.concealed[missing] += 1
            at = (missed[missing] - 1)[:, None] * SAMPLES + np.arange(SAMPLES)
            frames[missing] = _encode(np.take_along_axis(self._made[missing], at, axis=1), law[missing])
        again = np.flatnonzero((missed == 0) & (before > 0) & (before < NOTHING_TO_MISS))
        if cut.size:
            again = np.union1d(again, cut)
        if again.size:
            at = np.minimum(before[again], CONCEALED)[:, None] * SAMPLES + np.arange(BLEND)
            made = np.take_along_axis(self._made[again], at, axis=1)
            real = DECODE[law[again][:, None], frames[again, :BLEND]]
            frames[again, :BLEND] = _encode(made * (1 - _RISE) + real * _RISE, law[again])

    def _carry_on(self, rows: Numbers, law: Numbers) -> None:
        """Make up 60 ms and a blend from what these rows said last."""
        order = (self._newest + 1 + np.arange(_KEPT)) % _KEPT
        past = DECODE[law[:, None], self._past[rows][:, order].reshape(len(rows), _PAST)].astype(np.float32)
        period = _pitch(past)[:, None]
        # The last period, its end blended with what led up to it, so that it follows itself without a click.
        blend = period // 4
        place = np.arange(LONGEST)
        cycle = np.take_along_axis(past, np.minimum(_PAST - period + place, _PAST - 1), axis=1)
        before = np.take_along_axis(past, np.clip(_PAST - 2 * period + place, 0, _PAST - 1), axis=1)
        rise = np.clip((place - (period - blend) + 0.5) / blend, 0.0, 1.0).astype(np.float32)
        cycle = cycle * (1 - rise) + before * rise
        made = np.take_along_axis(cycle, np.arange(_MADE) % period, axis=1) * _FADE
        step = past[:, -1:] - np.take_along_axis(past, _PAST - 1 - period, axis=1)
        made[:, : len(_FALL)] += step * _FALL
        self._made[rows] = made


def _pitch(past: NDArray[np.float32]) -> Numbers:
    """The lag at which the last 20 ms are most like what came before, for each row.

    Shape: `past[n, 480]`. Where nothing is like anything (noise, silence) the longest lag repeats least audibly.
    """
    coarse = past[:, ::2]
    last = coarse[:, -_COMPARED // 2 :]
    lags = _LAGS[::2] // 2
    starts = coarse.shape[1] - _COMPARED // 2 - lags
    windows = sliding_window_view(coarse, _COMPARED // 2, axis=1)[:, starts]
    likeness = np.einsum("nls,ns->nl", windows, last)
    strength = np.sqrt(np.einsum("nls,nls->nl", windows, windows)) + 1.0
    best = lags[np.argmax(likeness / strength, axis=1)] * 2
    # Every other sample found it within one; all samples find it exactly.
    near = np.clip(best[:, None] + np.array([-1, 0, 1]), SHORTEST, LONGEST)
    place = past.shape[1] - _COMPARED + np.arange(_COMPARED)
    rows = np.arange(len(past))[:, None, None]
    shifted = past[rows, place[None, None, :] - near[:, :, None]]
    exact = np.einsum("nls,ns->nl", shifted, past[:, -_COMPARED:])
    exact /= np.sqrt(np.einsum("nls,nls->nl", shifted, shifted)) + 1.0
    found: Numbers = np.take_along_axis(near, np.argmax(exact, axis=1)[:, None], axis=1)[:, 0]
    return found


def _encode(samples: NDArray[np.float32], law: Numbers) -> Bytes:
    coded: Bytes = ENCODE[law[:, None], np.clip(np.rint(samples).astype(np.intp) + 32768, 0, 65535)]
    return coded
