"""The mixer adds up the audio of all conferences in one pass and leaves each listener's own audio out.

Invariant: a listener gets the exact sum of the decoded members, clipped once, encoded once.
"""

from __future__ import annotations

import numpy as np

from holdfast.voice.media.codec.g711 import (
    ALAW,
    DECODE,
    ENCODE,
    ULAW,
)
from holdfast.voice.media.frames import SAMPLES, Bytes, Numbers
from holdfast.voice.media.mix.routing import MixPlan

_LINEAR: Numbers = DECODE.astype(np.intp).reshape(-1)
_ZERO = 32768


class Mixer:
    """The mixer keeps its arrays from one tick to the next: new memory each time costs more than the sums."""

    def __init__(self) -> None:
        self._rx: Bytes = np.empty((0, SAMPLES), dtype=np.uint8)
        self._codes, self._linear, self._sums, self._totals = (np.empty((0, SAMPLES), dtype=np.intp) for _ in range(4))

    def mix(self, frames: Bytes, plan: MixPlan, out: Bytes) -> None:
        """Write what each listener of the plan hears, in its companding. Sums do not overflow.

        Shape: `frames` is the frames matrix; `out[listeners, 160]`, dtype uint8.
        """
        members, listeners = len(plan.members), len(plan.group_of_listener)
        self._grow(max(members + 1, listeners))
        rx, linear, sums, totals = self._rx[:members], self._linear[: members + 1], self._sums, self._totals[:listeners]
        # The mode matters: with any other one take() buffers its output.
        np.take(frames, plan.members, axis=0, out=rx, mode="clip")
        codes = self._codes[:members]
        codes[:] = rx
        codes[plan.alaw_members] += 256 * ALAW
        np.take(_LINEAR, codes, out=linear[:members], mode="clip")
        linear[members] = 0
        group = 0
        for bucket in plan.buckets:
            bucket_rows = linear[bucket.first : bucket.first + bucket.groups * bucket.size]
            grouped = bucket_rows.reshape(bucket.groups, bucket.size, SAMPLES)
            np.add.reduce(grouped, axis=1, out=sums[group : group + bucket.groups])
            group += bucket.groups
        np.take(sums, plan.group_of_listener, axis=0, out=totals, mode="clip")
        own_audio = self._codes[:listeners]
        np.take(linear, plan.self_of_listener, axis=0, out=own_audio, mode="clip")
        totals -= own_audio
        totals += _ZERO
        # Clipping the table index saturates the sum.
        np.take(ENCODE[ULAW], totals[: plan.ulaw_listeners], out=out[: plan.ulaw_listeners], mode="clip")
        np.take(ENCODE[ALAW], totals[plan.ulaw_listeners :], out=out[plan.ulaw_listeners :], mode="clip")

    def _grow(self, rows: int) -> None:
        """Make room for that many rows."""
        if len(self._rx) < rows:
            self._rx = np.empty((2 * rows, SAMPLES), dtype=np.uint8)
            self._codes, self._linear, self._sums, self._totals = (
                np.empty((2 * rows, SAMPLES), dtype=np.intp) for _ in range(4)
            )
